from .convert import ConversionReport, Heads, convert_flamingo
from .folder import (
    MODEL_NAMES,
    find_flamingo,
    load_flamingo,
    open_flamingo_folder,
    verify_flamingo_folder,
)
from .parameter_names import INPUT_TABLE, POSITIONS, official_shapes, our_name, overriding_name
from .pull import LICENCE_NOTICE, pull_flamingo
from .writer import DTYPE_NAMES, Dtype, FolderWriter

__all__ = [
    "DTYPE_NAMES",
    "INPUT_TABLE",
    "LICENCE_NOTICE",
    "MODEL_NAMES",
    "POSITIONS",
    "ConversionReport",
    "Dtype",
    "FolderWriter",
    "Heads",
    "convert_flamingo",
    "find_flamingo",
    "load_flamingo",
    "official_shapes",
    "open_flamingo_folder",
    "our_name",
    "overriding_name",
    "pull_flamingo",
    "verify_flamingo_folder",
]
