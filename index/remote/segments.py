"""Segments in a store: parts of an approximate index, from machines that share no folder.

::

    s3://bucket/sounds.index/segments/    partitions.json, 2-of-8.json and so on, as in the folder

They are no part of the index: whoever trains, builds a part or commits has the folder's
``segments/`` brought in step by name, and nobody else sees them. Nothing here is locked. What the
JSON of a part names has a name of its own, goes first, and is compared with its digests at the
commit; of two machines that build the same part the last one counts.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from earful.errors import IndexFolderError
from earful.files import replaced
from earful.index.remote.fetching import together
from earful.index.remote.manifest import SEGMENTS_NAME
from earful.index.remote.mirror import Mirror
from earful.object_stores import ObjectStore, StoredObject

# Links to the table, which lie among them in the folder, have other names.
_FILES: Final = re.compile(r"\d+-of-\d+\.lance/_indices/[0-9a-f-]{36}/[A-Za-z0-9_][A-Za-z0-9_.-]*")
_RECORDS: Final = re.compile(r"\d+-of-\d+\.json")
_TRAINED: Final = ("centroids.npy", "partitions.json")


class StoredSegments:
    """Parts of an approximate index of an index in a store.

    Args:
        mirror: The copy of the index on this machine.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._store = ObjectStore(mirror.location.below(SEGMENTS_NAME))
        self._folder = mirror.folder / SEGMENTS_NAME

    @classmethod
    def at(cls, folder: Path) -> Self | None:
        """Return those of the index whose copy a folder is; ``None`` of another folder."""
        mirror = Mirror.at(folder)
        return None if mirror is None else cls(mirror)

    def replace_trained(self) -> None:
        """Publish what was trained here, in place of all that was before.

        Raises:
            StoreError: The store cannot be asked.
        """
        self.clear()
        for name in _TRAINED:
            self._store.upload(name, self._folder / name)

    def publish(self, part: int, parts: int) -> None:
        """Publish one part that was built here.

        Raises:
            StoreError: The store cannot be asked.
        """
        record = f"{part}-of-{parts}.json"
        home = self._folder / f"{part}-of-{parts}.lance"
        files = [path for path in (home / "_indices").rglob("*") if path.is_file()]
        names = [path.relative_to(self._folder).as_posix() for path in files]
        old = [
            one.name
            for one in self._store.list(home.name)
            if _FILES.fullmatch(one.name) and one.name not in names
        ]
        together(lambda name: self._store.upload(name, self._folder / name), names)
        self._store.upload(record, self._folder / record)
        self._store.delete(old)

    def fetch_trained(self) -> None:
        """Fetch what all parts share, and drop here what was made with another.

        Raises:
            IndexFolderError: It cannot be written here.
            StoreError: The store cannot be asked.
        """
        with self._mirror.held():
            self._fetch(one for one in self._store.list() if one.name in _TRAINED)

    def fetch(self) -> None:
        """Fetch all parts, and drop those here that the store does not have.

        Raises:
            IndexFolderError: They cannot be written here.
            StoreError: The store cannot be asked.
        """
        found = list(self._store.list())
        records = {one.name for one in found if _RECORDS.fullmatch(one.name)}
        with self._mirror.held():
            for path in self._folder.glob("*-of-*.json"):
                if path.name not in records:
                    path.unlink()
            self._fetch(
                one
                for one in found
                if one.name in (*_TRAINED, *records) or _FILES.fullmatch(one.name)
            )

    def clear(self) -> None:
        """Remove them from the store, what names others first.

        Raises:
            StoreError: The store cannot be asked.
        """
        found = [one.name for one in self._store.list()]
        self._store.delete(sorted(found, key=lambda name: (name.count("/"), name)))

    # --- private ---------------------------------------------------------------------------

    def _fetch(self, wanted: Iterable[StoredObject]) -> None:
        found = {one.name: one for one in wanted}
        if not found.keys() >= set(_TRAINED):
            # Whatever is here was committed, or dropped, by another machine.
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        try:
            together(self._fetch_one, found.values())
        except OSError as error:
            raise IndexFolderError(
                f"{self._store.location}: cannot be copied to {self._folder} "
                f"({error.strerror or error}); free some space, or name another folder by the "
                "variable EARFUL_CACHE"
            ) from error

    def _fetch_one(self, one: StoredObject) -> None:
        target = self._folder / one.name
        is_its_own = _FILES.fullmatch(one.name) and target.is_file()
        if is_its_own and target.stat().st_size == one.size_bytes:
            return  # built here, or fetched before
        target.parent.mkdir(parents=True, exist_ok=True)
        with replaced(target) as partial:
            self._store.download(one.name, partial, size_bytes=one.size_bytes, etag=one.etag)
