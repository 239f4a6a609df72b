"""``shared.json`` and ``pulled.json``: what was pushed, and where a pulled index came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from earful.errors import SharingError
from earful.files import write_atomically
from earful.index.sharing.layout import PULLED_NAME, SHARED_NAME
from earful.wording import quoted

if TYPE_CHECKING:
    from earful.index.index import Index

SHARE_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRecord:
    """What a push says of what it pushed: ``shared.json``.

    Attributes:
        format: Version of the layout.
        earful: Version of earful that pushed.
        n: Number of rows.
        rows_sha256: Hex digest over the ids and digests of all rows, by ``rows_digest``.
        recordings_sha256: Hex digest over the names and digests of the recordings that came along,
            by ``recordings_digest``; of none, too.
    """

    format: int = SHARE_FORMAT
    earful: str
    n: int
    rows_sha256: str
    recordings_sha256: str

    def write(self, folder: Path) -> None:
        """Write it into a folder.

        Raises:
            OSError: The folder cannot be written.
        """
        write_atomically(folder / SHARED_NAME, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path, where: str) -> Self:
        """Read a record.

        Args:
            path: The file.
            where: The place that it came from, for errors.

        Raises:
            SharingError: It is damaged, or of a newer format.
        """
        values = _read(path, f"{where}: {SHARED_NAME}")
        found = values.get("format")
        if type(found) is int and found > SHARE_FORMAT:
            raise SharingError(
                f"{where}: was pushed in format {found} by earful {quoted(values.get('earful'))}; "
                f"this earful pulls formats up to {SHARE_FORMAT}. Upgrade earful"
            )
        return cls(**_checked(cls, values, f"{where}: {SHARED_NAME}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledRecord:
    """Where a pulled index came from: ``pulled.json`` in its folder.

    Attributes:
        place: ``ORG/NAME``, or the folder that stood for a hub.
        endpoint: The hub; empty for a folder.
        revision: Hash of the commit, or for a folder the digest of its rows.
        asked: The revision that was asked for; empty for the newest.
        pulled: When, UTC, ISO 8601.
        n: Number of rows as pulled.
        rows_sha256: Hex digest over those rows.
        embedder: The embedder that the user named; empty for one that comes with earful.
    """

    place: str
    endpoint: str
    revision: str
    asked: str
    pulled: str
    n: int
    rows_sha256: str
    embedder: str = ""

    def write(self, folder: Path) -> None:
        """Write it into an index folder.

        Raises:
            OSError: The folder cannot be written.
        """
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        write_atomically(folder / PULLED_NAME, f"{text}\n")

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """Read that of an index folder; ``None`` where the index was not pulled.

        Raises:
            SharingError: It is damaged.
        """
        path = folder / PULLED_NAME
        if not path.exists():
            return None
        return cls(**_checked(cls, _read(path, str(path)), str(path)))


def rows_digest(index: Index) -> str:
    """Return the hex digest over ids and digests of all rows; equal for equal rows in any order.

    Raises:
        IndexFolderError: A file of the table is damaged.
    """
    return digest_of(row_digests(index))


def recordings_digest(recordings: Mapping[str, str]) -> str:
    """Return the hex digest over recordings: the digest of each by its name in the package."""
    return digest_of(recordings)


def row_digests(index: Index) -> dict[str, str]:
    """Return the digest of each row by its id, ordered by id.

    Raises:
        IndexFolderError: A file of the table is damaged.
    """
    table = index.read_table(["id", "row_sha256"])
    columns = (table.column(name).to_pylist() for name in ("id", "row_sha256"))
    return dict(zip(*columns, strict=True))


def digest_of(rows: Mapping[str, str]) -> str:
    """Return the hex digest over digests by their names, in any order."""
    found = hashlib.sha256()
    for id_ in sorted(rows):
        found.update(json.dumps([id_, rows[id_]]).encode())
    return found.hexdigest()


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SharingError(f"{what} cannot be read as JSON ({error}); pull it again") from error
    if not isinstance(values, dict):
        raise SharingError(f"{what} holds no table of values; pull it again")
    return values


def _checked(cls: Any, values: Mapping[str, Any], what: str) -> dict[str, Any]:
    kinds = {field.name: int if field.type == "int" else str for field in fields(cls)}
    wrong = [name for name, kind in kinds.items() if type(values.get(name)) is not kind]
    if wrong:
        raise SharingError(
            f"{what}: {wrong[0]} is {quoted(values.get(wrong[0]))}, expected "
            f"{'a whole number' if kinds[wrong[0]] is int else 'a text'}; pull it again"
        )
    return {name: values[name] for name in kinds}
