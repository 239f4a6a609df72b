"""The writer lock: one writer at a time, by an advisory lock on a file in the index folder.

The lock ends with its process, so nothing has to be cleaned up after a kill. On a network
file system it holds between machines only where ``flock`` does.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

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
