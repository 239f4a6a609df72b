from .embedder import TinyEmbedder, load_tiny, text_ids
from .frames import N_MELS, SAMPLE_RATE, WINDOW_FRAMES, FrontEnd, fill_window
from .network import CHANNELS, OUTPUT_DIM, POOLED, AudioHead, Network, TextTower
from .weights import DESCRIPTION, NAME, read_release

__all__ = [
    "CHANNELS",
    "DESCRIPTION",
    "NAME",
    "N_MELS",
    "OUTPUT_DIM",
    "POOLED",
    "SAMPLE_RATE",
    "WINDOW_FRAMES",
    "AudioHead",
    "FrontEnd",
    "Network",
    "TextTower",
    "TinyEmbedder",
    "fill_window",
    "load_tiny",
    "read_release",
    "text_ids",
]
