from .isolated import (
    load_isolated,
    probe_isolated,
    read_blocks_isolated,
    stop_decoding,
    warm_up,
)

__all__ = [
    "load_isolated",
    "probe_isolated",
    "read_blocks_isolated",
    "stop_decoding",
    "warm_up",
]
