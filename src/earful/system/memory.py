"""How much memory a process takes, without a package for it."""

from __future__ import annotations

import ctypes
import mmap
import sys
from contextlib import suppress
from typing import Final

# Fields of what Linux says of a process's memory.
_ADDRESSES: Final = 0
_RESIDENT: Final = 1


def memory_bytes() -> int | None:
    """Return the memory that this process takes, in bytes; ``None`` where no one says.

    Linux and Windows say how much it takes now, other systems how much it has taken at most.
    """
    if (taken := _linux_bytes(_RESIDENT)) is not None:
        return taken
    if sys.platform == "win32":
        return _committed_bytes()
    with suppress(ImportError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most << 10
    return None


def address_bytes() -> int | None:
    """Return the address space that this process takes, in bytes; ``None`` where no one says."""
    return _linux_bytes(_ADDRESSES)


def _linux_bytes(field: int) -> int | None:
    with suppress(OSError, ValueError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[field]) * mmap.PAGESIZE
    return None


if sys.platform == "win32":
    from ctypes import wintypes

    class _Counters(ctypes.Structure):
        """``PROCESS_MEMORY_COUNTERS``."""

        _fields_ = (
            ("cb", wintypes.DWORD),
            ("PageFaultCount", wintypes.DWORD),
            ("PeakWorkingSetSize", ctypes.c_size_t),
            ("WorkingSetSize", ctypes.c_size_t),
            ("QuotaPeakPagedPoolUsage", ctypes.c_size_t),
            ("QuotaPagedPoolUsage", ctypes.c_size_t),
            ("QuotaPeakNonPagedPoolUsage", ctypes.c_size_t),
            ("QuotaNonPagedPoolUsage", ctypes.c_size_t),
            ("PagefileUsage", ctypes.c_size_t),
            ("PeakPagefileUsage", ctypes.c_size_t),
        )

    def _committed_bytes() -> int | None:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.GetCurrentProcess.restype = wintypes.HANDLE
        ask = kernel.K32GetProcessMemoryInfo
        ask.argtypes = (wintypes.HANDLE, ctypes.POINTER(_Counters), wintypes.DWORD)
        counters = _Counters(cb=ctypes.sizeof(_Counters))
        found = ask(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb)
        return int(counters.PagefileUsage) if found else None
