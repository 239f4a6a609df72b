"""Segments: what a worker hands over of its part of an approximate index, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from earful.errors import IndexFolderError
from earful.index.remote import SEGMENTS_NAME
from earful.index.storage import IndexFolder, write_text
from earful.wording import as_argument

_PART: Final = re.compile(r"(?P<part>\d+)-of-(?P<parts>\d+)\.json")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILE: Final = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One part of an approximate index, built and not yet committed.

    Attributes:
        part: Which part, from 1.
        parts: Of how many.
        uuid: Its name in the table.
        fragments: Numbers of the table's fragments that it holds, each with its data files.
        version: The table's version that it was built on.
        index_version: Of the library's format.
        created: UTC, ISO 8601.
        details: The library's description: its type, and bytes in base64.
        files: Hex digest of each of its files.
        sizes: Size of each of its files, in bytes.
        centroids_sha256: Of the partitions that it was built with.
        n_rows: How many rows it holds.
        build_s: Time to build it, in seconds.
    """

    part: int
    parts: int
    uuid: str
    fragments: Mapping[int, Sequence[str]] = field(hash=False)
    version: int
    index_version: int
    created: str
    details: tuple[str, str]
    files: Mapping[str, str] = field(hash=False)
    sizes: Mapping[str, int] = field(hash=False)
    centroids_sha256: str
    n_rows: int
    build_s: float

    def write(self, path: Path) -> None:
        """Write it as JSON; it appears complete."""
        write_text(path, json.dumps(asdict(self)) + "\n")


def find_segments(folder: IndexFolder) -> list[Segment]:
    """Return the segments that were built and not committed yet, by their parts.

    Raises:
        IndexFolderError: What is kept of one is damaged.
    """
    found = []
    for path in sorted((folder.path / SEGMENTS_NAME).glob("*-of-*.json")):
        if not _PART.fullmatch(path.name):
            continue
        try:
            found.append(_segment_of(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise IndexFolderError(
                f"{path}: is damaged ({error}); build that part again: `earful index approximate "
                f"{as_argument(folder.path)} --shard {path.stem.replace('-of-', '/')}`"
            ) from error
    return sorted(found, key=lambda segment: (segment.parts, segment.part))


def _segment_of(values: dict[str, Any]) -> Segment:
    """Read a segment from JSON, which may be a stranger's.

    Raises:
        ValueError: A name is none that a segment has.
        AttributeError, KeyError, TypeError: It has other fields.
    """
    values["fragments"] = {
        int(number): [_name_of(file) for file in files]
        for number, files in values["fragments"].items()
    }
    values["files"] = {_name_of(name): str(sha256) for name, sha256 in values["files"].items()}
    values["sizes"] = {_name_of(name): int(size) for name, size in values["sizes"].items()}
    values["details"] = tuple(map(str, values["details"]))
    segment = Segment(**values)
    if not _UUID.fullmatch(segment.uuid):
        raise ValueError(f"uuid {segment.uuid!r}")
    return segment


def _name_of(text: str) -> str:
    """Return the name of a file, which leads nowhere else.

    Raises:
        ValueError: It may.
    """
    if not _FILE.fullmatch(text) or text.startswith("."):
        raise ValueError(f"file {text!r}")
    return text
