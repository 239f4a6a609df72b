"""What a test needs of the system; where it is missing, the test is skipped, and says so."""

import importlib.util
import os
import select
import time
from pathlib import Path

import pytest

_THERE = {
    "fcntl": lambda: importlib.util.find_spec("fcntl") is not None,
    "fork": lambda: hasattr(os, "fork"),
    "links": lambda: _can_link(),
    "memfd": lambda: hasattr(os, "memfd_create") and hasattr(select, "POLLRDHUP"),
    "pread": lambda: hasattr(os, "pread"),
    "proc": lambda: _has_proc(),
    "resource": lambda: importlib.util.find_spec("resource") is not None,
    "tzset": lambda: hasattr(time, "tzset"),
    "users": lambda: hasattr(os, "getuid"),
    "folder-sync": lambda: hasattr(os, "O_DIRECTORY"),
}


def has(name: str) -> bool:
    """Return whether the system has a facility."""
    try:
        return _THERE[name]()
    except ModuleNotFoundError:
        return False


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test where the system lacks one of its facilities."""
    missing = [name for name in names if not has(name)]
    return pytest.mark.skipif(bool(missing), reason=f"the system lacks: {', '.join(missing)}")


def _can_link() -> bool:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        try:
            os.symlink(folder, Path(folder) / "link")
        except OSError:
            return False
    return True


def _has_proc() -> bool:
    try:
        with open("/proc/self/statm", encoding="ascii"):
            return True
    except OSError:
        return False
