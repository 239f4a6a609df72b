from .convert import Words, YamnetConversion, convert_yamnet, shipped_words, write_yamnet_folder
from .embedder import WINDOWING, YamnetEmbedder, load_yamnet
from .front_end import FFT_SAMPLES, FLOOR, N_MELS, PATCH_FRAMES, SAMPLE_RATE, FrontEnd
from .network import (
    EMBEDDING_DIM,
    FIRST_CHANNELS,
    N_CLASSES,
    PAIRS,
    Convolution,
    Network,
    convolutions,
    tensor_shapes,
)
from .weights import DESCRIPTION, NAME, read_class_names, read_yamnet_release
from .words import ClassWords, WordTable, read_word_table

__all__ = [
    "DESCRIPTION",
    "EMBEDDING_DIM",
    "FFT_SAMPLES",
    "FIRST_CHANNELS",
    "FLOOR",
    "NAME",
    "N_CLASSES",
    "N_MELS",
    "PAIRS",
    "PATCH_FRAMES",
    "SAMPLE_RATE",
    "WINDOWING",
    "ClassWords",
    "Convolution",
    "FrontEnd",
    "Network",
    "WordTable",
    "Words",
    "YamnetConversion",
    "YamnetEmbedder",
    "convert_yamnet",
    "convolutions",
    "load_yamnet",
    "read_class_names",
    "read_word_table",
    "read_yamnet_release",
    "shipped_words",
    "tensor_shapes",
    "write_yamnet_folder",
]
