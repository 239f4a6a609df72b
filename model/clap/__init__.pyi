from .convert import convert_clap
from .embedder import ClapEmbedder, load_clap
from .towers import from_hub_names, htsat_config

__all__ = [
    "ClapEmbedder",
    "convert_clap",
    "from_hub_names",
    "htsat_config",
    "load_clap",
]
