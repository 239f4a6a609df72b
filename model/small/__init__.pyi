from .embedder import Ears, Heard, SmallEmbedder, load_ears, load_small
from .frames import window_groups
from .heads import YAMNET_SHARE, Head, Heads, unit
from .network import RANKS, Factors, NarrowNetwork, new_factors
from .weights import DESCRIPTION, NAME, Encoder, digests_beside, read_small_release
from .words import WordMaps, plain_name

__all__ = [
    "DESCRIPTION",
    "NAME",
    "RANKS",
    "YAMNET_SHARE",
    "Ears",
    "Encoder",
    "Factors",
    "Head",
    "Heads",
    "Heard",
    "NarrowNetwork",
    "SmallEmbedder",
    "WordMaps",
    "digests_beside",
    "load_ears",
    "load_small",
    "new_factors",
    "plain_name",
    "read_small_release",
    "unit",
    "window_groups",
]
