"""What a test needs of the system; where it is missing, the test is skipped, and says so.

A test that itself asks for what the system lacks is skipped for it (``lacking``). What it asks of
another process has to be said: ``@needs("fork")``.
"""

import importlib.util
import os
import time
from pathlib import Path
from types import ModuleType

import pytest

TESTS = Path(__file__).resolve().parent.parent
_HOOK = TESTS / "portable" / "hook"
_MODULES = {"fcntl", "resource"}
_NO_PRIVILEGE = 1314


def has(name: str) -> bool:
    """Return whether the system has a module, or a function of ``os`` or ``time``."""
    if name in _MODULES:
        try:
            return importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:
            return False
    return hasattr(os, name) or hasattr(time, name)


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test where the system lacks a module, or a function of ``os`` or ``time``."""
    missing = [name for name in names if not has(name)]
    return pytest.mark.skipif(bool(missing), reason=f"the system lacks {', '.join(missing)}")


def lacking(error: BaseException) -> str:
    """Return what the system lacks, if a test, and not earful, asked for it; else ``""``."""
    if not _is_raised_by_a_test(error):
        return ""
    if isinstance(error, ModuleNotFoundError) and error.name in _MODULES:
        return str(error.name)
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        module = error.obj.__name__
        return f"{module}.{error.name}" if module in {"os", "select", "signal", "time"} else ""
    if isinstance(error, FileNotFoundError) and str(error.filename).startswith("/proc/"):
        return str(error.filename)
    if isinstance(error, OSError):
        is_link = getattr(error, "winerror", 0) == _NO_PRIVILEGE or "privilege" in str(error)
        return "links" if is_link else ""
    return ""


def _is_raised_by_a_test(error: BaseException) -> bool:
    """Return whether of all our files a test's is the innermost."""
    innermost, traceback = "", error.__traceback__
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if not Path(name).is_relative_to(_HOOK) and _is_ours(name):
            innermost = name
        traceback = traceback.tb_next
    return innermost != "" and Path(innermost).resolve().is_relative_to(TESTS)


def _is_ours(name: str) -> bool:
    path = Path(name)
    return path.is_relative_to(TESTS.parent) and ".venv" not in path.parts
