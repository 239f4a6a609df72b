from .band_levels import BandLevels
from .band_overview import OVERVIEW_BANDS, event_band_hz, overview, overview_db, overview_edges_hz
from .htsat import Htsat, HtsatConfig
from .htsat_cpu import PackedHtsat, pack_for_cpu
from .logmel import load_logmel
from .mel import LogMel, LogMelConfig
from .msclap import MsClapConfig, MsClapEncoder, from_published_names, published_names, read_config

__all__ = [
    "OVERVIEW_BANDS",
    "BandLevels",
    "Htsat",
    "HtsatConfig",
    "LogMel",
    "LogMelConfig",
    "MsClapConfig",
    "MsClapEncoder",
    "PackedHtsat",
    "event_band_hz",
    "from_published_names",
    "load_logmel",
    "overview",
    "overview_db",
    "overview_edges_hz",
    "pack_for_cpu",
    "published_names",
    "read_config",
]
