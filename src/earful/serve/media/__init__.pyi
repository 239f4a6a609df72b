from .cache import ByteCache
from .faults import MediaRangeError, RecordingGoneError
from .media import Made, Media, Order
from .overview import TILE_COLUMNS, TILE_ROWS, Overview, compute_overview
from .spectrogram import Spectrogram, SpectrogramView, compute_spectrogram
from .stretch import PlayedSource, clamp_stretch, file_version, gone, read_frames, read_stretch
from .wav import encode_wav

__all__ = [
    "TILE_COLUMNS",
    "TILE_ROWS",
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
    "clamp_stretch",
    "compute_overview",
    "compute_spectrogram",
    "encode_wav",
    "file_version",
    "gone",
    "read_frames",
    "read_stretch",
]
