from .convert import YamnetConversion, convert_yamnet, write_yamnet_folder
from .embedder import YamnetEmbedder, load_yamnet
from .front_end import SAMPLE_RATE, FrontEnd
from .network import EMBEDDING_DIM, N_CLASSES, Convolution, Network, convolutions
from .weights import DESCRIPTION, NAME, read_class_names, read_yamnet_release

__all__ = [
    "DESCRIPTION",
    "EMBEDDING_DIM",
    "NAME",
    "N_CLASSES",
    "SAMPLE_RATE",
    "Convolution",
    "FrontEnd",
    "Network",
    "YamnetConversion",
    "YamnetEmbedder",
    "convert_yamnet",
    "convolutions",
    "load_yamnet",
    "read_class_names",
    "read_yamnet_release",
    "write_yamnet_folder",
]
