"""Corpus folders: their audio files and metadata tables, and the bounds of their root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from earful.errors import CorpusError
from earful.index.corpus.exemplar import to_nfc
from earful.wording import quoted

METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet")
SPLITS = ("train", "validation", "test")
# Endings of files that commonly lie beside audio and are none.
SIDECARS = frozenset(
    {".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".parquet", ".toml", ".yaml", ".yml"}
    | {".html", ".pdf", ".png", ".jpg", ".rst", ".lab", ".textgrid", ".cue", ""}
)


def audio_files(folder: Path, *, follow_links: bool = False) -> Iterator[Path]:
    """Yield the files below a folder in a fixed order, hidden ones and sidecars left out.

    Args:
        folder: Where to look.
        follow_links: Whether links to folders are followed.

    Raises:
        CorpusError: A folder cannot be read, is a link that must not be followed, or is met
            twice: a link to a folder above would be followed for ever.
    """
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=follow_links, onerror=_unreadable):
        here = os.stat(parent)
        if (here.st_dev, here.st_ino) in seen:
            raise CorpusError(
                f"{parent}: was already read under another name, by a link; remove one of the two"
            )
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=to_nfc)
        for name in folders:
            if not follow_links and os.path.islink(os.path.join(parent, name)):
                raise CorpusError(
                    f"{os.path.join(parent, name)}: is a link to a folder; put the folder itself "
                    "there, or pass --allow-outside to follow links"
                )
        for name in sorted(names, key=to_nfc):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() not in SIDECARS:
                yield path


def _unreadable(error: OSError) -> NoReturn:
    raise CorpusError(f"{error.filename}: cannot be read ({error.strerror})") from error


def metadata_tables(folder: Path) -> tuple[tuple[Path, Path, str], ...]:
    """Find a folder's audiofolder tables, the folders of their paths, and their splits.

    Args:
        folder: Holds a ``metadata.*`` itself, or in its split folders.

    Returns:
        ``(table, folder that its paths are relative to, split)`` each; empty when there is
        none.

    Raises:
        CorpusError: One folder holds several.
    """
    here = [folder / name for name in METADATA if os.path.lexists(folder / name)]
    if len(here) > 1:
        names = " and ".join(path.name for path in here)
        raise CorpusError(f"{folder}: holds {names}; expected one of them")
    if here:
        return ((here[0], folder, ""),)
    return tuple(
        (folder / split / name, folder / split, split)
        for split in SPLITS
        for name in METADATA
        if os.path.lexists(folder / split / name)
    )


def require_inside(path: Path, root: Path, where: str, *, allow_outside: bool) -> None:
    """Refuse a path that leads out of a corpus root, by itself or by a link.

    Args:
        path: Absolute path of an audio file.
        root: The resolved root.
        where: The row or file that names it, for messages.
        allow_outside: Whether any path is allowed.

    Raises:
        CorpusError: The path leads out of the root, and may not.
    """
    target = real_path(path)
    if allow_outside or target.is_relative_to(root):
        return
    leads = f" leads to {quoted(str(target))}, which" if path.is_relative_to(root) else ""
    raise CorpusError(
        f"{where}: audio {quoted(str(path))}{leads} lies outside {root}; move it inside, or pass "
        "--allow-outside (or --root with a folder above)"
    )


def real_path(path: Path) -> Path:
    """Follow all links; unlike ``Path.resolve`` this accepts links that lead in a circle."""
    return Path(os.path.realpath(path))
