"""Processes: how many processors one may use, and what a forked child does first."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable


def n_processors() -> int:
    """Return how many processors this process may use, where the system says; else all."""
    # Not os.process_cpu_count: it listens to PYTHON_CPU_COUNT and is new in Python 3.13.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def after_fork_in_child(call: Callable[[], object]) -> None:
    """Have a function called first in every forked child, where processes can fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


def can_share_files() -> bool:
    """Return whether a process can hand an open file in memory to another, over a socket."""
    return (
        os.name == "posix"
        and hasattr(os, "memfd_create")
        and hasattr(socket, "send_fds")
        and hasattr(select, "POLLRDHUP")
    )
