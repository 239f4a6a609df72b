from .cache import ByteCache
from .faults import MediaRangeError, RecordingGoneError
from .media import Made, Media, Order
from .overview import TILE_COLUMNS, Overview, compute_overview
from .spectrogram import Spectrogram, SpectrogramView, compute_spectrogram
from .stretch import PlayedSource, file_version, gone, read_stretch
from .wav import encode_wav

__all__ = [
    "TILE_COLUMNS",
    "ByteCache",
    "Made",
    "Media",
    "MediaRangeError",
    "Order",
    "Overview",
    "PlayedSource",
    "RecordingGoneError",
    "Spectrogram",
    "SpectrogramView",
    "compute_overview",
    "compute_spectrogram",
    "encode_wav",
    "file_version",
    "gone",
    "read_stretch",
]
