"""What lies in a corpus folder: audio, metadata tables, and names in one spelling."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from earful.errors import CorpusError

METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet")
SPLITS = ("train", "validation", "test")
# Endings of files that stand beside audio and are not meant to be any.
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
        CorpusError: A folder cannot be read, is a link that is not to be followed, or is met
            twice: a link to a folder above would lead round for ever.
    """
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=follow_links, onerror=_unreadable):
        here = os.stat(parent)
        if (here.st_dev, here.st_ino) in seen:
            raise CorpusError(
                f"{parent}: is read already under another name, by a link; remove one of the two"
            )
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=normal)
        for name in folders:
            if not follow_links and os.path.islink(os.path.join(parent, name)):
                raise CorpusError(
                    f"{os.path.join(parent, name)}: is a link to a folder; put the folder itself "
                    "there, or say --allow-outside to follow links"
                )
        for name in sorted(names, key=normal):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() not in SIDECARS:
                yield path


def _unreadable(error: OSError) -> NoReturn:
    raise CorpusError(f"{error.filename}: cannot be read ({error.strerror})") from error


def metadata_tables(folder: Path) -> tuple[tuple[Path, Path, str], ...]:
    """Find a folder's audiofolder tables, where their paths start, and each one's split.

    Args:
        folder: Holds a ``metadata.*`` itself, or in its split folders.

    Returns:
        ``(table, folder its paths start from, split)`` each; empty when there is none.

    Raises:
        CorpusError: There are several where one is wanted.
    """
    here = [folder / name for name in METADATA if os.path.lexists(folder / name)]
    if len(here) > 1:
        names = " and ".join(path.name for path in here)
        raise CorpusError(f"{folder}: holds {names}; want one of them")
    if here:
        return ((here[0], folder, ""),)
    return tuple(
        (folder / split / name, folder / split, split)
        for split in SPLITS
        for name in METADATA
        if os.path.lexists(folder / split / name)
    )


def normal(text: str) -> str:
    """Return text in Unicode's composed form, in which equal labels are equal strings.

    >>> normal("e\u0301") == "\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text)
