"""Fetching: the copy on this machine is brought in step with the store, file by file.

Only files whose digests differ are fetched. They are staged and their digests checked before
any of them is moved in, and those that tell of others come last.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from earful.errors import IndexFolderError, StoreError
from earful.files import replaced
from earful.index.remote.manifest import (
    MANIFEST_NAME,
    MAX_BYTES,
    PUBLISHED_JOURNALS,
    Entry,
    Manifest,
    now,
    time_of,
)
from earful.index.remote.mirror import Mirror, MirrorState
from earful.model.runtime import sha256_of
from earful.object_stores import MissingObjectError, ObjectStore
from earful.system import FileLock, replace_file
from earful.wording import as_argument

_log = logging.getLogger(__name__)

N_TRANSFERS: Final = 8
_TRIES: Final = 3
_LEFTOVERS_KEPT: Final = timedelta(hours=1)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReport:
    """What bringing a copy in step took.

    Attributes:
        n_files: Files that were fetched.
        size_bytes: Their size together.
        is_there: Whether the store holds an index at that address.
        n_unpublished: Files of this copy that the store lacks, as after a kill; who writes next
            publishes them.
        set_aside: Where the copy went that held such files, while somebody else changed the
            index; ``None`` mostly.
    """

    n_files: int = 0
    size_bytes: int = 0
    is_there: bool = True
    n_unpublished: int = 0
    set_aside: Path | None = None


def fetch(mirror: Mirror, store: ObjectStore, *, may_set_aside: bool = True) -> FetchReport:
    """Bring a mirror in step with its store.

    Where another process of this machine writes the mirror, it is left as it is: that one has
    the right to write, so nobody else has changed the index.

    Args:
        mirror: The copy.
        store: The index's address.
        may_set_aside: Whether a copy with files of its own may be moved away where the index was
            changed by others meanwhile.

    Raises:
        IndexFolderError: It may not, and would have to be; or there is no room.
        StoreError: The store cannot be asked, or what it holds is damaged.
    """
    with mirror.held(), _no_writer(mirror.folder) as is_free:
        if not is_free:
            return FetchReport()
        return fetch_held(mirror, store, may_set_aside=may_set_aside)


def fetch_held(mirror: Mirror, store: ObjectStore, *, may_set_aside: bool) -> FetchReport:
    """Do what ``fetch`` does, for who holds the lock of the mirror's folder."""
    try:
        return _Fetch(mirror, store).run(may_set_aside=may_set_aside)
    except OSError as error:
        raise IndexFolderError(
            f"{store.location}: cannot be copied to {mirror.folder} ({error.strerror or error}); "
            "free some space, or name another folder by the variable EARFUL_CACHE"
        ) from error


class _Fetch:
    """One run."""

    def __init__(self, mirror: Mirror, store: ObjectStore) -> None:
        self._mirror, self._store = mirror, store
        self._state = mirror.state()

    def run(self, *, may_set_aside: bool) -> FetchReport:
        state = self._state
        # Somebody emptied the cache: what is not there was not removed from the index.
        is_lost = state.etag != "" and not (self._mirror.folder / "index.json").is_file()
        known = "" if state.is_applying or is_lost else state.etag
        try:
            found = self._store.read(MANIFEST_NAME, max_bytes=MAX_BYTES, unless=known)
        except MissingObjectError:
            return self._missing()
        local, stamps = self._mirror.scan(state)
        scanned = state.stamped(local, stamps)
        own = {name for name, entry in local.items() if state.files.get(name) != entry}
        own |= state.files.keys() - local.keys()
        if found is None:
            if scanned != state:
                self._mirror.write_state(scanned)
            return FetchReport(n_unpublished=len(own))
        state = scanned
        data, etag = found
        manifest = Manifest.from_bytes(data, str(self._store.location))
        aside = None
        is_whole = not (state.is_applying or is_lost)
        if own - set(PUBLISHED_JOURNALS) and is_whole and not _holds(local, manifest):
            aside = self._put_aside(may_set_aside=may_set_aside)
            local, state = {}, MirrorState(id=state.id)
        while (report := self._take(manifest, etag, local, state)) is None:
            aside = self._put_aside(may_set_aside=may_set_aside)
            local, state = {}, MirrorState(id=state.id)
        return replace(report, set_aside=aside)

    def _take(
        self, manifest: Manifest, etag: str, local: Mapping[str, Entry], state: MirrorState
    ) -> FetchReport | None:
        """Fetch what the copy lacks and move it in.

        Returns:
            What it took; ``None`` where a journal of the copy and that of the store both hold
            lines that the other lacks. Nothing is moved in then.
        """
        wanted = {name: e for name, e in manifest.files.items() if local.get(name) != e}
        size = sum(entry.size_bytes for entry in wanted.values())
        self._require_space(size)
        # Labels are added without the right to write, perhaps while files were fetched.
        with self._mirror.staging() as staging:
            self._stage(wanted, staging)
            with self._mirror.journals_held() as journals:
                kept = set()
                for name, here in journals.items():
                    is_newer = self._is_newer(name, here, manifest, staging)
                    if is_newer is None:
                        return None
                    if is_newer:
                        kept.add(name)
                for name in kept:
                    wanted.pop(name, None)
                self._apply(manifest, wanted, staging, local, state, etag, kept)
        _log.info(
            "fetched %d files, %d bytes, of %s",
            len(wanted),
            size,
            self._store.location,
            extra={"n_files": len(wanted), "size_bytes": size},
        )
        return FetchReport(n_files=len(wanted), size_bytes=size, n_unpublished=len(kept))

    def _is_newer(self, name: str, here: Entry, manifest: Manifest, staging: Path) -> bool | None:
        """Whether a journal stays as it is here; ``None`` where each has lines of its own."""
        theirs, known = manifest.files.get(name), self._state.files.get(name)
        if here in (theirs, known):
            return False
        path = self._mirror.folder / name
        if theirs in (known, None) or _begins_with(path, theirs):
            return True
        staged = staging / theirs.sha256
        return False if staged.is_file() and _begins_with(staged, here) else None

    def _missing(self) -> FetchReport:
        """Tell of a store without such an index; a copy that was never published may stay."""
        if self._state.etag:
            raise IndexFolderError(
                f"{self._store.location}: holds no index any more (it has no {MANIFEST_NAME}); "
                f"the copy of {self._state.fetched} is {self._mirror.folder}"
            )
        return FetchReport(is_there=False)

    def _put_aside(self, *, may_set_aside: bool) -> Path:
        if not may_set_aside:
            raise IndexFolderError(
                f"{self._store.location}: was changed by others, and its copy here holds changes "
                "that were never published; run the command again, which keeps them apart"
            )
        aside = self._mirror.set_aside()
        _log.warning(
            "%s was changed by others, and its copy here held changes that were never published: "
            "they are in %s",
            self._store.location,
            aside,
        )
        return aside

    def _require_space(self, size: int) -> None:
        free = shutil.disk_usage(self._mirror.folder.parent).free
        if free < size:
            raise IndexFolderError(
                f"{self._store.location}: {size:,} bytes are to be fetched and the disk of "
                f"{self._mirror.folder} has {free:,} free; free some space, or name another "
                "folder by the variable EARFUL_CACHE"
            )

    def _stage(self, wanted: Mapping[str, Entry], staging: Path) -> None:
        distinct = {entry.sha256: entry for entry in wanted.values()}

        def stage(entry: Entry) -> None:
            target = staging / entry.sha256
            if target.is_file() and sha256_of(target) == entry.sha256:
                return  # of a run that was cut short
            found = self._store.download(entry.object_name, target, size_bytes=entry.size_bytes)
            if found != entry.sha256:
                target.unlink()
                raise StoreError(
                    f"{self._store.location.below(entry.object_name)}: has the digest {found}, "
                    "expected that of its name; the object is damaged: restore it, or publish the "
                    "index again from a whole copy"
                )

        together(stage, distinct.values())

    def _apply(
        self,
        manifest: Manifest,
        wanted: Mapping[str, Entry],
        staging: Path,
        local: Mapping[str, Entry],
        state: MirrorState,
        etag: str,
        kept: Set[str],
    ) -> None:
        folder, mirror = self._mirror.folder, self._mirror
        folder.mkdir(parents=True, exist_ok=True)
        # A kill from here on leaves no state; the next run sees by this that nothing is its own.
        mirror.write_state(replace(state, is_applying=True))
        left = {name: staging / entry.sha256 for name, entry in wanted.items()}
        uses = Counter(entry.sha256 for entry in wanted.values())
        for name in sorted(left, key=_turn):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if uses[wanted[name].sha256] > 1:
                with replaced(target) as partial:
                    shutil.copyfile(left[name], partial)
            else:
                replace_file(left[name], target)
        gone = local.keys() - manifest.files.keys() - kept
        leftovers = {n: s for n, s in state.leftovers.items() if n not in manifest.files}
        for name in gone:
            # An earlier version must not be taken for the newest; its rows may still be read.
            if name.startswith("table/") and "/_versions/" not in name:
                leftovers[name] = now()
            else:
                (folder / name).unlink(missing_ok=True)
        leftovers = dict(_still_kept(leftovers, folder))
        fresh = replace(
            state,
            etag=etag,
            files=manifest.files,
            leftovers=leftovers,
            is_applying=False,
            fetched=now(),
        )
        # The files were just digested: their stamps say so from now on.
        mirror.write_state(replace(fresh, stamps=mirror.stamps(manifest.files.keys() - kept)))


def together(work: Callable[[_T], object], items: Iterable[_T]) -> None:
    """Work on items in a few threads, and raise the first error."""
    with ThreadPoolExecutor(N_TRANSFERS, thread_name_prefix="earful-store") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def offline_hint(mirror: Mirror) -> str:
    """Return how the copy that there is can be read without the store; ``""`` without any."""
    state = mirror.state()
    if not state.etag or state.is_applying or not mirror.folder.is_dir():
        return ""
    return (
        f". The copy of {state.fetched} can be read without the store: "
        f"--index {as_argument(mirror.folder)}"
    )


def _holds(local: Mapping[str, Entry], manifest: Manifest) -> bool:
    """Whether a copy is just what a manifest says, as when a kill came after publishing."""
    return _but_journals(local) == _but_journals(manifest.files)


def _but_journals(files: Mapping[str, Entry]) -> dict[str, Entry]:
    return {name: entry for name, entry in files.items() if name not in PUBLISHED_JOURNALS}


def _begins_with(path: Path, entry: Entry) -> bool:
    """Whether a file's first bytes are those of an entry."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(entry.size_bytes)).hexdigest() == entry.sha256


def _turn(name: str) -> tuple[int, str]:
    """Return when a file is moved in: those that name others after them."""
    if "/_versions/" in name:
        return 1, name
    return (0 if name.startswith("table/") else 2 + (name == "index.json")), name


def _still_kept(leftovers: Mapping[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    for name, since in leftovers.items():
        if datetime.now(UTC) - time_of(since) > _LEFTOVERS_KEPT:
            with suppress(FileNotFoundError):
                (folder / name).unlink()
        else:
            yield name, since


@contextmanager
def _no_writer(folder: Path) -> Iterator[bool]:
    """Keep a writer of this machine away; false where there is one."""
    if not folder.is_dir():
        yield True
        return
    # That of ``earful.index.storage``, which writes its holder into it.
    lock = FileLock(folder / ".lock", keep=True)
    is_free = lock.acquire()
    try:
        yield is_free
    finally:
        lock.release()
