"""Take away what other systems lack, in this process and its children.

Python imports this file as it starts, where ``PYTHONPATH`` names its folder. ``EARFUL_WITHOUT``
lists what is taken away, with commas between; ``FACILITIES`` says what there is.
"""

import builtins
import errno
import importlib.abc
import io
import os
import select
import sys
import time
import warnings
from importlib.machinery import ModuleSpec
from typing import Any

MODULES = {"fcntl": ("fcntl",), "resource": ("resource",)}
NAMES: dict[str, dict[Any, tuple[str, ...]]] = {
    "affinity": {os: ("sched_getaffinity", "sched_setaffinity")},
    # torch takes register_at_fork for granted wherever there is no Windows.
    "fork": {os: ("fork", "forkpty")},
    "fchmod": {os: ("fchmod", "fchown")},
    "memfd": {os: ("memfd_create",), select: ("POLLRDHUP",)},
    "open-flags": {os: ("O_DIRECTORY", "O_NOFOLLOW")},
    "pread": {os: ("pread", "pwrite", "preadv", "pwritev")},
    "tzset": {time: ("tzset",)},
}
FACILITIES = (*MODULES, *NAMES, "links", "proc")


class _Hidden(importlib.abc.MetaPathFinder):
    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def take_away(names: set[str]) -> None:
    """Hide modules and functions.

    Raises:
        ValueError: A name is unknown.
    """
    if unknown := names - set(FACILITIES):
        raise ValueError(f"EARFUL_WITHOUT: {sorted(unknown)}, expected some of {FACILITIES}")
    if "fchmod" in names:
        # No system lacks it and has fcntl, and filelock takes the one for granted with the other.
        names = names | {"fcntl"}
    hidden = {module for name in names for module in MODULES.get(name, ())}
    for module in hidden:
        sys.modules.pop(module, None)
    sys.meta_path.insert(0, _Hidden(hidden))
    for name in names:
        for module, absent in NAMES.get(name, {}).items():
            for function in absent:
                if hasattr(module, function):
                    delattr(module, function)
    if "links" in names:
        os.symlink = _refuse_link  # type: ignore[assignment]
    if "proc" in names:
        _hide_proc()
    if "fcntl" in names:
        with warnings.catch_warnings():
            # It warns of this as it is imported, and in tests a warning is an error.
            warnings.simplefilter("ignore")
            try:
                import filelock  # noqa: F401
            except ImportError:
                return


def _refuse_link(source: Any, target: Any, *_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, "A required privilege is not held by the client", target)


def _hide_proc() -> None:
    plain_open = io.open

    def open_elsewhere(file: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(file, (str, os.PathLike)) and os.fspath(file).startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(file))
        return plain_open(file, *arguments, **named)

    builtins.open = io.open = open_elsewhere


if wanted := {name for name in os.environ.get("EARFUL_WITHOUT", "").split(",") if name}:
    take_away(wanted)
