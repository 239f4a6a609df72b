"""Read the files inside a game's ZIP archive (``.pk3``)."""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path


@cache
def members(path: Path) -> dict[str, bytes]:
    """Read an archive's sounds: path inside to contents."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith((".ogg", ".wav"))]
        return {name: archive.read(name) for name in names}
