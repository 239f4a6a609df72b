"""Manifest of a Lance table, read only as far as to see which files it would open.

A manifest may place its files outside of the table: by base paths, which can be any address, and by
the names of files. LanceDB follows both, so that a table from a stranger could have files of this
machine, or of a network, read as if they were its own. This walks the protocol buffer of the
manifest (Lance's ``protos/table.proto``) and lists what it names; LanceDB has no call for that.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from earful.errors import SharingError

_MAGIC: Final = b"LANC"
_FOOTER: Final = struct.Struct("<QHH4s")
_LENGTH: Final = struct.Struct("<I")
_MOST_BYTES: Final = 256 * 2**20
_PLAIN: Final = re.compile(r"[\w-]+\.lance")

# Fields of a manifest that say nothing of other files: columns, version, flags, times, settings.
_HARMLESS: Final = frozenset({1, 3, 5, 7, 8, 9, 10, 11, 13, 14, 15, 21})
_FRAGMENTS, _TRANSACTION = 2, 12
_NAMES: Final = {
    4: "version data", 6: "indices", 16: "settings", 18: "base paths", 19: "metadata", 20: "branch"
}  # fmt: skip
# Of a fragment: its id, its files, its number of rows; not deletions, overlays or outer row ids.
_FRAGMENT_FIELDS: Final = frozenset({1, 2, 4})
# Of a file: path, columns, versions, size; not the base path that it lies under.
_FILE_FIELDS: Final = frozenset({1, 2, 3, 4, 5, 6})


def require_own_files(manifest: Path) -> tuple[str, ...]:
    """Return the data files that a table's manifest names; all lie in the table's own folder.

    Args:
        manifest: The file; the table has one version and no indices.

    Raises:
        SharingError: It names files elsewhere, or has what a pushed table has not.
    """
    try:
        content = _manifest_of(manifest)
        return tuple(_data_files(content))
    except (struct.error, IndexError, ValueError) as error:
        raise SharingError(
            f"{manifest.name}: the table's manifest cannot be trusted ({error}); it was not made "
            "by `earful index push`"
        ) from error


def _manifest_of(path: Path) -> bytes:
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes, expected at most {_MOST_BYTES:,}")
    content = path.read_bytes()
    start, _, _, magic = _FOOTER.unpack(content[-_FOOTER.size :])
    if magic != _MAGIC:
        raise ValueError("it does not end as a manifest does")
    (length,) = _LENGTH.unpack_from(content, start)
    found = content[start + _LENGTH.size :][:length]
    if len(found) != length:
        raise ValueError("it is cut short")
    return found


def _data_files(manifest: bytes) -> Iterator[str]:
    for number, value in _fields(manifest):
        if number == _FRAGMENTS:
            yield from _files_of_fragment(_bytes(value))
        elif number not in _HARMLESS and number != _TRANSACTION:
            raise ValueError(f"it has {_NAMES.get(number, f'field {number}')}")


def _files_of_fragment(fragment: bytes) -> Iterator[str]:
    for number, value in _fields(fragment):
        if number not in _FRAGMENT_FIELDS:
            raise ValueError(f"a fragment has field {number}")
        if number == 2:
            for inner, own in _fields(_bytes(value)):
                if inner not in _FILE_FIELDS:
                    raise ValueError(f"a data file has field {inner}")
                if inner == 1:
                    name = _bytes(own).decode("utf-8")
                    if not _PLAIN.fullmatch(name):
                        raise ValueError(f"it names the file {name[:200]!r}")
                    yield name


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where a message should")
    return value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a message of protocol buffers."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"it has a field of kind {kind}")
        if at + length > len(message):
            raise ValueError("a field is cut short")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number has no end")
