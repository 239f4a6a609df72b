"""The writer lock: one writer at a time, by a lock on a file in the index folder.

The lock ends with its process, so nothing has to be cleaned up after a kill. On a network
file system it holds between machines only where the system's locks do. Where the folder is the
copy of an index in an object store, the right to write that one is taken with it, and what was
committed is published when it is given back (``earful.index.remote``).

LanceDB's threads do not come along into a forked process. LanceDB 0.40 starts them anew there, and
then hangs or crashes about one time in three (measured with a table that the parent had opened), so
such a process must not call it. One whose parent has not used LanceDB may, and rows that were read
before the fork can be used.
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Final

from earful.errors import IndexBusyError, IndexFolderError
from earful.system import FileLock, after_fork_in_child

if TYPE_CHECKING:
    from earful.index.remote import RemoteWriter

LOCK_NAME = ".lock"
# Of a folder that somebody else may write, or nobody.
_NOT_OURS: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


class WriterLock:
    """The right to write an index; the thread that holds it may take it again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME
        self._file = FileLock(self._path, keep=True, named=True)
        self._thread_lock = threading.RLock()
        self._depth = 0
        self._remote: RemoteWriter | None = None

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lock for a block.

        Yields:
            Whether it was free: false where this thread already held it.

        Raises:
            IndexBusyError: Another process or thread holds it; the message names it.
            IndexFolderError: The lock file cannot be written.
            StoreError: The folder is a copy of an index in a store, which cannot be used.
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
                if self._depth == 1 and self._remote is not None:
                    self._remote.publish_if_due()
                return
            self._take()
            self._depth = 1
            try:
                yield True
                if self._remote is not None:
                    self._remote.finish()
            except BaseException:
                if self._remote is not None:
                    self._remote.give_up()
                raise
            finally:
                self._depth, self._remote = 0, None
                self._file.release()
        finally:
            self._thread_lock.release()

    @contextmanager
    def kept_still(self) -> Iterator[None]:
        """Keep writers of this machine out for a block that reads alone.

        A folder that this process may not write is read without it, as nothing can be locked there:
        what is read is of one version of the table, whoever writes meanwhile. Of an index in a
        store its copy here is kept still, for which the store need not be writable.

        Raises:
            IndexBusyError: Another process or thread is writing.
            IndexFolderError: The lock file cannot be written, though the folder can.
        """
        is_locked = self._lock_file(may_be_read_only=True)
        try:
            yield
        finally:
            if is_locked:
                self._file.release()

    def _take(self) -> None:
        """Lock the file and, of a copy of an index in a store, take the right to write that."""
        from earful.index.remote import Mirror, RemoteWriter

        mirror = Mirror.at(self._path.parent)
        if mirror is None:
            self._lock_file()
            return
        with mirror.held():
            self._lock_file()
            try:
                remote = RemoteWriter(mirror)
                remote.begin()
            except BaseException:
                self._file.release()
                raise
        self._remote = remote

    def _lock_file(self, *, may_be_read_only: bool = False) -> bool:
        """Lock the file; return false where it may be, and is, where nothing can be locked."""
        try:
            is_ours = self._file.acquire()
        except OSError as error:
            if may_be_read_only and error.errno in _NOT_OURS:
                return False
            raise IndexFolderError(
                f"{self._path.parent}: cannot be locked for writing ({error.strerror}); choose a "
                "local folder that this user may write"
            ) from error
        if not is_ours:
            raise IndexBusyError(
                f"{self._path.parent}: is being written by {self._file.holder()}; wait for it, the "
                "index can be searched in the meantime"
            )
        return True


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


after_fork_in_child(_end_well)
