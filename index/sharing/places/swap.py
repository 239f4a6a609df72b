"""A folder replaced by a finished one: a reader or a crash finds the old one or the new one."""

from __future__ import annotations

import shutil
from pathlib import Path

from earful.system import replace_folder as rename_folder
from earful.system import sync_file, sync_folder


def replace_folder(new: Path, target: Path) -> None:
    """Put a finished folder in the place of another, which need not exist.

    The old one is set aside first, so a kill in between leaves neither; ``restore_folder`` puts
    the old one back.

    Raises:
        OSError: It cannot be renamed; the old one is where it was.
    """
    for path in new.rglob("*"):
        if path.is_file():
            sync_file(path)
    aside = _aside(target)
    shutil.rmtree(aside, ignore_errors=True)
    had_old = target.exists()
    if had_old:
        rename_folder(target, aside)
    try:
        rename_folder(new, target)
    except OSError:
        if had_old:
            rename_folder(aside, target)
        raise
    sync_folder(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def restore_folder(target: Path) -> None:
    """Put back what a kill left set aside.

    Raises:
        OSError: It cannot be renamed.
    """
    if not target.exists() and (aside := _aside(target)).exists():
        rename_folder(aside, target)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.before")
