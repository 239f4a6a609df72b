from .embedder import TinyEmbedder, load_tiny, text_ids
from .frames import N_MELS, SAMPLE_RATE, WINDOW_FRAMES, FrontEnd, fill_window
from .language_model import STYLE, TinyWindows, load_tiny_lm, spans
from .network import CHANNELS, OUTPUT_DIM, POOLED, AudioHead, Network, TextTower
from .weights import DESCRIPTION, NAME, fill, read_part, read_release

__all__ = [
    "CHANNELS",
    "DESCRIPTION",
    "NAME",
    "N_MELS",
    "OUTPUT_DIM",
    "POOLED",
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
    "fill_window",
    "load_tiny",
    "load_tiny_lm",
    "read_part",
    "read_release",
    "spans",
    "text_ids",
]
