from .embedder import TinyEmbedder, load_tiny, text_ids
from .frames import SAMPLE_RATE, WINDOW_FRAMES, FrontEnd
from .language_model import STYLE, TinyWindows, load_tiny_lm, spans
from .network import OUTPUT_DIM, AudioHead, Network, TextTower
from .weights import DESCRIPTION, NAME, fill, read_part, read_release

__all__ = [
    "DESCRIPTION",
    "NAME",
    "OUTPUT_DIM",
    "SAMPLE_RATE",
    "STYLE",
    "WINDOW_FRAMES",
    "AudioHead",
    "FrontEnd",
    "Network",
    "TextTower",
    "TinyEmbedder",
    "TinyWindows",
    "fill",
    "load_tiny",
    "load_tiny_lm",
    "read_part",
    "read_release",
    "spans",
    "text_ids",
]
