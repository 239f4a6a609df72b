"""Read the files inside a Qt resource file (``.rcc``)."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path

COMPRESSED = 1
FOLDER = 2


@cache
def members(path: Path) -> dict[str, bytes]:
    """Read a resource file, of format 1 to 3 without Zstandard: path inside to contents."""
    data = path.read_bytes()
    magic, version, tree, contents, names = struct.unpack_from(">4s4i", data)
    if magic != b"qres":
        raise SystemExit(f"{path}: begins with {magic!r}; want b'qres'")
    size = 22 if version >= 2 else 14
    found: dict[str, bytes] = {}

    def name(offset: int) -> str:
        (n_units,) = struct.unpack_from(">H", data, names + offset)
        begin = names + offset + 6
        return data[begin : begin + 2 * n_units].decode("utf-16-be")

    def walk(number: int, prefix: str) -> None:
        offset, flags, first, second = struct.unpack_from(">IHII", data, tree + size * number)
        here = prefix + name(offset) if number else ""
        if flags & FOLDER:
            for child in range(second, second + first):
                walk(child, f"{here}/" if here else "")
            return
        (length,) = struct.unpack_from(">I", data, contents + second)
        content = data[contents + second + 4 :][:length]
        # Compressed contents are led by their size when unpacked.
        found[here] = zlib.decompress(content[4:]) if flags & COMPRESSED else content

    walk(0, "")
    return found
