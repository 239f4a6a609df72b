"""Environment details for a bug report, without personal data.

A report has versions, counts, limits and digests. Paths and the names of the user and of the
machine are taken out wherever they might occur, unless they are asked for; labels, ids, file
names and audio are never in it.
"""

from __future__ import annotations

import getpass
import importlib.metadata
import locale
import os
import platform
import re
import shutil
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import earful
from earful.errors import EarfulError
from earful.system import describe_system, n_processors
from earful.wording import as_argument

if TYPE_CHECKING:
    from earful.index.storage import IndexInfo

FORMAT = "earful-report"
FORMAT_VERSION = 1

# The start of a path. Where a name with spaces ends cannot be known, so all after it goes.
_PATH = re.compile(r"""(?:^|(?<=[\s'"(=:,]))(?:[/~]|[A-Za-z]:\\|\\\\|\.\.?/).*""", re.DOTALL)
_SETTINGS = re.compile(r"^(EARFUL|HF|OMP|MKL|TORCH|CUDA|LANCE|TOKENIZERS)_")
_SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSWORD", re.IGNORECASE)


def failure_report(index: Path | None = None, *, with_paths: bool = False) -> dict[str, object]:
    """Describe this installation, as plain JSON values.

    Args:
        index: An index to count; its content is not in the report.
        with_paths: Whether paths, user and host names stay in it.
    """
    report: dict[str, object] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "earful": earful.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": _platform(),
        "machine": _machine(index or Path()),
        "packages": _packages(),
        "checks": _checks(),
        "settings": {
            name: "(set)" if _SECRET.search(name) else value
            for name, value in sorted(os.environ.items())
            if _SETTINGS.match(name)
        },
    }
    if index is not None:
        report["index"] = _index(index, with_paths=with_paths)
    if with_paths:
        return report
    names = _personal_names()
    return {key: _without(value, names) for key, value in report.items()}


def _platform() -> dict[str, object]:
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "filesystem_encoding": sys.getfilesystemencoding(),
        "preferred_encoding": locale.getpreferredencoding(False),
        "facilities": {each.name: each.used for each in describe_system()},
    }


def _machine(near: Path) -> dict[str, object]:
    """Return cores, instructions, memory and devices, and the free space beside the index."""
    existing = next(path for path in (near.absolute(), *near.absolute().parents) if path.exists())
    return {
        "cpus": os.cpu_count(),
        "cpus_allowed": n_processors(),
        "torch": _torch(),
        "memory_kib": _memory_kib(),
        "disk_free_bytes": shutil.disk_usage(existing).free,
    }


def _torch() -> dict[str, object] | None:
    """Return what torch sees of the machine; ``None`` where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return {
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "cuda": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())],
    }


def _memory_kib() -> dict[str, int]:
    wanted = {"MemTotal", "MemAvailable", "SwapTotal", "SwapFree"}
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name: int(value.split()[0]) for name, value in pairs if name in wanted}


def _packages() -> dict[str, str]:
    """Return the installed version of every package that earful requires."""
    found: dict[str, str] = {}
    for requirement in importlib.metadata.requires("earful") or ():
        match = re.match(r"[\w.-]+", requirement)
        name = match.group() if match else requirement
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return dict(sorted(found.items()))


def _checks() -> dict[str, dict[str, str]]:
    from earful.diagnostics.doctor import examine

    return {each.name: {"state": each.state, "found": each.found} for each in examine(hub=False)}


def _index(path: Path, *, with_paths: bool) -> dict[str, object]:
    from earful.index import Index

    try:
        index = Index.open(path)
        return _counts(index.info)
    except EarfulError as error:
        message = str(error) if with_paths else _text_without_path(str(error), path)
        return {"error": f"{type(error).__name__}: {message}"}


def _counts(info: IndexInfo) -> dict[str, object]:
    return {
        "format": info.format,
        "n": info.n,
        "labels": info.labels,
        "n_rejected": info.n_rejected,
        "n_roots": len(info.roots),
        "created": info.created,
        "updated": info.updated,
        "fingerprint": asdict(info.fingerprint),
    }


def _personal_names() -> list[str]:
    """Return the names that give away whose machine this is, the longest first."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = ""
    host = socket.gethostname()
    found = {str(Path.home()), os.getcwd(), user, host, host.partition(".")[0], platform.node()}
    # "root" is nobody's name, and a single letter would be taken out of every word.
    return sorted((n for n in found if len(n) > 2 and n != "root"), key=len, reverse=True)


def _without(value: object, names: list[str]) -> object:
    """Remove paths and names from all texts in a value."""
    if isinstance(value, dict):
        return {_text_without(str(k), names): _without(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [_without(item, names) for item in value]
    return _text_without(value, names) if isinstance(value, str) else value


def _text_without_path(text: str, path: Path) -> str:
    """Remove one path, whose end is known, so that the words after it stay."""
    paths = (path, path.absolute(), path.resolve())
    # As it is, and as quoted for a shell in a command that a message suggests.
    written = {*map(str, paths), *map(as_argument, paths)}
    for one in sorted(written, key=len, reverse=True):
        text = re.sub(rf"(?<![\w/.]){re.escape(one)}(?!\w)", "(path)", text)
    return text


def _text_without(text: str, names: list[str]) -> str:
    text = _PATH.sub("(path)", text)
    for name in names:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "(name)", text)
    return text
