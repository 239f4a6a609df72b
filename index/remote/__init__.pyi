from .fetching import FetchReport, fetch
from .folder import RemoteWriter, local_folder, name_of, refresh_mirror
from .lease import Lease
from .manifest import (
    PUBLISHED_FILES,
    PUBLISHED_FOLDERS,
    SEGMENTS_NAME,
    Entry,
    Manifest,
    is_published,
)
from .mirror import Mirror
from .probe import forget_probes, require_conditional_writes
from .publishing import PublishReport, publish
from .segments import StoredSegments

__all__ = [
    "PUBLISHED_FILES",
    "PUBLISHED_FOLDERS",
    "SEGMENTS_NAME",
    "Entry",
    "FetchReport",
    "Lease",
    "Manifest",
    "Mirror",
    "PublishReport",
    "RemoteWriter",
    "StoredSegments",
    "fetch",
    "forget_probes",
    "is_published",
    "local_folder",
    "name_of",
    "publish",
    "refresh_mirror",
    "require_conditional_writes",
]
