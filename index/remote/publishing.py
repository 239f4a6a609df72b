"""Publishing: what was committed in a mirror becomes what the store holds, in one step.

New objects go first, each by its digest, so that none is ever written over; then the manifest,
unless somebody else has replaced it. Objects that nothing names any more are removed a day
later, when nobody can be fetching them.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from earful.errors import IndexBusyError, IndexFolderError, StoreError
from earful.index.remote.fetching import together
from earful.index.remote.manifest import (
    MANIFEST_NAME,
    MAX_BYTES,
    OBJECTS,
    Entry,
    Manifest,
    now,
    time_of,
)
from earful.index.remote.mirror import Mirror
from earful.object_stores import MissingObjectError, ObjectStore
from earful.wording import as_argument

_log = logging.getLogger(__name__)

KEPT_AFTER_DROPPED: Final = timedelta(days=1)
"""How long an object stays that the index no longer has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishReport:
    """What publishing took.

    Attributes:
        n_files: Objects that were written, besides the manifest.
        size_bytes: Their size together.
        n_removed: Old objects that were removed.
    """

    n_files: int = 0
    size_bytes: int = 0
    n_removed: int = 0


def publish(mirror: Mirror, store: ObjectStore) -> PublishReport:
    """Publish what a mirror holds, for who holds its lock and the lease.

    Raises:
        IndexBusyError: Another writer has published; nothing of theirs is changed.
        IndexFolderError: The mirror is damaged.
        StoreError: The store refuses, or cannot be asked; what it held stays as it was.
    """
    try:
        return _Publication(mirror, store).run()
    except OSError as error:
        raise IndexFolderError(
            f"{mirror.folder}: cannot be read ({error.strerror or error}); the store holds what it "
            "held before"
        ) from error


class _Publication:
    """One run."""

    def __init__(self, mirror: Mirror, store: ObjectStore) -> None:
        self._mirror, self._store = mirror, store
        self._state = mirror.state()

    def run(self) -> PublishReport:
        state = self._state
        local, stamps = self._mirror.scan(state)
        if local == dict(state.files):
            return PublishReport()
        self._require_whole(local)
        before = self._before()
        fresh = self._upload(local, before)
        manifest = self._successor(before, local)
        data = manifest.to_bytes()
        if state.etag:
            etag = self._store.replace(MANIFEST_NAME, data, etag=state.etag)
        else:
            etag = self._store.create(MANIFEST_NAME, data)
        if etag is None:
            raise self._lost()
        self._mirror.write_state(
            replace(state, etag=etag, files=local, stamps=stamps, is_applying=False, fetched=now())
        )
        n_removed = self._remove_old(before, manifest)
        size = sum(entry.size_bytes for entry in fresh.values())
        _log.info(
            "published %d files, %d bytes, to %s",
            len(fresh),
            size,
            self._store.location,
            extra={"n_files": len(fresh), "size_bytes": size, "n_removed": n_removed},
        )
        return PublishReport(n_files=len(fresh), size_bytes=size, n_removed=n_removed)

    def _before(self) -> Manifest:
        """Return what the store holds; it must be what this mirror began with."""
        try:
            found = self._store.read(MANIFEST_NAME, max_bytes=MAX_BYTES)
        except MissingObjectError:
            found = None
        if found is None:
            if self._state.etag:
                raise self._lost()
            return Manifest(files={})
        data, etag = found
        if etag != self._state.etag:
            raise self._lost()
        return Manifest.from_bytes(data, str(self._store.location))

    def _require_whole(self, local: Mapping[str, Entry]) -> None:
        """Refuse to publish a copy that something else than earful has changed."""
        changed = [
            name
            for name, entry in self._state.files.items()
            if "/data/" in name and local.get(name, entry) != entry
        ]
        has_table = any("/_versions/" in name for name in local)
        if changed or "index.json" not in local or not has_table:
            what = changed[0] if changed else "index.json or its table"
            raise IndexFolderError(
                f"{self._mirror.folder}: {what} is damaged or missing, so that it is not "
                f"published; remove the folder, and the next command fetches {self._store.location}"
            )

    def _upload(self, local: Mapping[str, Entry], before: Manifest) -> dict[str, Entry]:
        known = before.digests
        fresh = {e.sha256: (name, e) for name, e in local.items() if e.sha256 not in known}

        def upload(item: tuple[str, Entry]) -> None:
            name, entry = item
            there = self._store.head(entry.object_name)
            if there is not None and there.size_bytes == entry.size_bytes:
                return  # of a run that was cut short
            path = self._mirror.folder / name
            self._store.upload(
                entry.object_name, path if "/" in name else _as_digested(path, entry)
            )

        together(upload, fresh.values())
        return {name: entry for name, entry in fresh.values()}

    def _successor(self, before: Manifest, local: Mapping[str, Entry]) -> Manifest:
        time = now()
        manifest = Manifest(files=local, published=time, nonce=secrets.token_hex(8))
        dropped = {d: before.dropped.get(d, time) for d in before.digests | before.dropped.keys()}
        # Nobody asks any more since when the others are gone: they go by their age.
        oldest, used = datetime.now(UTC) - KEPT_AFTER_DROPPED, manifest.digests
        dropped = {
            d: since for d, since in dropped.items() if d not in used and time_of(since) > oldest
        }
        return replace(manifest, dropped=dropped)

    def _remove_old(self, before: Manifest, manifest: Manifest) -> int:
        """Remove objects that nobody can be fetching any more, once a day."""
        last = time_of(before.published) if before.published else None
        if last is None or last.date() == datetime.now(UTC).date():
            return 0
        oldest = datetime.now(UTC) - KEPT_AFTER_DROPPED
        used = manifest.digests
        kept = {digest for digest, since in manifest.dropped.items() if time_of(since) > oldest}
        try:
            # A run that was cut short has left objects that no manifest ever named.
            old = [
                found.name
                for found in self._store.list(OBJECTS)
                if found.modified < oldest and found.name.rpartition("/")[2] not in used | kept
            ]
            self._store.delete(old)
        except StoreError as error:
            _log.warning("old objects were not removed, the next day tries again: %s", error)
            return 0
        return len(old)

    def _lost(self) -> IndexBusyError:
        return IndexBusyError(
            f"{self._store.location}: another writer has published meanwhile, so that this one's "
            f"changes were not; they are in {as_argument(self._mirror.folder)}. Run the command "
            "again: it takes up what the other one wrote"
        )


def _as_digested(path: Path, entry: Entry) -> bytes:
    """Return the bytes of a file that were digested: a reviewer may add to the journal at any time.

    Raises:
        IndexFolderError: They are others now.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read(entry.size_bytes)
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise IndexFolderError(
            f"{path}: was changed while it was published; the store holds what it held before. Run "
            "the command again"
        )
    return data
