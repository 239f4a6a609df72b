"""The most memory that a process has had."""

from __future__ import annotations

from pathlib import Path


def peak_bytes(pid: int | str = "self") -> int:
    """Return the most that a process had resident since its program was started.

    ``ru_maxrss`` counts what the process had before that, when it was a copy of its parent.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
