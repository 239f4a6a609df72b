"""Layout on the disk: the folder that files are named from, and which of them are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from earful.errors import CorpusError
from earful.index.datasets.declaration import Dataset, Source
from earful.index.datasets.readers.sources import files_to_read, find_files, pointer_files


def find_base(dataset: Dataset, root: Path) -> Path:
    """Return the folder that files are named from: the root, or a folder directly in it.

    Raises:
        CorpusError: Neither holds a file of the data set.
    """
    if not root.is_dir():
        raise CorpusError(f"{root} is no folder; expected the one that holds {dataset.title}")
    inside = sorted(path for path in root.iterdir() if path.is_dir())
    for folder in (root, *inside):
        if any(find_files(folder, source) for source in dataset.sources if not source.optional):
            return folder
    expected = "; ".join(" or ".join(s.files) for s in dataset.sources if not s.optional)
    found = ", ".join(sorted(os.listdir(root))[:12]) or "nothing"
    raise CorpusError(
        f"{root}: is not {dataset.title}: expected {expected}; found {found}. "
        f"`earful datasets show {dataset.name}` shows the tree"
    )


def find_sources(dataset: Dataset, base: Path, part: str) -> tuple[Source, ...]:
    """Return the sources of which there is a file to read.

    Args:
        dataset: The declaration.
        base: From ``find_base``.
        part: Only this part; empty for all.

    Raises:
        CorpusError: There is none, or there are only pointers of Git LFS.
    """
    chosen = [source for source in dataset.sources if not part or source.part == part]
    there = [source for source in chosen if find_files(base, source)]
    if not there:
        raise CorpusError(f"{base}: holds nothing of part {part!r} of {dataset.title}")
    found = tuple(source for source in there if not _is_pointer(base, source))
    if not found:
        (pointer, *_) = pointer_files(base, there[0])
        raise CorpusError(
            f"{pointer}: is a Git LFS pointer, not the file; fetch it with `git lfs pull`"
        )
    return found


def _is_pointer(base: Path, source: Source) -> bool:
    """Whether Git LFS left nothing of a source but pointers."""
    pointers = pointer_files(base, source)
    return bool(pointers) and len(pointers) == len(files_to_read(base, source))


def absent_files(dataset: Dataset, base: Path, part: str) -> Iterator[str]:
    """Name the files that are not there, or are only pointers of Git LFS.

    Args:
        dataset: The declaration.
        base: From ``find_base``.
        part: Only of this part; empty for all.
    """
    sources = [source for source in dataset.sources if not part or source.part == part]
    for source in sources:
        if not find_files(base, source):
            yield " or ".join(source.files)
    for source in (*sources, *(join.source for join in dataset.joins)):
        for path in pointer_files(base, source):
            name = path.relative_to(base).as_posix()
            yield f"{name} is a Git LFS pointer; fetch it with `git lfs pull`"


def passed_over_files(sources: tuple[Source, ...], base: Path) -> Iterator[tuple[str, str]]:
    """Name the files that are there and not read, each with the one that is read in its place."""
    for source in sources:
        found = [path.relative_to(base).as_posix() for path in find_files(base, source)]
        for other in found[len(files_to_read(base, source)) :]:
            yield other, found[0]
