"""Key of a recording: its size, its first and last MiB, and how its steps were made.

It is found by its content wherever it lies and whatever it is called, and reading a megabyte
or two of it takes no time.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

from earful.model.audio import AudioLimits, open_source

_END_BYTES: Final = 1 << 20


def recording_key(
    path: str | os.PathLike[str], settings_digest: str, *, limits: AudioLimits
) -> tuple[str, int]:
    """Return a recording's key, 64 hex digits, and the size of its file in bytes.

    Args:
        path: The recording.
        settings_digest: Of the settings of the store.
        limits: Only its ``max_file_bytes`` counts.

    Raises:
        AudioError: It is no readable file, or too large.
    """
    with open_source(path, max_bytes=limits.max_file_bytes) as opened:
        size = opened.size_bytes
        digest = hashlib.sha256(f"{settings_digest}\n{size}\n".encode("ascii"))
        digest.update(opened.file.read(min(size, _END_BYTES)))
        if size > _END_BYTES:
            opened.file.seek(max(_END_BYTES, size - _END_BYTES))
            digest.update(opened.file.read(_END_BYTES))
        return digest.hexdigest(), size
