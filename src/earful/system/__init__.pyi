from .descriptors import can_read_at, open_descriptor, read_at, write_at
from .durable import flush, replace_file, replace_folder, sync_file, sync_folder
from .facilities import Facility, describe_system
from .file_names import folded_name, portable_name, relative_path
from .folders import cache_folder
from .limits import TOO_LONG_STATUS, TOO_MUCH_STATUS, limit_cpu_time, limit_memory
from .locks import FileLock, lock_beside, lock_marker
from .memory import memory_bytes
from .processes import after_fork_in_child, can_share_files, n_processors

__all__ = [
    "TOO_LONG_STATUS",
    "TOO_MUCH_STATUS",
    "Facility",
    "FileLock",
    "after_fork_in_child",
    "cache_folder",
    "can_read_at",
    "can_share_files",
    "describe_system",
    "flush",
    "folded_name",
    "limit_cpu_time",
    "limit_memory",
    "lock_beside",
    "lock_marker",
    "memory_bytes",
    "n_processors",
    "open_descriptor",
    "portable_name",
    "read_at",
    "relative_path",
    "replace_file",
    "replace_folder",
    "sync_file",
    "sync_folder",
    "write_at",
]
