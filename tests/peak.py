"""The most memory that this process has had."""

from pathlib import Path


def peak_mib() -> float:
    """Return it in MiB, counted since the program was started.

    ``ru_maxrss`` counts what the process had before that, when it was a copy of its parent.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
