from .htsat import Htsat, HtsatConfig
from .htsat_cpu import PackedHtsat, pack_for_cpu
from .logmel import load_logmel
from .mel import LogMel, LogMelConfig
from .msclap import MsClapConfig, MsClapEncoder, from_published_names, published_names, read_config

__all__ = [
    "Htsat",
    "HtsatConfig",
    "LogMel",
    "LogMelConfig",
    "MsClapConfig",
    "MsClapEncoder",
    "PackedHtsat",
    "from_published_names",
    "load_logmel",
    "pack_for_cpu",
    "published_names",
    "read_config",
]
