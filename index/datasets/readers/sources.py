"""Files and options of a source, and the rows that readers yield."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from earful.errors import CorpusError
from earful.index.datasets.declaration import Source
from earful.index.datasets.row_faults import RowError

RawRow = dict[str, Any]
"""A row before it becomes an exemplar: column to value."""
PlacedRow = tuple[str, RawRow]
"""The place of a row, such as ``"meta.csv:17"``, and the row."""
OnFault = Callable[[RowError], None]
"""What becomes of a row that cannot be read: it is counted, or raised."""

# Their sources are all files that match; the others read the first that is there.
_MANY_FILES = frozenset({"tree", "shards", "arrow"})

_POINTER = b"version https://git-lfs"
_POINTER_BYTES = 1024
_T = TypeVar("_T")


def find_files(root: Path, source: Source) -> list[Path]:
    """Return the files of a source that are there, in order; some readers use only the first."""
    found: list[Path] = []
    for name in source.files:
        if any(sign in name for sign in "*?["):
            found += sorted(path for path in root.glob(name) if path.is_file())
        elif (root / name).is_file():
            found.append(root / name)
    return found


def raise_fault(error: RowError) -> None:
    """Refuse a row that cannot be read.

    Raises:
        RowError: Always.
    """
    raise error


def files_to_read(root: Path, source: Source) -> list[Path]:
    """Return the files of a source that its reader reads, in order."""
    found = find_files(root, source)
    return found if source.reader in _MANY_FILES else found[:1]


def source_name(root: Path, source: Source) -> str:
    """Return a source's name for messages: the file that is read, or the patterns of several."""
    found = [] if source.reader in _MANY_FILES else find_files(root, source)
    return found[0].relative_to(root).as_posix() if found else " or ".join(source.files)


def pointer_files(root: Path, source: Source) -> list[Path]:
    """Return the files of a source that are only pointers of Git LFS; recordings do not count."""
    if source.reader == "tree":
        return []
    return [path for path in files_to_read(root, source) if is_lfs_pointer(path)]


def first_file(root: Path, source: Source) -> Path:
    """Return the first file of a source that is there.

    Raises:
        CorpusError: None is there, or it is a Git LFS pointer.
    """
    found = find_files(root, source)
    if not found:
        raise CorpusError(f"{root}: holds no {' or '.join(source.files)}")
    if is_lfs_pointer(found[0]):
        raise CorpusError(
            f"{found[0]}: is a Git LFS pointer, not the file; fetch it with `git lfs pull`"
        )
    return found[0]


def is_lfs_pointer(path: Path) -> bool:
    """Return whether a file is a Git LFS pointer."""
    if path.stat().st_size > _POINTER_BYTES:
        return False
    with open(path, "rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def read_text(path: Path) -> str:
    """Read a small text file.

    Raises:
        CorpusError: It is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: is not UTF-8 ({error.reason} at byte {error.start}); convert it"
        ) from error


class Options:
    """Options of a source; an option that its reader never reads is an error.

    Args:
        where: File or folder that errors name.
        source: From a declaration.
    """

    def __init__(self, where: Path, source: Source) -> None:
        self._where = where
        self._reader = source.reader
        self._values = dict(source.options)

    def get(self, name: str, default: _T) -> _T:
        """Return an option.

        Raises:
            CorpusError: It is of another type than its default.
        """
        value: _T = self._values.pop(name, default)
        if type(value) is not type(default):
            raise CorpusError(
                f"{self._where}: option {name} of reader {self._reader!r} is {value!r}; expected "
                f"{_TYPE_NAMES[type(default)]}"
            )
        return value

    def check_all_read(self) -> None:
        """Refuse options that were never read.

        Raises:
            CorpusError: There is such an option.
        """
        if self._values:
            raise CorpusError(
                f"{self._where}: reader {self._reader!r} has no option {next(iter(self._values))!r}"
            )


_TYPE_NAMES: dict[type, str] = {
    str: "text",
    int: "a number",
    bool: "true or false",
    list: "an array",
    dict: "a table",
}
