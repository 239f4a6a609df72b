"""Files and options of a source, and the rows that readers yield."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from earful.errors import CorpusError
from earful.index.datasets.declaration import Source

RawRow = dict[str, Any]
"""A row before it becomes an exemplar: column to value."""
PlacedRow = tuple[str, RawRow]
"""The place of a row, such as ``"meta.csv:17"``, and the row."""

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


def first_file(root: Path, source: Source) -> Path:
    """Return the first file of a source that is there.

    Raises:
        CorpusError: None is there, or it is a Git LFS pointer.
    """
    found = find_files(root, source)
    if not found:
        raise CorpusError(f"{root}: holds no {' or '.join(source.files)}")
    refuse_lfs_pointer(found[0])
    return found[0]


def refuse_lfs_pointer(path: Path) -> None:
    """Refuse a file whose content a clone without Git LFS left on the server.

    Raises:
        CorpusError: It is a Git LFS pointer.
    """
    if is_lfs_pointer(path):
        raise CorpusError(
            f"{path}: is a Git LFS pointer, not the file; fetch it with `git lfs pull`"
        )


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
