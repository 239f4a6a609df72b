"""The writer lock: one writer at a time, by an advisory lock on a file in the index folder.

The lock ends with its process, so nothing has to be cleaned up after a kill. On a network
file system it holds between machines only where ``flock`` does.

LanceDB's threads do not come along into a forked process. LanceDB 0.40 starts them anew there, and
then hangs or crashes about one time in three (measured with a table that the parent had opened), so
such a process must not call it. One whose parent has not used LanceDB may, and rows that were read
before the fork can be used.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import BuiltinFunctionType

from earful.errors import IndexBusyError, IndexFolderError

LOCK_NAME = ".lock"


class WriterLock:
    """The right to write an index; the thread that holds it may take it again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME
        self._thread_lock = threading.RLock()
        self._depth = 0

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lock for a block.

        Yields:
            Whether it was free: false where this thread already held it.

        Raises:
            IndexBusyError: Another process or thread holds it; the message names it.
            IndexFolderError: The lock file cannot be written.
        """
        if not self._thread_lock.acquire(blocking=False):
            raise IndexBusyError(
                f"{self._path.parent}: is being written by another thread of this process; "
                "write from one thread"
            )
        try:
            if self._depth:
                self._depth += 1
                try:
                    yield False
                finally:
                    self._depth -= 1
                return
            descriptor = self._lock_file()
            self._depth = 1
            try:
                yield True
            finally:
                self._depth = 0
                # Closing alone would leave the lock to a child forked in the meantime.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)
        finally:
            self._thread_lock.release()

    def _lock_file(self) -> int:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 4096, 0)
            os.close(descriptor)
            raise IndexBusyError(
                f"{self._path.parent}: is being written by {_describe(holder)}; wait for it, the "
                "index can be searched in the meantime"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise self._unwritable(error) from error
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        # On a full disk the lock still holds, only without the name of its holder.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(me).encode(), 0)
        return descriptor

    def _unwritable(self, error: OSError) -> IndexFolderError:
        return IndexFolderError(
            f"{self._path.parent}: cannot be locked for writing ({error.strerror}); choose a local "
            "folder that this user may write"
        )


def _describe(holder: bytes) -> str:
    try:
        who = json.loads(holder)
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


# --- forked processes ----------------------------------------------------------------------

_first_lance_user = 0


def use_lance_here(folder: Path) -> None:
    """Note that this process calls LanceDB; refuse where the one it was forked from did.

    Args:
        folder: The index folder, for the message.

    Raises:
        IndexFolderError: It did.
    """
    global _first_lance_user
    _first_lance_user = _first_lance_user or os.getpid()
    if _first_lance_user != os.getpid():
        raise IndexFolderError(
            f"{folder}: cannot be read or written in a process made by os.fork() after its parent "
            "has opened an index, as LanceDB would hang or crash. Start workers with 'spawn' "
            "(multiprocessing.get_context('spawn')) and open the index in each; or let the "
            "parent read all rows before the fork, by index.vectors() and index.class_scores or "
            "by one question: then children can answer and search"
        )


def _shut_nothing_down() -> None:
    """Keep LanceDB from waiting, as the child ends, for threads that it does not have."""
    for found in gc.get_objects():
        # The function is registered while LanceDB is imported, and is offered nowhere.
        if isinstance(found, BuiltinFunctionType) and found.__module__ == "lancedb._lancedb":
            atexit.unregister(found)


def _end_well() -> None:
    if _first_lance_user:
        # What is registered last is called first.
        atexit.register(_shut_nothing_down)


os.register_at_fork(after_in_child=_end_well)
