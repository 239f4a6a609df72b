"""``manifest.json``: which objects an index in a store consists of, by name, size and digest.

::

    s3://bucket/sounds.index/
        manifest.json     this file; replaced by a conditional write, never in part
        objects/DIGEST    one file of the index each, by its SHA-256; never written over
        .lock             who is writing (lease.py)
        segments/         parts of an approximate index until they are committed (segments.py)

It is a stranger's file: names that lead out of the folder, sizes and digests that are none, and
newer formats are refused before anything is fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from earful.errors import StoreError
from earful.object_stores import key_fault
from earful.wording import quoted

MANIFEST_NAME: Final = "manifest.json"
OBJECTS: Final = "objects"
FORMAT: Final = 1
MAX_BYTES: Final = 256 << 20
SEGMENTS_NAME: Final = "segments"
"""Folder of parts of an approximate index, until they are committed."""
PUBLISHED_FILES: Final = (
    "index.json",
    "checksums.txt",
    "approximate.json",
    "rejected.jsonl",
    "labels.jsonl",
)
"""Files of an index folder that are published; caches, the lock and what is staged are not."""
PUBLISHED_JOURNALS: Final = ("labels.jsonl",)
"""Those of them that grow at any time, without the right to write: under the lock beside them."""
PUBLISHED_FOLDERS: Final = ("table",)
"""Folders of an index folder whose files are published."""

_MOST_FILES: Final = 1_000_000
_MOST_SIZE: Final = 1 << 44
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_HIDDEN: Final = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of an index.

    Attributes:
        size_bytes: Its size.
        sha256: Digest of its bytes, in hex, and the name of its object.
    """

    size_bytes: int
    sha256: str

    @property
    def object_name(self) -> str:
        """Where its bytes are, below the address of the index."""
        return f"{OBJECTS}/{self.sha256}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The contents of ``manifest.json``.

    Attributes:
        files: The files of the index by their paths in its folder, with forward slashes.
        dropped: Digests of objects that belong to it no more, with the time since when; a reader
            may still be fetching them.
        published: UTC, ISO 8601.
        nonce: Makes the bytes of each one its own.
    """

    files: Mapping[str, Entry] = field(hash=False)
    dropped: Mapping[str, str] = field(default_factory=dict, hash=False)
    published: str = ""
    nonce: str = ""

    @property
    def digests(self) -> frozenset[str]:
        """Digests of all its files."""
        return frozenset(entry.sha256 for entry in self.files.values())

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        values = {
            "format": FORMAT,
            "published": self.published,
            "nonce": self.nonce,
            "files": {
                name: {"size": entry.size_bytes, "sha256": entry.sha256}
                for name, entry in sorted(self.files.items())
            },
            "dropped": dict(sorted(self.dropped.items())),
        }
        return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Read JSON that a stranger may have written.

        Args:
            data: The JSON.
            where: Address of the index, for the error.

        Raises:
            StoreError: It is damaged, newer, or names what no index has.
        """
        try:
            values = json.loads(data.decode())
            found = values["format"]
            if type(found) is int and found > FORMAT:
                raise StoreError(
                    f"{where}: has manifest format {found}; this earful reads formats up to "
                    f"{FORMAT}. Upgrade earful"
                )
            if type(found) is not int or found != FORMAT:
                raise ValueError(f"format is {quoted(found)}")
            files = _dictionary(values["files"], "files")
            if len(files) > _MOST_FILES:
                raise ValueError(f"it lists {len(files):,} files, expected at most {_MOST_FILES:,}")
            entries = {_checked_name(name): _entry(name, one) for name, one in files.items()}
            _require_apart(entries)
            return cls(
                files=entries,
                dropped={
                    _checked_digest(digest): _checked_time(since)
                    for digest, since in _dictionary(values["dropped"], "dropped").items()
                },
                published=_checked_time(values["published"]),
                nonce=str(values["nonce"]),
            )
        except StoreError:
            raise
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StoreError(
                f"{where}/{MANIFEST_NAME}: is damaged ({type(error).__name__}: "
                f"{str(error)[:300]}); restore it from a copy, or build the index anew at another "
                "address"
            ) from error


def is_published(name: str) -> bool:
    """Whether a file of an index folder is one that is published.

    >>> is_published("index.json"), is_published("features/a"), is_published("table/x/y.lance")
    (True, False, True)
    """
    first, slash, _ = name.partition("/")
    return first in PUBLISHED_FOLDERS if slash else name in PUBLISHED_FILES


def now() -> str:
    """Return the time, as manifests and leases hold it: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def time_of(text: str) -> datetime:
    """Read a time of ``now``.

    Raises:
        ValueError: It is none.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"time {quoted(text)} has no zone")
    return found


def _checked_name(name: str) -> str:
    fault = key_fault(name).replace("its key", "it") or ("it is empty" if not name else "")
    if not fault and any(part.startswith(_HIDDEN) for part in name.split("/")):
        fault = "it is hidden"
    if not fault and not is_published(name):
        fault = "no index has such a file"
    if fault:
        raise ValueError(f"file {quoted(name)}: {fault}")
    return name


def _entry(name: str, values: object) -> Entry:
    found = _dictionary(values, name)
    size = found["size"]
    if type(size) is not int or not 0 <= size <= _MOST_SIZE:
        raise ValueError(f"file {quoted(name)}: size {quoted(size)} is none")
    return Entry(size_bytes=size, sha256=_checked_digest(found["sha256"]))


def _checked_digest(digest: object) -> str:
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError(f"digest {quoted(digest)} is none")
    return digest


def _checked_time(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError(f"time {quoted(text)} is none")
    return time_of(text).isoformat(timespec="seconds")


def _dictionary(values: object, what: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{quoted(what)} is no object")
    return values


def _require_apart(names: Mapping[str, object]) -> None:
    """Refuse a name that is a folder of another."""
    for name in names:
        parent = name.rpartition("/")[0]
        while parent:
            if parent in names:
                raise ValueError(f"file {quoted(name)}: lies in {quoted(parent)}, which is a file")
            parent = parent.rpartition("/")[0]
