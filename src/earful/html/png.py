"""PNG: pictures of 8 bits a pixel, grey or in the colours of a palette, as bytes."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_GREY, _PALETTE = 0, 3


def encode_png(
    shades: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None, *, level: int = 9
) -> bytes:
    r"""Return a picture as PNG.

    Args:
        shades: uint8, shape ``(height, width)``, the highest row first.
        palette: Colours of the shades, uint8, shape ``(256, 3)``; ``None`` for grey.
        level: Of compression, 0 to 9.

    >>> encode_png(np.zeros((2, 3), np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    height, width = shades.shape
    rows = np.pad(shades, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter: none
    kind = _GREY if palette is None else _PALETTE
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))]
    if palette is not None:
        parts.append((b"PLTE", palette.tobytes()))
    parts += [(b"IDAT", zlib.compress(rows, level)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
