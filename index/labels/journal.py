"""LabelJournal: ``labels.jsonl``, a line for each keystroke, never rewritten.

A line counts when its line end is on the disk. A write that was cut off leaves a piece without
one; the next append ends that piece by ``~`` and says so by ``{"torn": BYTES}``, where BYTES is
what lies between the last good line and this note. So a piece that was never promised to anybody
is told from a line that was damaged later, which is an error.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from earful.errors import LabelError
from earful.files import NO_ROOM
from earful.index.labels.fold import Fold, LabelState
from earful.index.labels.label import Label, Undo
from earful.system import FileLock, flush, lock_beside, open_descriptor, read_at, sync_folder
from earful.values import repr_of
from earful.wording import counted, printable

JOURNAL_FILE: Final = "labels.jsonl"

# Longer than any line that a label makes: paths of 4,096 characters, each escaped as \uXXXX.
_MOST_LINE: Final = 1 << 18
# Where only the line end is missing, a line end alone would make it count.
_END_OF_TORN: Final = b"~\n"


def journal_path(folder: str | os.PathLike[str]) -> Path:
    """Return where the journal of a scan's folder, or of an index, lies.

    >>> journal_path("night.scan").name
    'labels.jsonl'
    """
    return Path(folder, JOURNAL_FILE)


class LabelJournal:
    """Labels in order, appended by any number of threads and processes.

    Args:
        path: The file; made by the first label.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._guard = threading.RLock()
        self._fold = Fold()
        self._state: LabelState | None = None
        self._notes: list[str] = []
        # Which file was read, up to which byte; what follows there is in ``_pending``.
        self._file: tuple[int, int] | None = None
        self._size = 0
        self._n_lines = 0
        self._pending = b""

    def __repr__(self) -> str:
        return repr_of(self, path=self.path)

    def append(self, label: Label) -> Label:
        """Append a label; when it returns, the label is on the disk.

        Args:
            label: Its ``seq`` is set here, and so is ``at`` where it is ``None``.

        Returns:
            The label as it was written.

        Raises:
            LabelError: The journal is damaged, or cannot be written; nothing is promised then.
        """
        return self.append_all([label])[0]

    def append_all(self, labels: Sequence[Label]) -> tuple[Label, ...]:
        """Append labels in one write; when it returns, all of them are on the disk.

        Killed in the midst of it, the first so many of them are there.

        Raises:
            LabelError: The journal is damaged, or cannot be written; nothing is promised then.
        """
        if not labels:
            return ()
        now = datetime.now(UTC)
        with self._guard, self._locked() as descriptor:
            first = self._fold.last_seq + 1
            written = [
                replace(one, seq=first + n, at=one.at or now) for n, one in enumerate(labels)
            ]
            self._write(descriptor, written)
        return tuple(written)

    def undo(self, seq: int, reviewer: str) -> Label:
        """Take back a label.

        Args:
            seq: Its number.
            reviewer: Who said it.

        Returns:
            The label that no longer counts.

        Raises:
            LabelError: There is none, another said it, it was taken back already, or the journal
                is damaged or cannot be written.
        """
        with self._guard, self._locked() as descriptor:
            label = self._fold.undoable(seq, reviewer)
            line = Undo(
                undo=seq,
                reviewer=label.reviewer,
                seq=self._fold.last_seq + 1,
                at=datetime.now(UTC),
            )
            self._write(descriptor, [line])
        return label

    def read(self, after: int = 0) -> tuple[Label | Undo, ...]:
        """Return the lines after a number, in order.

        Raises:
            LabelError: The journal is damaged or cannot be read.
        """
        with self._guard:
            self._catch_up()
            lines = self._fold.lines
            return tuple(lines if after <= 0 else (one for one in lines if one.seq > after))

    def state(self) -> LabelState:
        """Return what is said by now.

        Only what was appended since the last call is read.

        Raises:
            LabelError: The journal is damaged or cannot be read.
        """
        with self._guard:
            self._catch_up()
            notes = tuple(self._notes)
            if self._pending:
                notes = (*notes, self._torn_note(len(self._pending), self._n_lines + 1))
            if self._state is None or self._state.notes != notes:
                self._state = self._fold.state(notes)
            return self._state

    # --- writing -----------------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Yield a descriptor to append to, of a file that is locked and read to its end."""
        is_new = not self.path.exists()
        lock, descriptor = FileLock(lock_beside(self.path), keep=True), None
        try:
            # Beside it: what Windows locks, nobody else can read.
            lock.acquire(wait=True)
            descriptor = open_descriptor(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            if is_new:
                sync_folder(self.path.parent)
        except OSError as error:
            if descriptor is not None:
                os.close(descriptor)
            lock.release()
            raise self._unwritable(error) from error
        try:
            self._catch_up(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)
            lock.release()

    def _write(self, descriptor: int, lines: Sequence[Label | Undo]) -> None:
        begin = b""
        if self._pending:
            begin = b"" if self._pending.endswith(b"\n") else _END_OF_TORN
            begin += _encoded({"torn": len(self._pending) + len(begin)})
        content = begin + b"".join(_encoded(one.to_dict()) for one in lines)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left) :]
            flush(descriptor)
        except OSError as error:
            raise self._unwritable(error) from error
        self._catch_up(descriptor)

    def _unwritable(self, error: OSError) -> LabelError:
        step = "make room" if error.errno in NO_ROOM else "make it writable"
        return LabelError(
            f"{printable(str(self.path))}: cannot be written ({error.strerror or error}); {step}, "
            "and say it again"
        )

    # --- reading -----------------------------------------------------------------------------

    def _forget(self) -> None:
        self._fold, self._state, self._notes = Fold(), None, []
        self._file, self._size, self._n_lines, self._pending = None, 0, 0, b""

    def _catch_up(self, descriptor: int | None = None) -> None:
        """Read what was appended since the last time."""
        if descriptor is not None:
            self._read_on(descriptor)
            return
        try:
            descriptor = open_descriptor(self.path, os.O_RDONLY)
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            self._read_on(descriptor)
        finally:
            os.close(descriptor)

    def _read_on(self, descriptor: int) -> None:
        try:
            about = os.fstat(descriptor)
            known = self._size + len(self._pending)
            if self._file != (about.st_dev, about.st_ino) or about.st_size < known:
                self._forget()
                self._file = (about.st_dev, about.st_ino)
            elif about.st_size == known:
                return
            content = bytearray()
            while more := read_at(descriptor, 1 << 20, self._size + len(content)):
                content += more
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            self._count(bytes(content))
        except LabelError:
            self._forget()
            raise

    def _count(self, content: bytes) -> None:
        """Count the lines from ``_size`` on; what is unfinished at the end is pending."""
        at = good = 0
        fault, n_lines = "", self._n_lines
        while (end := content.find(b"\n", at)) >= 0:
            n_lines += 1
            n_torn, line, why = _decoded(content[at : end + 1])
            if n_torn is not None and n_torn == at - good:
                if n_torn:
                    self._notes.append(self._torn_note(n_torn, self._n_lines + 1))
            elif line is None:
                # Perhaps a piece of a write that was cut off: what follows will tell.
                fault = fault or f"line {n_lines}: {why}"
                at = end + 1
                continue
            elif fault:
                raise self._damaged(fault)
            else:
                try:
                    self._fold.add(line)
                except LabelError as error:
                    raise self._damaged(f"line {n_lines}: {error}") from error
                self._state = None
            at = good = end + 1
            fault, self._n_lines = "", n_lines
        self._size += good
        self._pending = content[good:]

    def _torn_note(self, n_bytes: int, line: int) -> str:
        return (
            f"{printable(str(self.path))}: line {line} was never finished "
            f"({counted(n_bytes, 'byte')}), as its writer was ended: left out"
        )

    def _damaged(self, fault: str) -> LabelError:
        return LabelError(
            f"{printable(str(self.path))}: {fault}; the file was changed after it was written: "
            "put back a copy of it, or mend that line"
        )

    def _unreadable(self, error: OSError) -> LabelError:
        return LabelError(
            f"{printable(str(self.path))}: cannot be read ({error.strerror or error}); expected "
            "the labels of a scan or an index"
        )


def _encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"


def _decoded(line: bytes) -> tuple[int | None, Label | Undo | None, str]:
    """Return the bytes that a note calls torn, or the label or undo of a line, or why neither."""
    if len(line) > _MOST_LINE:
        return None, None, f"has {len(line)} bytes; expected at most {_MOST_LINE}"
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None, None, "is no JSON"
    if not isinstance(value, dict):
        return None, None, "is no JSON object"
    if set(value) == {"torn"} and isinstance(value["torn"], int):
        return value["torn"], None, "says that something is torn which is not"
    try:
        read = Undo.from_dict(value) if "undo" in value else Label.from_dict(value)
    except (LabelError, TypeError) as error:
        return None, None, str(error)
    if not read.seq or read.at is None:
        return None, None, "has no number or no moment"
    return None, read, ""
