from .convert import Words, YamnetConversion, convert_yamnet, shipped_words, write_yamnet_folder
from .embedder import YamnetEmbedder, load_yamnet
from .front_end import SAMPLE_RATE, FrontEnd
from .network import EMBEDDING_DIM, N_CLASSES, Convolution, Network, convolutions
from .network_cpu import PackedConvolution, PackedNetwork, pack_for_cpu
from .weights import DESCRIPTION, NAME, read_class_names, read_yamnet_release
from .words import ClassWords, WordTable, read_word_table

__all__ = [
    "DESCRIPTION",
    "EMBEDDING_DIM",
    "NAME",
    "N_CLASSES",
    "SAMPLE_RATE",
    "ClassWords",
    "Convolution",
    "FrontEnd",
    "Network",
    "PackedConvolution",
    "PackedNetwork",
    "WordTable",
    "Words",
    "YamnetConversion",
    "YamnetEmbedder",
    "convert_yamnet",
    "convolutions",
    "load_yamnet",
    "pack_for_cpu",
    "read_class_names",
    "read_word_table",
    "read_yamnet_release",
    "shipped_words",
    "write_yamnet_folder",
]
