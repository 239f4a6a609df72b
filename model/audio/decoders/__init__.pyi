from .chunks import Chunk, wav_chunks
from .leading_tag import without_leading_tag
from .soundfile_decoder import open_decoder
from .stream_header import Decoder, StreamHeader
from .stream_length import read_at

__all__ = [
    "Chunk",
    "Decoder",
    "StreamHeader",
    "open_decoder",
    "read_at",
    "wav_chunks",
    "without_leading_tag",
]
