from .metadata import RecorderMetadata, override_metadata
from .names import recorder_site
from .options import NamesAre, RecorderOptions
from .reading import read_recorder_metadata, read_recorder_site
from .stamps import parse_stamp

__all__ = [
    "NamesAre",
    "RecorderMetadata",
    "RecorderOptions",
    "override_metadata",
    "parse_stamp",
    "read_recorder_metadata",
    "read_recorder_site",
    "recorder_site",
]
