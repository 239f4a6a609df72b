"""StepWriter: a recording's steps, appended in blocks that a kill cannot take back.

``KEY.part`` grows by a block, is flushed, and then ``KEY.json`` counts the block. What the count
does not cover is cut off by who goes on. A lock (``KEY.lock``) keeps two processes from the same
recording, and ends with its process.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from earful.errors import ScanError
from earful.index.recordings.array_file import (
    HEADER_BYTES,
    Steps,
    array_header,
    crc_of_steps,
    write_all,
)
from earful.index.recordings.kept import KeptRecording, SampleLevels
from earful.index.recordings.settings import StoreSettings
from earful.system import FileLock, flush, open_descriptor, replace_file, sync_folder
from earful.wording import printable

_CLOSED = -1


class BusyRecordingError(ScanError):
    """Another process is encoding a recording."""


class StepWriter:
    """Writer of one recording; locked from entering to leaving.

    ::

        with StepWriter(base, settings, begun) as writer:
            for steps, levels in blocks_from(writer.kept.n_blocks):
                writer.append(steps, levels)
            writer.finish(replace(writer.kept, sha256=..., duration_s=...))

    Args:
        base: Path of its files, without their endings.
        settings: Of the store.
        begun: What is known of a recording of which nothing is kept yet.

    Attributes:
        kept: What is kept by now; ``n_blocks`` says where to go on.
        is_finished: Whether it is finished, by this process or another.

    Raises:
        BusyRecordingError: On entering: another process is writing it.
        OSError: It cannot be written.
    """

    def __init__(self, base: Path, settings: StoreSettings, begun: KeptRecording) -> None:
        self.kept = begun
        self.is_finished = False
        self._settings = settings
        self._part = base.with_suffix(".part")
        self._array = base.with_suffix(".npy")
        self._about = base.with_suffix(".json")
        self._descriptor = _CLOSED
        self._lock_file = FileLock(base.with_suffix(".lock"))

    def __enter__(self) -> Self:
        self._part.parent.mkdir(exist_ok=True)
        if not self._lock():
            self._take_finished()
            return self
        try:
            # Looked for again: another process may have finished it before the lock was free.
            if self._array.exists():
                self._part.unlink(missing_ok=True)
                self._take_finished()
            else:
                self._descriptor = open_descriptor(self._part, os.O_RDWR | os.O_CREAT)
                self._resume()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close_file()
        if not self.is_finished and not self._about.exists():
            self._part.unlink(missing_ok=True)  # nothing was kept, so nothing is left behind
        self._close()

    def append(self, steps: Steps, levels: SampleLevels) -> None:
        """Append a block; from then on a kill cannot lose it.

        A last block that is shorter counts from ``finish`` on.

        Args:
            steps: float16, shape ``(n, row_dim)``; ``block_steps`` rows but for the last block.
            levels: Of the samples that they were made of.

        Raises:
            OSError: It cannot be written; what was kept before still is.
        """
        content = np.ascontiguousarray(steps, dtype="<f2")
        size = self.kept.n_steps * self._settings.row_dim * 2
        write_all(self._descriptor, content.data.cast("B"), HEADER_BYTES + size)
        flush(self._descriptor)
        counted = replace(
            self.kept,
            n_blocks=self.kept.n_blocks + 1,
            n_steps=self.kept.n_steps + len(content),
            crc32=zlib.crc32(content.data.cast("B"), self.kept.crc32),
            levels=self.kept.levels + levels,
        )
        if len(content) == self._settings.block_steps:
            counted.write(self._about)
        self.kept = counted

    def finish(self, whole: KeptRecording) -> None:
        """Give the file its name.

        Args:
            whole: What is known of the recording by now: ``kept`` with its digest, length and
                rates.

        Raises:
            OSError: It cannot be written; what was kept before still is.
        """
        whole.write(self._about)
        write_all(self._descriptor, array_header(whole.n_steps, self._settings.row_dim), 0)
        flush(self._descriptor)
        self._close_file()  # Windows renames no open file
        replace_file(self._part, self._array)
        sync_folder(self._array.parent)
        self.kept, self.is_finished = whole, True

    def _lock(self) -> bool:
        """Return whether it is ours now; not so where another has just finished it."""
        if self._lock_file.acquire():
            return True
        if self._array.exists():
            return False
        raise BusyRecordingError(
            f"{printable(self.kept.path)}: another process is encoding it; wait until it is done, "
            "and run the same command again"
        )

    def _resume(self) -> None:
        """Find out what is kept, and cut off the rest."""
        begun = self.kept
        try:
            found = KeptRecording.read(self._about)
        except (FileNotFoundError, ScanError):
            found = begun
        n_bytes = found.n_steps * self._settings.row_dim * 2
        if n_bytes and crc_of_steps(self._descriptor, n_bytes) != found.crc32:
            found, n_bytes = begun, 0
        if found.sha256:
            # Killed between the last count and the new name.
            self.finish(found)
            return
        self.kept = replace(
            begun,
            n_blocks=found.n_blocks,
            n_steps=found.n_steps,
            crc32=found.crc32,
            levels=found.levels,
        )
        if not self.kept.n_blocks:
            self._about.unlink(missing_ok=True)
        os.ftruncate(self._descriptor, HEADER_BYTES + n_bytes)
        write_all(self._descriptor, array_header(0, self._settings.row_dim), 0)

    def _take_finished(self) -> None:
        try:
            self.kept = KeptRecording.read(self._about)
        except FileNotFoundError as error:
            raise ScanError(
                f"{self._about}: is missing, expected it beside its steps; `earful recordings "
                "verify` says what to do"
            ) from error
        self.is_finished = True

    def _close(self) -> None:
        self._close_file()
        self._lock_file.release()

    def _close_file(self) -> None:
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
            self._descriptor = _CLOSED
