"""Pages that are made from the code: written, or with ``--check`` compared with what is there."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_or_check(
    pages: Mapping[Path, str], *, left_over: Iterable[Path] = (), remedy: str = "./dev docs"
) -> None:
    """Write pages, or with ``--check`` among the program's arguments say which are not current.

    Args:
        pages: What each file has to hold.
        left_over: Files that nothing makes any more, to be removed.
        remedy: The command that writes them.

    Raises:
        SystemExit: Files are not current.
    """
    if "--check" not in sys.argv[1:]:
        for path in left_over:
            path.unlink()
        for path, text in pages.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return
    old = [
        path
        for path, text in pages.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if names := ", ".join(sorted(path.name for path in (*old, *left_over))):
        raise SystemExit(f"out of date: {names}; run {remedy} and commit it")
