"""What this system offers of what earful uses, what is used instead, and what is lost by it."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass

from earful.system.limits import has_memory_limit, has_time_limit
from earful.system.processes import can_share_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """One facility of a system.

    Attributes:
        name: What it is for.
        used: What is used here.
        lost: What its stand-in does not do; empty where the system has the facility itself.
    """

    name: str
    used: str
    lost: str = ""


def describe_system() -> tuple[Facility, ...]:
    """Describe this system; what is said is looked up, never concluded from its name alone."""
    return (
        _system(),
        _locks(),
        _flushing(),
        _memory(),
        _time(),
        _samples(),
        _forks(),
        _processors(),
    )


def _system() -> Facility:
    known = sys.platform.startswith("linux")
    lost = "" if known else "nobody has run earful on it to verify it; see docs/platforms.md"
    return Facility(name="system", used=f"{platform.system()} {platform.machine()}", lost=lost)


def _locks() -> Facility:
    name = "file locks"
    if sys.platform == "win32":
        return Facility(name=name, used="locks of byte ranges (LockFileEx)")
    try:
        import fcntl  # noqa: F401 - only whether it is there
    except ImportError:
        return Facility(
            name=name,
            used="lock files whose existence counts",
            lost="a lock of a process on another machine that was killed stays, until its file "
            "(*.held) is removed",
        )
    return Facility(name=name, used="the kernel's (flock)")


def _flushing() -> Facility:
    name = "flushing to the disk"
    if not hasattr(os, "O_DIRECTORY"):
        lost = "names of new files are flushed when the file system does it; a power cut can lose "
        return Facility(name=name, used="files alone", lost=f"{lost}the last ones")
    used = "F_FULLFSYNC" if sys.platform == "darwin" else "fsync"
    return Facility(name=name, used=f"{used}, files and folders")


def _memory() -> Facility:
    name = "memory of decoding"
    if has_memory_limit():
        return Facility(name=name, used="limited by the kernel (RLIMIT_AS)")
    return Facility(
        name=name,
        used="a watchdog that looks every 50 ms",
        lost="a decoder can take more for a moment",
    )


def _time() -> Facility:
    name = "processor time of decoding"
    if has_time_limit():
        return Facility(name=name, used="limited by the kernel (RLIMIT_CPU)")
    return Facility(
        name=name,
        used="a watchdog that looks every 50 ms",
        lost="a decoder that holds Python's lock is ended by the limit on elapsed time alone",
    )


def _samples() -> Facility:
    name = "samples of decoding"
    if can_share_files():
        return Facility(name=name, used="files in memory (memfd_create), handed over a socket")
    return Facility(name=name, used="a pipe", lost="they are copied twice more")


def _forks() -> Facility:
    name = "forked processes"
    if hasattr(os, "fork") and hasattr(os, "register_at_fork"):
        return Facility(name=name, used="made safe in the child")
    return Facility(name=name, used="none; others are started anew (spawn)")


def _processors() -> Facility:
    name = "processors"
    if hasattr(os, "sched_getaffinity"):
        return Facility(name=name, used="those that this process may use")
    return Facility(name=name, used="all", lost="a limit that was set for this process is not seen")
