from .bpe import (
    byte_level_bpe,
    control_ids,
    make_all_text_plain,
    plain_ids,
    require_whole_characters,
)
from .config_fields import read_fields
from .device import can_pack, has_bfloat16, pick_device, require_device_name
from .digests import find_changed_files, read_json, sha256_of, write_json
from .download import (
    RemoteFile,
    describe_remote_file,
    download_file,
    hub_cache_folder,
    require_disk_space,
)
from .hub import earful_home, fetch_from_hub, hub_trouble, models_home, place_on_hub
from .modules import fill, round_rows, shapes_of, without_weights
from .onnx_network import OnnxNetwork
from .parallel import at_most_cores, in_parts, in_threads, n_cores
from .precision import (
    MAX_SIMILARITY_LOSS,
    MIN_COSINE,
    agreement,
    require_directions,
    require_float32,
    test_sounds,
    unit_rows,
)
from .release import (
    ROW_SCALE,
    Release,
    ShippedWeights,
    find_tensor_faults,
    read_part,
    read_release,
    read_tensors,
    require_release,
    require_shapes,
)

__all__ = [
    "MAX_SIMILARITY_LOSS",
    "MIN_COSINE",
    "ROW_SCALE",
    "OnnxNetwork",
    "Release",
    "RemoteFile",
    "ShippedWeights",
    "agreement",
    "at_most_cores",
    "byte_level_bpe",
    "can_pack",
    "control_ids",
    "describe_remote_file",
    "download_file",
    "earful_home",
    "fetch_from_hub",
    "fill",
    "find_changed_files",
    "find_tensor_faults",
    "has_bfloat16",
    "hub_cache_folder",
    "hub_trouble",
    "in_parts",
    "in_threads",
    "make_all_text_plain",
    "models_home",
    "n_cores",
    "pick_device",
    "place_on_hub",
    "plain_ids",
    "read_fields",
    "read_json",
    "read_part",
    "read_release",
    "read_tensors",
    "require_device_name",
    "require_directions",
    "require_disk_space",
    "require_float32",
    "require_release",
    "require_shapes",
    "require_whole_characters",
    "round_rows",
    "sha256_of",
    "shapes_of",
    "test_sounds",
    "unit_rows",
    "without_weights",
    "write_json",
]
