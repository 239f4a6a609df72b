"""Limits of this process on memory and processor time: the system's, or a watchdog's.

Where the system enforces a limit, an allocation fails, or a signal ends the process at the very
moment. A watchdog is a thread of the process that looks twenty times a second and ends it: later,
not at all while a library holds Python's lock, and what it ends cannot answer any more.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from typing import Final

from earful.system.memory import address_bytes, memory_bytes

TOO_LONG_STATUS: Final = 120
"""Exit status of a process that its watchdog ended: it took too much processor time."""
TOO_MUCH_STATUS: Final = 121
"""Exit status of a process that its watchdog ended: it took too much memory."""

_LOOK_S: Final = 0.05


def has_memory_limit() -> bool:
    """Return whether the system enforces a limit on a process's memory."""
    # macOS knows the limit's name, and enforces nothing.
    return sys.platform.startswith("linux") and _has_resource() and address_bytes() is not None


def has_time_limit() -> bool:
    """Return whether the system enforces a limit on a process's processor time."""
    return _has_resource()


def limit_memory(n_bytes: int) -> None:
    """Limit this process's memory, and let it write no core dump.

    Args:
        n_bytes: In addition to what it takes now.
    """
    if _has_resource():
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # Samples travel in files in memory, to which the limit on file sizes applies.
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        taken = address_bytes()
        if has_memory_limit() and taken is not None:
            resource.setrlimit(resource.RLIMIT_AS, (taken + n_bytes, resource.RLIM_INFINITY))
            return
    taken = memory_bytes()
    if taken is not None:
        _watchdog.watch(most_bytes=taken + n_bytes)


def limit_cpu_time(seconds: float) -> None:
    """Have this process ended when it takes more processor time, in seconds, from now on."""
    if not has_time_limit():
        _watchdog.watch(until_s=time.process_time() + seconds)
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    limit_s = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, resource.RLIM_INFINITY))


class _Watchdog:
    """A thread that ends this process when it takes too much."""

    def __init__(self) -> None:
        self._most_bytes = math.inf
        self._until_s = math.inf
        self._thread: threading.Thread | None = None

    def watch(self, *, most_bytes: float | None = None, until_s: float | None = None) -> None:
        self._most_bytes = self._most_bytes if most_bytes is None else most_bytes
        self._until_s = self._until_s if until_s is None else until_s
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="earful-watchdog", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            if time.process_time() > self._until_s:
                os._exit(TOO_LONG_STATUS)
            if self._most_bytes < math.inf and (memory_bytes() or 0) > self._most_bytes:
                os._exit(TOO_MUCH_STATUS)


_watchdog = _Watchdog()


def _has_resource() -> bool:
    try:
        import resource  # noqa: F401 - only whether it is there
    except ImportError:
        return False
    return True
