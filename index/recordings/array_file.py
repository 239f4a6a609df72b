"""The file of a recording's steps: a NumPy array that grows block by block."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import ScanError
from earful.system import read_at, write_at

Steps = NDArray[np.float16]

_CHUNK_BYTES: Final = 1 << 22


def array_header(n_steps: int, step_dim: int) -> bytes:
    """Return the beginning of a ``.npy`` file; NumPy leaves room in it for any number of steps."""
    header = io.BytesIO()
    shape = {"descr": "<f2", "fortran_order": False, "shape": (n_steps, step_dim)}
    np.lib.format.write_array_header_1_0(header, shape)
    return header.getvalue()


HEADER_BYTES: Final = len(array_header(0, 512))


def crc_of_steps(descriptor: int, n_bytes: int) -> int | None:
    """Return the CRC of so many bytes of steps; ``None`` where the file has fewer.

    Raises:
        OSError: It cannot be read.
    """
    crc, at = 0, HEADER_BYTES
    end = HEADER_BYTES + n_bytes
    while at < end:
        chunk = read_at(descriptor, min(_CHUNK_BYTES, end - at), at)
        if not chunk:
            return None
        crc = zlib.crc32(chunk, crc)
        at += len(chunk)
    return crc


def write_all(descriptor: int, content: bytes | memoryview, at: int) -> None:
    """Write bytes at a place in a file.

    Raises:
        OSError: They cannot be written.
    """
    rest = memoryview(content)
    while rest:
        n = write_at(descriptor, rest, at)
        rest, at = rest[n:], at + n


def map_steps(path: Path, row_dim: int) -> Steps:
    """Map a finished file of steps and overviews into memory, read-only.

    Returns:
        float16, shape ``(n_steps, row_dim)``.

    Raises:
        FileNotFoundError: There is none.
        ScanError: It is damaged.
    """
    try:
        steps: Steps = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise ScanError(f"{path}: is damaged ({error})") from error
    if steps.dtype != np.dtype("<f2") or steps.ndim != 2 or steps.shape[1] != row_dim:
        raise ScanError(
            f"{path}: is damaged: expected float16 of shape (n, {row_dim}), got {steps.dtype} of "
            f"shape {steps.shape}"
        )
    return steps


class StepsFile:
    """Steps of a recording, read from their file slice by slice.

    What is mapped counts as memory of the process while it is read, and of twelve hours it is
    hundreds of megabytes; a slice is read and forgotten.

    Args:
        path: A finished file.
        row_dim: Length of a row in it.
        step_dim: Length of a step, with which a row begins.

    Attributes:
        shape: ``(n_steps, step_dim)``.

    Raises:
        FileNotFoundError: There is none.
        ScanError: It is damaged.
    """

    ndim = 2
    dtype = np.dtype(np.float16)

    def __init__(self, path: Path, row_dim: int, step_dim: int) -> None:
        self.shape = (len(map_steps(path, row_dim)), step_dim)
        self._path = path
        self._row_bytes = 2 * row_dim

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: slice) -> Steps:
        """Return consecutive steps, float16, shape ``(n, step_dim)``."""
        first, stop, step = rows.indices(len(self))
        if step != 1:
            raise IndexError(f"steps are read in order, expected a step of 1, got {step}")
        n_rows = max(0, stop - first)
        content = bytearray(n_rows * self._row_bytes)
        view, at = memoryview(content), HEADER_BYTES + first * self._row_bytes
        # Of thousands of examples none is held open.
        with open(self._path, "rb", buffering=0) as file:
            file.seek(at)
            while view and (n := file.readinto(view)):
                view = view[n:]
        if view:
            raise ScanError("a file of steps has become shorter while it was read; run it again")
        found: Steps = np.frombuffer(content, dtype="<f2").reshape(n_rows, -1)
        return found[:, : self.shape[1]]
