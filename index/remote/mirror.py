"""Mirror: the copy on this machine of an index in a store, and what is known of it.

::

    CACHE/stores/indexes/DIGEST/
        sounds.index/         an index folder like any other; what is made of it lies there, too
        mirror.json           address, files as they were last in step with the store, leftovers
        staging/              files on their way into the folder
        .lock                 who is fetching

The folder is told from any other by the ``mirror.json`` beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from earful.errors import StoreError
from earful.files import write_atomically
from earful.index.remote.manifest import (
    PUBLISHED_FILES,
    PUBLISHED_FOLDERS,
    PUBLISHED_JOURNALS,
    Entry,
    is_published,
)
from earful.model.runtime import sha256_of
from earful.object_stores import Location, parse_location, store_cache
from earful.system import FileLock, lock_beside

STATE_NAME: Final = "mirror.json"
_STAGING: Final = "staging"
_LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorState:
    """The contents of ``mirror.json``.

    Attributes:
        id: Told to the store with each lease.
        etag: Of the manifest that the folder was last in step with; ``""`` before the first one.
        files: The files as they were then.
        stamps: Size, time and number of each file when its digest was taken, so that it is not
            taken again.
        leftovers: Files that the index no longer has, with the time since when; who reads an
            earlier state may still open them.
        is_applying: Whether files are being moved into the folder, so that it is no state at all.
        fetched: When it was last in step, UTC, ISO 8601.
    """

    id: str
    etag: str = ""
    files: Mapping[str, Entry] = field(default_factory=dict)
    stamps: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    leftovers: Mapping[str, str] = field(default_factory=dict)
    is_applying: bool = False
    fetched: str = ""

    def stamped(
        self, found: Mapping[str, Entry], stamps: Mapping[str, tuple[int, int, int]]
    ) -> Self:
        """Return it with the stamps of the files that are as it has them, and of no others.

        What was changed here must not be taken for what it was.

        Args:
            found: The files that there are now.
            stamps: Those of all of them.
        """
        kept = {name: stamps[name] for name, one in found.items() if self.files.get(name) == one}
        return replace(self, stamps=kept)


class Mirror:
    """The copy on this machine of one index in a store.

    Args:
        location: The index's address.

    Attributes:
        location: The index's address.
        folder: The index folder; it exists once something was fetched or built.
    """

    def __init__(self, location: Location) -> None:
        digest = hashlib.sha256(str(location).encode()).hexdigest()[:24]
        self.location = location
        self._home = store_cache() / "indexes" / digest
        self.folder = self._home / (location.key.rpartition("/")[2] or location.bucket)

    @classmethod
    def at(cls, folder: Path) -> Self | None:
        """Return the mirror that a folder is; ``None`` where it is an index of this machine."""
        state = folder.parent / STATE_NAME
        if not state.is_file():
            return None
        with suppress(OSError, ValueError, TypeError, KeyError, StoreError):
            made = cls(parse_location(json.loads(state.read_bytes())["uri"]))
            # Elsewhere the file is a stranger's.
            if os.path.realpath(made.folder) == os.path.realpath(folder):
                return made
        return None

    def __repr__(self) -> str:
        return f"Mirror({str(self.location)!r})"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others on this machine from fetching, and wait until they have.

        Raises:
            StoreError: The cache cannot be written.
        """
        lock = FileLock(self._home / _LOCK, keep=True)
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            lock.acquire(wait=True)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Make the folder for files on their way; who leaves it in peace leaves it empty."""
        folder = self._home / _STAGING
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        for path in folder.iterdir():
            path.unlink()

    def state(self) -> MirrorState:
        """Read what is known of the folder; it is made up anew where it cannot be read."""
        try:
            values = json.loads((self._home / STATE_NAME).read_bytes())
            return MirrorState(
                id=str(values["id"]),
                etag=str(values["etag"]),
                files={name: _entry(one) for name, one in values["files"].items()},
                stamps={name: _stamp(one) for name, one in values["stamps"].items()},
                leftovers={name: str(since) for name, since in values["leftovers"].items()},
                is_applying=bool(values["is_applying"]),
                fetched=str(values["fetched"]),
            )
        except FileNotFoundError:
            return MirrorState(id=secrets.token_hex(8))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            # Nothing is known: all files are digested anew, and compared with the store's.
            return MirrorState(id=secrets.token_hex(8), is_applying=self.folder.is_dir())

    def write_state(self, state: MirrorState) -> None:
        """Replace what is known of the folder.

        Raises:
            StoreError: The cache cannot be written.
        """
        values = {
            "uri": str(self.location),
            "id": state.id,
            "etag": state.etag,
            "files": {name: [one.size_bytes, one.sha256] for name, one in state.files.items()},
            "stamps": state.stamps,
            "leftovers": dict(state.leftovers),
            "is_applying": state.is_applying,
            "fetched": state.fetched,
        }
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            write_atomically(self._home / STATE_NAME, json.dumps(values))
        except OSError as error:
            raise self._unwritable(error) from error

    def scan(self, state: MirrorState) -> tuple[dict[str, Entry], dict[str, tuple[int, int, int]]]:
        """Return the files of the folder that belong to the index, and the stamps of them.

        Raises:
            OSError: A file cannot be read.
        """
        found: dict[str, Entry] = {}
        stamps: dict[str, tuple[int, int, int]] = {}
        known = {name: entry for name, entry in state.files.items() if name in state.stamps}
        for name in self._names():
            if name in state.leftovers:
                continue
            path = self.folder / name
            status = path.stat()
            stamp = _stamp_of(status)
            if state.stamps.get(name) == stamp and name in known:
                found[name] = known[name]
            else:
                found[name] = Entry(size_bytes=status.st_size, sha256=sha256_of(path))
            stamps[name] = stamp
        return found, stamps

    def stamps(self, names: Iterable[str]) -> dict[str, tuple[int, int, int]]:
        """Return the stamps of files that were just digested.

        Raises:
            OSError: One cannot be read.
        """
        return {name: _stamp_of((self.folder / name).stat()) for name in names}

    @contextmanager
    def journals_held(self) -> Iterator[dict[str, Entry]]:
        """Keep everybody from adding to the journals, and wait until they have.

        Yields:
            The journals that there are, as they are until this is left.

        Raises:
            OSError: One cannot be locked or read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            found = {}
            for name in PUBLISHED_JOURNALS:
                path = self.folder / name
                lock = FileLock(lock_beside(path), keep=True)
                lock.acquire(wait=True)
                held.callback(lock.release)
                if path.is_file():
                    found[name] = Entry(size_bytes=path.stat().st_size, sha256=sha256_of(path))
            yield found

    def set_aside(self) -> Path:
        """Move the folder out of the way, where it stays an index, and return its new path."""
        for number in range(1, 1_000_000):
            target = self._home / f"unpublished-{number}" / self.folder.name
            if not target.parent.exists():
                break
        target.parent.mkdir(parents=True)
        os.rename(self.folder, target)
        return target

    # --- private ---------------------------------------------------------------------------

    def _names(self) -> Iterator[str]:
        for name in PUBLISHED_FILES:
            if (self.folder / name).is_file():
                yield name
        for top in PUBLISHED_FOLDERS:
            for parent, folders, names in os.walk(self.folder / top):
                folders.sort()
                for name in sorted(names):
                    relative = Path(parent, name).relative_to(self.folder).as_posix()
                    hidden = any(part.startswith(".") for part in relative.split("/"))
                    if is_published(relative) and not hidden:
                        yield relative

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self.location}: its copy in {self._home} cannot be written ({error.strerror}); name "
            "another folder by the variable EARFUL_CACHE"
        )


def _stamp_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _entry(values: Any) -> Entry:
    size, sha256 = values
    return Entry(size_bytes=int(size), sha256=str(sha256))


def _stamp(values: Any) -> tuple[int, int, int]:
    size, modified, number = values
    return int(size), int(modified), int(number)
