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
from .download import describe_remote_file, download_file, hub_cache_folder, require_disk_space
from .hub import fetch_from_hub, place_on_hub
from .meta_init import without_weights
from .parallel import in_parts
from .precision import MAX_SIMILARITY_LOSS, MIN_COSINE, agreement, test_sounds
from .release import (
    ROW_SCALE,
    Release,
    ShippedWeights,
    fill,
    find_tensor_faults,
    read_part,
    read_release,
    require_release,
    round_rows,
)
from .vectors import require_directions, require_float32, unit_rows

__all__ = [
    "MAX_SIMILARITY_LOSS",
    "MIN_COSINE",
    "ROW_SCALE",
    "Release",
    "ShippedWeights",
    "agreement",
    "byte_level_bpe",
    "can_pack",
    "control_ids",
    "describe_remote_file",
    "download_file",
    "fetch_from_hub",
    "fill",
    "find_changed_files",
    "find_tensor_faults",
    "has_bfloat16",
    "hub_cache_folder",
    "in_parts",
    "make_all_text_plain",
    "pick_device",
    "place_on_hub",
    "plain_ids",
    "read_fields",
    "read_json",
    "read_part",
    "read_release",
    "require_device_name",
    "require_directions",
    "require_disk_space",
    "require_float32",
    "require_release",
    "require_whole_characters",
    "round_rows",
    "sha256_of",
    "test_sounds",
    "unit_rows",
    "without_weights",
    "write_json",
]
