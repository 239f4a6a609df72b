"""``FileLock``: one process at a time, by a file that is locked while it is open.

The system lets go when the process ends, however it ends; the file itself may stay, and means
nothing then. Where Python has no locks of the system, the file's existence is the lock, with its
holder's process in it: the next to come takes it where that process is gone.

On a network file system a lock holds between machines only where the system's locks do.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from earful.system.descriptors import open_descriptor

if TYPE_CHECKING:
    import filelock

_TRIES: Final = 5
_POLL_S: Final = 0.005
# Windows locks the first byte, and nobody else may read it: the record begins behind it.
_GAP: Final = b" "


def lock_beside(path: Path) -> Path:
    """Return the lock file of a file or folder that cannot be its own.

    >>> lock_beside(Path("runs/first.json"))
    PosixPath('runs/.first.json.lock')
    """
    return path.with_name(f".{path.name.removeprefix('.')}.lock")


def lock_marker(path: Path) -> Path:
    """Return the file whose existence is the lock, where the system has no locks.

    >>> lock_marker(Path("sounds.index/.lock"))
    PosixPath('sounds.index/.lock.held')
    """
    return path.with_name(f"{path.name}.held")


class FileLock:
    """A lock that one object holds at a time, of all threads and processes.

    Args:
        path: The file, in a folder that is there.
        keep: Whether the file stays when the lock is released.
        named: Whether its holder is written into it, for ``holder``.
    """

    def __init__(self, path: Path, *, keep: bool = False, named: bool = False) -> None:
        self.path = path
        self._keep = keep
        self._record = _write_record if named else None
        self._lock: filelock.BaseFileLock | None = None
        self._guard = threading.Lock()

    @property
    def is_held(self) -> bool:
        """Whether this object holds it; a forked child's copy does not."""
        return self._lock is not None and self._lock.is_locked

    def acquire(self, *, wait: bool = False) -> bool:
        """Take the lock.

        Args:
            wait: Whether to wait until it is free.

        Returns:
            Whether this object holds it now.

        Raises:
            OSError: The file cannot be written, or the file system has no locks.
        """
        with self._guard:
            if self._lock is not None:
                return False
            os.stat(self.path.parent)  # filelock would make it
            lock = _make_lock(self.path, keep=self._keep, record=self._record)
            if not _take(lock, wait=wait):
                return False
            if self._keep and not self.path.exists():
                self.path.touch()  # where another file is the lock
            self._lock = lock
            return True

    def release(self) -> None:
        """Let go; nothing happens where it is not held.

        Raises:
            OSError: The file system failed.
        """
        with self._guard:
            lock, self._lock = self._lock, None
            if lock is None or not lock.is_locked:
                return
            if not self._keep and os.name != "nt":
                # Whoever waits for it finds that the file they opened has no name any more.
                with suppress(OSError):
                    os.unlink(self.path)
            lock.release()

    def is_free(self) -> bool:
        """Return whether nobody holds it; the answer may be old by the time it is read.

        Raises:
            OSError: The file cannot be opened.
        """
        if not self.path.exists() and not lock_marker(self.path).exists():
            return True
        is_free = self.acquire()
        self.release()
        return is_free

    def holder(self) -> str:
        """Return who holds it, such as ``"process 12 on host since …"``, for messages."""
        for path, is_marker in ((lock_marker(self.path), True), (self.path, False)):
            with suppress(OSError, ValueError, KeyError, TypeError):
                return _read_record(path, is_marker=is_marker)
        return "another process"

    def __enter__(self) -> Self:
        self.acquire(wait=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _make_lock(
    path: Path, *, keep: bool, record: Callable[[int], None] | None
) -> filelock.BaseFileLock:
    with warnings.catch_warnings():
        # "only soft file lock is available": `earful doctor` says so.
        warnings.simplefilter("ignore")
        import filelock
    if sys.platform != "win32" and not filelock.has_fcntl:
        return filelock.SoftFileLock(lock_marker(path), thread_local=False, poll_interval=_POLL_S)
    kind = filelock.WindowsFileLock if sys.platform == "win32" else filelock.UnixFileLock
    return kind(
        path,
        mode=0o644,
        thread_local=False,
        poll_interval=_POLL_S,
        # A lock by existence would not end with a process that is killed.
        fallback_to_soft=False,
        preserve_lock_file=keep,
        on_acquired=record,
    )


def _take(lock: filelock.BaseFileLock, *, wait: bool) -> bool:
    import filelock

    if wait:
        lock.acquire()
        return True
    for _ in range(_TRIES):
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            # Its holder may have removed the file just now: then it was free after all.
            if os.path.exists(lock.lock_file):
                return False
        else:
            return True
    return False


def _write_record(descriptor: int) -> None:
    now = _time_text(datetime.now(UTC))
    me = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
    # On a full disk the lock still holds, only without the name of its holder.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, _GAP + json.dumps(me).encode())


def _read_record(path: Path, *, is_marker: bool = False) -> str:
    descriptor = open_descriptor(path, os.O_RDONLY)
    try:
        os.lseek(descriptor, 0 if is_marker else len(_GAP), os.SEEK_SET)
        content = os.read(descriptor, 4096)
        made_s = os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
    if is_marker:
        pid, host, *_ = content.decode().splitlines()
        return (
            f"process {int(pid)} on {host} since {_time_text(datetime.fromtimestamp(made_s, UTC))}"
        )
    who = json.loads(content)
    return f"process {who['pid']} on {who['host']} since {who['since']}"


def _time_text(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")
