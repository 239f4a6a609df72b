"""``index.json``: the readable part of an index folder.

It records the format of the folder, the embedder that made the vectors and the folders that
hold the audio. The table is the truth about the rows; the counts here are a summary for
people, renewed after every change.

Format 2 has one column more, ``not_labels``. An index of format 1 is read as it is, gets the column
with the first row that has any, and is of format 2 from then on. A new one begins with format 1, so
that an earlier release reads it as long as there is nothing that it would pass over.

When the layout of a folder changes so that this release would read it wrongly, raise ``FORMAT`` and
keep an index of the format before it for the tests (``tests/index/formats/make.py``, run with the
last release that writes it).

Files that readers may ignore, such as ``checksums.txt``, do not make a new format, and neither does
the mark of a shard, which is read like any index (and which a release that does not know it drops
when it writes, so that a merge refuses the part), nor the list of shards that were merged. Nor do
columns without which most indexes are: an earlier release refuses a table that has them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from earful.errors import IndexFolderError, IndexMismatchError, ModelError
from earful.files import write_atomically
from earful.index.storage.shard_marks import MergedShards, ShardMark, whole_number
from earful.model import Fingerprint
from earful.object_stores import is_address, location_at, parse_location, stored_path
from earful.plain import plain_fields
from earful.read_only import ReadOnlyDict
from earful.system import relative_path
from earful.values import short_repr
from earful.wording import as_argument

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 2
_FIRST_FORMAT, _FORMAT_OF_NOT_LABELS = 1, 2
# One more column of a table with such rows; part of the digest of each row that has any.
NOT_LABELS: Final = "not_labels"
HEADER_NAME = "index.json"

_WAY_OUT = (
    "restore it from a copy, or run `earful index verify --repair --corpus CORPUS` with what the "
    "index was built from"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A corpus root, as seen when the index was written.

    Attributes:
        absolute: Resolved path, or its address in an object store; empty where the audio came with
            a shared index, or did not come.
        relative: The same from the index folder; still right after index and corpus have been
            moved together.
    """

    absolute: str
    relative: str

    @classmethod
    def seen_from(cls, index: Path, root: Path, *, came: bool = True) -> Self:
        """Make the root of a resolved folder as seen from an index folder.

        Args:
            index: The index folder.
            root: The resolved folder.
            came: Whether its recordings came; those of a pulled index may have stayed elsewhere.
        """
        if (stored := location_at(root)) is not None:
            return cls(absolute=str(stored), relative=str(stored))
        relative = relative_path(root, os.path.realpath(index))
        return cls(absolute=str(root) if came else "", relative=relative)

    def resolve(self, index: Path) -> Path:
        """Return where the corpus lies now, as seen from an index folder."""
        if is_address(self.absolute):
            return stored_path(parse_location(self.absolute))
        beside = Path(os.path.normpath(os.path.join(os.path.realpath(index), self.relative)))
        return beside if beside.is_dir() or not self.absolute else Path(self.absolute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The contents of ``index.json``.

    Attributes:
        fingerprint: The embedder that made the vectors.
        created: UTC, ISO 8601.
        updated: UTC, ISO 8601.
        roots: Corpus roots, in the order rows number them.
        n: Rows at the last change.
        labels: Distinct labels at the last change.
        n_classes: Class scores of each row; 0 for none.
        format: Version of the folder's layout.
        shard: Which part of a corpus it is; ``None`` for an index of its own.
        merged: Which parts of a corpus were merged into it; ``None`` for none.
    """

    fingerprint: Fingerprint
    created: str
    updated: str
    roots: tuple[Root, ...] = ()
    n: int = 0
    labels: int = 0
    n_classes: int = 0
    format: int = _FIRST_FORMAT
    shard: ShardMark | None = None
    merged: MergedShards | None = None

    @classmethod
    def new(cls, fingerprint: Fingerprint, n_classes: int = 0) -> Self:
        """Make the header of an empty index."""
        now = _now()
        return cls(fingerprint=fingerprint, created=now, updated=now, n_classes=n_classes)

    def with_root(self, root: Root, number: int | None = None) -> Self:
        """Return a copy with one corpus root more, or one replaced, and a new ``updated``."""
        at = len(self.roots) if number is None else number
        return replace(self, updated=_now(), roots=(*self.roots[:at], root, *self.roots[at + 1 :]))

    def with_not_labels(self) -> Self:
        """Return a copy of the format that has a column for what is not there."""
        return replace(self, updated=_now(), format=max(self.format, _FORMAT_OF_NOT_LABELS))

    def with_shard(self, shard: ShardMark) -> Self:
        """Return a copy that is a part of a corpus, with a new ``updated``."""
        return replace(self, updated=_now(), shard=shard)

    def with_merged(self, merged: MergedShards) -> Self:
        """Return a copy into which parts of a corpus were merged, with a new ``updated``."""
        return replace(self, updated=_now(), merged=merged)

    def with_counts(self, *, n: int, labels: int) -> Self:
        """Return a copy with other counts and a new ``updated``."""
        return replace(self, updated=_now(), n=n, labels=labels)

    def write(self, folder: Path) -> None:
        """Replace ``index.json`` atomically.

        Raises:
            IndexFolderError: The folder cannot be written or is full.
        """
        values = {
            "format": self.format,
            "earful": _earful_version(),
            "created": self.created,
            "updated": self.updated,
            "n": self.n,
            "labels": self.labels,
            **({"n_classes": self.n_classes} if self.n_classes else {}),
            **({"shard": asdict(self.shard)} if self.shard else {}),
            **({"merged": asdict(self.merged)} if self.merged else {}),
            "fingerprint": self.fingerprint.to_dict(),
            "roots": [{"absolute": r.absolute, "relative": r.relative} for r in self.roots],
        }
        write_text(folder / HEADER_NAME, json.dumps(values, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def from_values(cls, values: Mapping[str, Any], folder: Path) -> Self:
        """Read the contents of ``index.json``; they must be of this format.

        Args:
            values: As ``read_values`` returns them.
            folder: The index folder, for the error.

        Raises:
            IndexFolderError: They are damaged.
        """
        try:
            return cls(
                format=whole_number(values, "format", least=1),
                created=str(values["created"]),
                updated=str(values["updated"]),
                n=whole_number(values, "n"),
                labels=whole_number(values, "labels"),
                n_classes=whole_number({"n_classes": 0, **values}, "n_classes"),
                shard=ShardMark.from_dict(values["shard"]) if "shard" in values else None,
                merged=MergedShards.from_dict(values["merged"]) if "merged" in values else None,
                fingerprint=Fingerprint.from_dict(values["fingerprint"]),
                roots=tuple(
                    Root(absolute=str(r["absolute"]), relative=str(r["relative"]))
                    for r in values["roots"]
                ),
            )
        except (KeyError, TypeError, ValueError, ModelError) as error:
            raise IndexFolderError(
                f"{folder / HEADER_NAME}: is damaged ({type(error).__name__}: {error}); {_WAY_OUT}"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """Counts and origin of an index.

    >>> import earful
    >>> info = earful.Index.open("sounds.index").info
    >>> info.n, info.labels, info.fingerprint.name
    (15, 3, 'logmel')

    Attributes:
        format: Version of the folder's layout.
        fingerprint: The embedder that made the vectors.
        n: Rows.
        labels: Distinct labels.
        created: UTC, ISO 8601.
        updated: UTC, ISO 8601, of the last change.
        roots: Corpus roots, where they lie now.
        n_rejected: Files that the last build could not embed.
        n_classes: Class scores of each row; 0 for none.
        not_labels: How many rows say of a label that it is not there, the most frequent first.
        n_negative: Rows that say nothing else.
        shard: Which part of a corpus it is, such as ``"3/64"``; ``""`` for an index of its own.
    """

    format: int
    fingerprint: Fingerprint
    n: int
    labels: int
    created: str
    updated: str
    roots: tuple[str, ...]
    n_rejected: int
    n_classes: int
    not_labels: Mapping[str, int] = field(default_factory=ReadOnlyDict, hash=False)
    n_negative: int = 0
    shard: str = ""

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; of negatives and a shard where there are any."""
        negatives = () if self.not_labels else ("not_labels", "n_negative")
        return plain_fields(self, without=(*negatives, *(() if self.shard else ("shard",))))


def read_header(folder: Path) -> Header:
    """Read ``index.json``.

    Raises:
        IndexFolderError: It is missing, damaged, or of another format.
    """
    values = read_values(folder)
    if (found := format_of(values)) > FORMAT:
        raise IndexFolderError(
            f"{folder}: has index format {found}, written by earful "
            f"{values.get('earful', '?')}; this earful reads formats up to {FORMAT}. "
            "Upgrade earful, or build the index anew"
        )
    return Header.from_values(values, folder)


def require_same_embedder(
    path: Path, mine: Fingerprint, theirs: Fingerprint, *, other: Path | None = None
) -> None:
    """Refuse an embedder that an index was not made with.

    The digest of the weights says which they are: the same weights under another name or in
    another folder pass, as long as all else is equal.

    Args:
        path: The index folder, for the error.
        mine: The embedder of the index.
        theirs: The other one.
        other: The index that the other one made, where two are merged.

    Raises:
        IndexMismatchError: The fingerprints differ; the message says where.
    """
    if mine.weights_sha256 and mine.weights_sha256 == theirs.weights_sha256:
        theirs = replace(theirs, name=mine.name, revision=mine.revision)
    differences = mine.differences(theirs)
    if not differences:
        return
    if other is not None:
        raise IndexMismatchError(
            f"{path}: is by {mine.name!r}, and {other} by {theirs.name!r}, whose vectors mean "
            f"nothing beside the others ({', '.join(differences)}); build one of them anew with "
            "the embedder, weights and arithmetic of the other: `earful index build CORPUS "
            f"--index NEW.index --embedder {as_argument(theirs.name)}`. Nothing was written"
        )
    if mine.name != theirs.name:
        way_out = f"use its own embedder, --embedder {as_argument(mine.name)}"
    elif mine.revision != theirs.revision:
        way_out = f"use revision {mine.revision!r} of {mine.name!r}"
    else:
        way_out = f"use the weights and settings of {mine.name!r} that it was built with"
    raise IndexMismatchError(
        f"{path}: {way_out}, or build another index: vectors of {theirs.name!r} mean "
        f"nothing beside those that are there ({', '.join(differences)})"
    )


def read_values(folder: Path) -> Any:
    """Return the JSON value of ``index.json``, whatever it is.

    Raises:
        IndexFolderError: It is missing, or not JSON.
    """
    path = folder / HEADER_NAME
    try:
        # A folder name that is not UTF-8 is kept as Python represents it.
        return json.loads(path.read_bytes().decode("utf-8", errors="surrogatepass"))
    except FileNotFoundError:
        raise IndexFolderError(
            f"{folder}: is not an index, it has no {HEADER_NAME}; build one in a folder of its own "
            "with `earful index build CORPUS --index NEW.index`"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise IndexFolderError(f"{path}: cannot be read as JSON ({error}); {_WAY_OUT}") from error


def format_of(values: object) -> int:
    """Return the format that ``index.json`` names; 0 where it names none.

    >>> format_of({"format": 2}), format_of({"format": "2"}), format_of({"format": True})
    (2, 0, 0)
    """
    found = values.get("format") if isinstance(values, dict) else None
    return found if type(found) is int and found > 0 else 0


def write_text(path: Path, text: str) -> None:
    """Replace a file of an index so that a reader or a crash sees the old one or the new one.

    Raises:
        IndexFolderError: It cannot be written.
    """
    try:
        write_atomically(path, text)
    except OSError as error:
        raise IndexFolderError(
            f"{path}: cannot be written ({error.strerror}); what was there before is unchanged"
        ) from error


@cache
def _earful_version() -> str:
    # Only whoever writes a header asks: it is many imports.
    from importlib.metadata import version

    return version("earful")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def root_of(roots: Sequence[Path], number: int) -> Path:
    """Return the corpus root that a row names.

    Raises:
        IndexError: The header lacks it: header and table do not belong together.
    """
    if not 0 <= number < len(roots):
        raise IndexError(f"it names corpus root {number}; the header has {len(roots)}")
    return roots[number]


def audio_paths(table: pa.Table, roots: Sequence[Path]) -> list[Path]:
    """Resolve the audio path of each row of a table; each folder is looked at once.

    Args:
        table: Has at least ``audio`` and ``root``.
        roots: Corpus roots, as rows number them.

    Raises:
        IndexError: A row names a root that the header lacks: the two do not belong together.
    """
    folders: dict[str, str] = {}
    paths: list[Path] = []
    numbers, names = (table.column(name).to_pylist() for name in ("root", "audio"))
    for number, name in zip(numbers, names, strict=True):
        folder, file = os.path.split(os.path.join(root_of(roots, number), name))
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        path = os.path.join(folders[folder], file)
        paths.append(Path(os.path.realpath(path) if os.path.islink(path) else path))
    return paths
