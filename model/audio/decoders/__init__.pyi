from .soundfile_decoder import open_decoder
from .stream_header import Decoder, StreamHeader

__all__ = ["Decoder", "StreamHeader", "open_decoder"]
