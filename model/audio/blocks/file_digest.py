"""The digest of an open file, computed in a thread while others read it, where systems can."""

from __future__ import annotations

import hashlib
import threading
from typing import Final

from earful.model.audio.source import OpenSource
from earful.system import can_read_at, read_at

_DIGEST_BYTES: Final = 1 << 20


class FileDigest:
    """Digest of an open file, computed while it is decoded, or at its end.

    Args:
        opened: The file, which stays open until ``close``.
    """

    def __init__(self, opened: OpenSource) -> None:
        self._descriptor = opened.file.fileno()
        self._digest = hashlib.sha256()
        self._fault: OSError | None = None
        self._is_wanted = True
        self._thread = threading.Thread(target=self._read, name="earful-digest", daemon=True)
        # Elsewhere, reading at a place would move the decoder's.
        self._is_beside = can_read_at()
        if self._is_beside:
            self._thread.start()

    def finish(self) -> str:
        """Wait for the digest, in hex; nobody else may read the file any more."""
        if self._is_beside:
            self._thread.join()
        else:
            self._read()
        if self._fault is not None:
            raise self._fault
        return self._digest.hexdigest()

    def close(self) -> None:
        """Read no further."""
        self._is_wanted = False
        if self._is_beside:
            self._thread.join()

    def _read(self) -> None:
        place = 0
        try:
            while self._is_wanted and (data := read_at(self._descriptor, _DIGEST_BYTES, place)):
                self._digest.update(data)
                place += len(data)
        except OSError as error:
            self._fault = error
