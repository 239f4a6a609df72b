from .cache_folder import store_cache
from .copies import (
    ObjectTooLargeError,
    forget_copies,
    local_copy,
    object_exists,
    object_head,
    object_sha256,
)
from .location import SCHEMES, Location, is_address, key_fault, parse_location
from .settings import OPTIONS, set_storage_options, storage_options
from .sources import stored_source
from .store import (
    ChangedObjectError,
    MissingObjectError,
    ObjectStore,
    StoredObject,
)
from .tree import location_at, shown_path, stored_path

__all__ = [
    "OPTIONS",
    "SCHEMES",
    "ChangedObjectError",
    "Location",
    "MissingObjectError",
    "ObjectStore",
    "ObjectTooLargeError",
    "StoredObject",
    "forget_copies",
    "is_address",
    "key_fault",
    "local_copy",
    "location_at",
    "object_exists",
    "object_head",
    "object_sha256",
    "parse_location",
    "set_storage_options",
    "shown_path",
    "storage_options",
    "store_cache",
    "stored_path",
    "stored_source",
]
