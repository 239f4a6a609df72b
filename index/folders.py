"""What lies in a corpus folder: audio, metadata tables, and names in one spelling."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from earful.errors import CorpusError

METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet")
SPLITS = ("train", "validation", "test")
# Endings of files that stand beside audio and are not meant to be any.
SIDECARS = frozenset(
    {".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".parquet", ".toml", ".yaml", ".yml"}
    | {".html", ".pdf", ".png", ".jpg", ".rst", ".lab", ".textgrid", ".cue", ""}
)


def audio_files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in a fixed order, hidden ones and sidecars left out.

    Args:
        folder: Where to look; links to folders are not followed.
    """
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=normal)
        for name in sorted(names, key=normal):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() not in SIDECARS:
                yield path


def metadata_tables(folder: Path) -> tuple[tuple[Path, Path, str], ...]:
    """Find a folder's audiofolder tables, where their paths start, and each one's split.

    Args:
        folder: Holds a ``metadata.*`` itself, or in its split folders.

    Returns:
        ``(table, folder its paths start from, split)`` each; empty when there is none.

    Raises:
        CorpusError: There are several where one is wanted.
    """
    here = [folder / name for name in METADATA if (folder / name).is_file()]
    if len(here) > 1:
        names = " and ".join(path.name for path in here)
        raise CorpusError(f"{folder}: holds {names}; want one of them")
    if here:
        return ((here[0], folder, ""),)
    return tuple(
        (folder / split / name, folder / split, split)
        for split in SPLITS
        for name in METADATA
        if (folder / split / name).is_file()
    )


def normal(text: str) -> str:
    """Return text in Unicode's composed form, in which equal labels are equal strings.

    >>> normal("e\u0301") == "\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text)
