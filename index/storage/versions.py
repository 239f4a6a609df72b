"""Versions of a LanceDB table: opened, the newest one found, and a damaged one set aside."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from earful.errors import IndexBusyError, IndexFolderError
from earful.index.storage.checksums import Checksums
from earful.index.storage.lock import WriterLock, use_lance_here
from earful.model.runtime import sha256_of
from earful.system import replace_file
from earful.wording import as_argument

TABLE_FOLDER: Final = "table"
TABLE_NAME: Final = "exemplars"
QUARANTINE: Final = "_quarantine"
# Where LanceDB keeps the files of the table, relative to the index folder.
LANCE_FOLDER: Final = f"{TABLE_FOLDER}/{TABLE_NAME}.lance"
_VERSIONS: Final = f"{LANCE_FOLDER}/_versions"
# File names count versions down, all at one length, so that the newest sorts first.
_LAST: Final = 2**64 - 1
_MOST_METADATA_BYTES: Final = 2**22
_LEAST_INDEX_BYTES: Final = 2**30
_CACHED_TIMES: Final = 2
_MANIFEST: Final = re.compile(rf"{re.escape(_VERSIONS)}/[0-9]{{20}}\.manifest")


def manifest_name(version: int) -> str:
    """Return the manifest file of a version, relative to the index folder.

    >>> manifest_name(2).rpartition("/")[2]
    '18446744073709551613.manifest'
    """
    return f"{_VERSIONS}/{_LAST - version:020d}.manifest"


def manifest_names(folder: Path) -> list[str]:
    """Return the manifest files of all versions, newest first."""
    return sorted(f"{_VERSIONS}/{path.name}" for path in (folder / _VERSIONS).glob("*.manifest"))


def newest_manifest(folder: Path) -> str:
    """Return the manifest file of the newest version; empty when there is none."""
    return next(iter(manifest_names(folder)), "")


def newest_listed(checksums: Checksums) -> int:
    """Return the newest version that was ever listed; 0 when there is none."""
    newest = min(filter(is_manifest, checksums.names()), default=manifest_name(0))
    return version_of(newest)


def version_of(manifest: str) -> int:
    """Return the version that a manifest file describes."""
    return _LAST - int(Path(manifest).stem)


def connect(folder: Path) -> Any:
    """Return a connection to the LanceDB database in an index folder.

    Raises:
        IndexFolderError: ``EARFUL_INDEX_CACHE_MB`` is no number of megabytes.
    """
    use_lance_here(folder)
    # Lance logs each new table as a warning on stderr; what matters arrives as exceptions.
    os.environ.setdefault("LANCE_LOG", "error")
    import lancedb

    # LanceDB caches the fragment list of every version; without a limit a build of many
    # commits would fill that cache with lists that nobody reads again.
    session = lancedb.Session(
        metadata_cache_size_bytes=_MOST_METADATA_BYTES,
        index_cache_size_bytes=index_cache_bytes(folder),
    )
    return lancedb.connect(folder / TABLE_FOLDER, session=session)


def index_cache_bytes(folder: Path) -> int:
    """Return how much of an approximate index is kept in memory between queries, in bytes.

    A gibibyte, or more where the index is larger, up to half of the machine's memory;
    ``EARFUL_INDEX_CACHE_MB`` says otherwise.

    Raises:
        IndexFolderError: That is no number of megabytes.
    """
    if wanted := os.environ.get("EARFUL_INDEX_CACHE_MB", ""):
        if not wanted.isdecimal():
            raise IndexFolderError(
                f"EARFUL_INDEX_CACHE_MB={wanted}: expected a whole number of megabytes; "
                "set it to one such as 4096, or not at all"
            )
        return int(wanted) * 2**20
    files = (folder / LANCE_FOLDER / "_indices").glob("*/*")
    # Read into memory it takes more than on the disk.
    wished = _CACHED_TIMES * sum(path.stat().st_size for path in files)
    if hasattr(os, "sysconf"):
        wished = min(wished, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    return max(_LEAST_INDEX_BYTES, wished)


class TableState(NamedTuple):
    """State of a table: equal for equal rows in equal places.

    Attributes:
        version: The newest version.
        digest: Hex SHA-256 of the file that describes it, and by that of all its files' names,
            whose content never changes.
    """

    version: int
    digest: str


def state_of(folder: Path) -> TableState | None:
    """Return the state of the table in an index folder, without LanceDB; ``None`` for none."""
    try:
        newest = newest_manifest(folder)
        return TableState(version_of(newest), sha256_of(folder / newest)) if newest else None
    except (OSError, ValueError):
        return None


def open_newest(folder: Path, checksums: Checksums, open_table: Callable[[], Any]) -> Any:
    """Open the newest undamaged version of a table.

    A newer one that is damaged is moved to ``_quarantine``. When the version opened is not
    the newest that was ever listed, a ``RuntimeWarning`` says that rows may be missing: every
    time, until the index is written again.

    Args:
        folder: The index folder.
        checksums: Its list of digests.
        open_table: Opens the newest version in the folder.

    Raises:
        IndexFolderError: None can be opened, or the folder cannot be written; everything is
            as it was.
        IndexBusyError: The newest is damaged, and another process is writing.
    """
    use_lance_here(folder)  # before anything is taken for damaged and moved
    newest = newest_manifest(folder)
    lost = 0
    try:
        if checksums.is_damaged(newest):
            raise IndexFolderError(
                f"{folder}: the newest version of its table is damaged ({newest}). `earful index "
                f"verify {as_argument(folder)} --repair` goes back to the one before"
            )
        opened = open_table()
    except IndexFolderError as error:
        opened, lost = _walk_back(folder, checksums, open_table, error)
    lost = max(lost, newest_listed(checksums))
    if lost > opened.version:
        warnings.warn(
            f"{folder}: the newest version of its table was damaged or is gone; went back from "
            f"version {lost} to {opened.version}, so rows may be missing. Build it again from its "
            f"corpus, or run `earful index verify {as_argument(folder)} --repair`",
            RuntimeWarning,
            stacklevel=5,
        )
    return opened


def _walk_back(
    folder: Path, checksums: Checksums, open_table: Callable[[], Any], reason: IndexFolderError
) -> tuple[Any, int]:
    """Move damaged versions to the quarantine until one opens; return it and the newest moved."""
    moved: list[str] = []
    try:
        with WriterLock(folder).held():
            # Another process may have repaired or written the table in the meantime.
            checksums.reload()
            for name in manifest_names(folder):
                if not checksums.is_damaged(name):
                    try:
                        return open_table(), version_of(moved[0]) if moved else 0
                    except IndexFolderError:
                        if name in checksums:
                            # Its bytes are right, so the fault lies elsewhere.
                            raise
                move_to_quarantine(folder, [name])
                moved.append(name)
    except IndexBusyError:
        raise
    except (IndexFolderError, OSError):
        _put_back(folder, moved)
        raise reason from None
    _put_back(folder, moved)
    raise reason


def move_to_quarantine(folder: Path, names: list[str]) -> None:
    """Move files of an index to its quarantine, keeping their names.

    Raises:
        OSError: The folder cannot be written.
    """
    (folder / QUARANTINE).mkdir(exist_ok=True)
    for name in names:
        replace_file(folder / name, folder / QUARANTINE / Path(name).name)


def _put_back(folder: Path, names: list[str]) -> None:
    for name in names:
        replace_file(folder / QUARANTINE / Path(name).name, folder / name)


def is_manifest(name: str) -> bool:
    """Tell whether a file describes a version.

    Args:
        name: Relative to the index folder.
    """
    return _MANIFEST.fullmatch(name) is not None
