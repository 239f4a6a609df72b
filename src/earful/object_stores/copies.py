"""Copies: the bytes of objects on this machine, in bounded space, and their digests.

A copy counts while the store names the same etag and size; that is asked once a minute at most.
What is known of an object outlives its bytes, so that an unchanged one need not be fetched to be
known again.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from earful.errors import StoreError
from earful.files import keep_file, partial_file
from earful.object_stores.cache_folder import store_cache
from earful.object_stores.location import Location
from earful.object_stores.store import (
    ChangedObjectError,
    MissingObjectError,
    ObjectStore,
    StoredObject,
)
from earful.wording import quoted

MAX_BYTES: Final = 2 << 30
"""Space that all copies may take together, unless ``EARFUL_CACHE_BYTES`` says otherwise."""

_FRESH_S: Final = 60.0
_TRIES: Final = 3
_HEAD_BYTES: Final = 64

_lock = threading.Lock()
_stores: dict[Location, ObjectStore] = {}
_seen: dict[Location, tuple[float, int, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known of an object: its etag, size and digest."""

    etag: str
    size_bytes: int
    sha256: str


def local_copy(location: Location, *, max_bytes: int) -> Path:
    """Return a file with the bytes of an object, fetched if need be.

    Args:
        location: The object.
        max_bytes: Largest size accepted.

    Returns:
        The file; it may be removed when other copies need its space, a minute from now at the
        earliest.

    Raises:
        MissingObjectError: There is no such object.
        ObjectTooLargeError: It is larger than ``max_bytes``.
        StoreError: The store cannot be asked, or the copy cannot be written.
    """
    for _ in range(_TRIES):
        size, etag = _look(location)
        if size > max_bytes:
            raise ObjectTooLargeError(location, size)
        path, known = _place(location), _known(location)
        if known is not None and (known.etag, known.size_bytes) == (etag, size):
            with suppress(OSError):
                if path.stat().st_size == size:
                    os.utime(path)
                    return path
        try:
            return _fetch(location, path, size, etag)
        except ChangedObjectError:
            _forget(location)
    raise StoreError(f"{location}: is replaced again and again; run the command again later")


def object_sha256(location: Location, *, max_bytes: int) -> str:
    """Return the hex SHA-256 of an object's bytes; one that is unchanged is not fetched for it.

    Raises:
        MissingObjectError: There is no such object.
        ObjectTooLargeError: It is larger than ``max_bytes``.
        StoreError: The store cannot be asked.
    """
    size, etag = _look(location)
    if size > max_bytes:
        raise ObjectTooLargeError(location, size)
    known = _known(location)
    if known is None or not etag or (known.etag, known.size_bytes) != (etag, size):
        local_copy(location, max_bytes=max_bytes)
        known = _known(location)
    if known is None:
        raise StoreError(f"{location}: its copy was removed meanwhile; run the command again")
    return known.sha256


def object_head(location: Location) -> bytes:
    """Return the first bytes of an object, up to 64.

    Raises:
        StoreError: The store cannot be asked.
    """
    store, name = _store_of(location)
    return store.read_head(name, _HEAD_BYTES)


def object_exists(location: Location) -> bool:
    """Whether there is such an object.

    Raises:
        StoreError: The store cannot be asked.
    """
    try:
        _look(location)
    except MissingObjectError:
        return False
    return True


def note_listed(location: Location, listed: Iterable[StoredObject]) -> None:
    """Remember what a store has just said of the objects below an address."""
    time_s = time.monotonic()
    with _lock:
        for found in listed:
            _seen[location.below(found.name)] = (time_s, found.size_bytes, found.etag)


def forget_copies() -> None:
    """Ask stores anew of every object, and open them anew."""
    with _lock:
        _seen.clear()
        _stores.clear()


class ObjectTooLargeError(StoreError):
    """An object is larger than is accepted.

    Attributes:
        size_bytes: Its size.
    """

    def __init__(self, location: Location, size_bytes: int) -> None:
        super().__init__(f"{location}: has {size_bytes} bytes, over the limit; cut it into parts")
        self.size_bytes = size_bytes


def _store_of(location: Location) -> tuple[ObjectStore, str]:
    bucket = Location(scheme=location.scheme, bucket=location.bucket)
    with _lock:
        if bucket not in _stores:
            _stores[bucket] = ObjectStore(bucket)
        return _stores[bucket], location.key


def _look(location: Location) -> tuple[int, str]:
    """Return size and etag of an object."""
    with _lock:
        seen = _seen.get(location)
    if seen is not None and time.monotonic() - seen[0] < _FRESH_S:
        return seen[1], seen[2]
    store, name = _store_of(location)
    found = store.head(name) if name else None
    if found is None:
        raise MissingObjectError(f"{location}: there is no such object; check the address")
    with _lock:
        _seen[location] = (time.monotonic(), found.size_bytes, found.etag)
    return found.size_bytes, found.etag


def _forget(location: Location) -> None:
    with _lock:
        _seen.pop(location, None)


def _fetch(location: Location, path: Path, size: int, etag: str) -> Path:
    store, name = _store_of(location)
    try:
        _room.take(path.parent.parent, size)
        with partial_file(path) as part:
            sha256 = store.download(name, part, size_bytes=size, etag=etag)
        values = {"address": str(location), "etag": etag, "size": size, "sha256": sha256}
        keep_file(_about(path), json.dumps(values).encode())
    except OSError as error:
        raise StoreError(
            f"{location}: cannot be copied to {path.parent} ({error.strerror or error}); free some "
            "space, or name another folder by the variable EARFUL_CACHE"
        ) from error
    return path


def _known(location: Location) -> _Known | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        values = json.loads(_about(_place(location)).read_bytes())
        return _Known(
            etag=str(values["etag"]), size_bytes=int(values["size"]), sha256=str(values["sha256"])
        )
    return None


def _place(location: Location) -> Path:
    digest = hashlib.sha256(str(location).encode()).hexdigest()
    # Some decoders go by the ending of a name.
    ending = os.path.splitext(location.key)[1]
    ending = ending if ending[1:].isalnum() and len(ending) < 12 else ""
    return store_cache() / "copies" / digest[:2] / f"{digest}{ending}"


def _about(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _most_bytes() -> int:
    text = os.environ.get("EARFUL_CACHE_BYTES") or str(MAX_BYTES)
    if not (text.isascii() and text.isdigit()):
        raise StoreError(
            f"EARFUL_CACHE_BYTES={quoted(text)}: expected a whole number of bytes, such as "
            f"{MAX_BYTES}; correct or unset the variable"
        )
    return int(text)


class _Room:
    """The space that is left for copies, as it was when they were last looked through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._most = self._left = 0
        self._looked_s = 0.0

    def take(self, folder: Path, size: int) -> None:
        """Make room for a copy; all of them are looked through once a minute, or where it is full.

        Raises:
            OSError: The folder cannot be read, or a copy not be removed.
            StoreError: The bound cannot be read.
        """
        most, now_s = _most_bytes(), time.monotonic()
        with self._lock:
            is_known = (folder, most) == (self._folder, self._most)
            if not is_known or self._left < size or now_s - self._looked_s >= _FRESH_S:
                folder.mkdir(parents=True, exist_ok=True)
                self._left = _make_room(folder, size, most)
                self._folder, self._most, self._looked_s = folder, most, now_s
            self._left -= size


_room = _Room()


def _make_room(folder: Path, size: int, most: int) -> int:
    """Remove the copies that were not used for longest, and return the bytes that are left.

    Where it is full, a tenth is freed at once: looking through many copies takes a while.
    """
    found = list[tuple[float, int, str]]()
    for parent in os.scandir(folder):
        if not parent.is_dir():
            continue
        for one in os.scandir(parent.path):
            if not one.name.endswith(".json"):
                with suppress(FileNotFoundError):
                    status = one.stat()
                    found.append((status.st_mtime, status.st_size, one.path))
    held = sum(one[1] for one in found)
    if held + size <= most:
        return most - held
    for used, own, path in sorted(found):
        if held + size <= most - most // 10:
            break
        if time.time() - used > _FRESH_S:
            with suppress(FileNotFoundError):
                os.unlink(path)
            held -= own
    return most - held
