from .bpe import byte_level_bpe, control_ids, make_all_text_plain, plain_ids
from .config_fields import read_fields
from .device import can_pack, has_bfloat16, pick_device
from .digests import changes_of, read_json, sha256_of, write_json
from .download import cache_folder, describe, download_file, require_room
from .hub import fetch
from .meta_init import unfilled
from .parallel import in_parts
from .precision import LEAST_COSINE, MOST_LOST, agreement, probe_sounds
from .release import (
    Release,
    Shipped,
    fill,
    read_part,
    read_release,
    require_release,
    tensor_faults,
)

__all__ = [
    "LEAST_COSINE",
    "MOST_LOST",
    "Release",
    "Shipped",
    "agreement",
    "byte_level_bpe",
    "cache_folder",
    "can_pack",
    "changes_of",
    "control_ids",
    "describe",
    "download_file",
    "fetch",
    "fill",
    "has_bfloat16",
    "in_parts",
    "make_all_text_plain",
    "pick_device",
    "plain_ids",
    "probe_sounds",
    "read_fields",
    "read_json",
    "read_part",
    "read_release",
    "require_release",
    "require_room",
    "sha256_of",
    "tensor_faults",
    "unfilled",
    "write_json",
]
