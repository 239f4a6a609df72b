"""A view of an open file: a part of it, with some bytes replaced."""

from __future__ import annotations

import io
import os


class FileView(io.BufferedIOBase):
    """Seekable part of an open binary file, in which a few bytes may read differently.

    Decoders are told by it where a recording begins, where it ends and how long it is, without
    a copy of the file. The file stays open when the view is closed.

    Args:
        file: Seekable binary file.
        start: Where the view begins in it, in bytes.
        stop: Where the view ends in it, in bytes.
        patch_at: Where in the view other bytes are read.
        patch: Those bytes.

    >>> view = FileView(io.BytesIO(b"tagRIFF0000"), start=3, stop=11, patch_at=4, patch=b"1234")
    >>> view.seek(2), view.read(4), view.read()
    (2, b'FF12', b'34')
    """

    def __init__(
        self,
        file: io.BufferedIOBase,
        *,
        start: int = 0,
        stop: int,
        patch_at: int = 0,
        patch: bytes = b"",
    ) -> None:
        self._file = file
        self._start = start
        self._size = max(0, stop - start)
        self._position = 0
        self._patch_at = patch_at
        self._patch = patch

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def tell(self) -> int:
        """Return the position in the view, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move within the view; see ``io.IOBase.seek``.

        Raises:
            ValueError: The place lies before the beginning.
        """
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}: expected 0 or more")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes, or all that are left."""
        n_left = max(0, self._size - self._position)
        n = n_left if size is None or size < 0 else min(size, n_left)
        self._file.seek(self._start + self._position)
        data = self._file.read(n)
        first = max(self._patch_at, self._position)
        last = min(self._patch_at + len(self._patch), self._position + len(data))
        if first < last:
            own = self._patch[first - self._patch_at : last - self._patch_at]
            at = first - self._position
            data = data[:at] + own + data[at + len(own) :]
        self._position += len(data)
        return data

    def read1(self, size: int = -1, /) -> bytes:
        """Read as ``read`` does."""
        return self.read(size)

    def readinto(self, buffer: memoryview | bytearray, /) -> int:  # type: ignore[override]
        """Fill a buffer; return how many bytes were read."""
        with memoryview(buffer) as view, view.cast("B") as raw:
            data = self.read(len(raw))
            raw[: len(data)] = data
        return len(data)
