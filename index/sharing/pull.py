"""Pull: an index fetched from a hub, checked as a stranger's, and put in its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from earful.errors import SharingError
from earful.index.cache import CACHE_NAMES
from earful.index.index import Index
from earful.index.remote import SEGMENTS_NAME
from earful.index.sharing.layout import (
    ATTRIBUTION_NAME,
    AUDIO_FOLDER,
    CARD_NAME,
    PULLED_NAME,
    SHARED_NAME,
    PullLimits,
    SharedFile,
    files_of_share,
    require_files,
)
from earful.index.sharing.places import (
    Place,
    Progress,
    place_of,
    replace_folder,
    restore_folder,
)
from earful.index.sharing.records import PulledRecord, digest_of, row_digests
from earful.index.sharing.trust import require_sound
from earful.index.storage import (
    APPROXIMATE_NAME,
    CHECKSUMS_NAME,
    HEADER_NAME,
    QUARANTINE,
    REJECTED_NAME,
    TABLE_FOLDER,
    WriterLock,
)
from earful.plain import plain_fields
from earful.system import FileLock, lock_beside
from earful.values import short_repr
from earful.wording import as_argument, counted, listed

# All that may lie in the folder of a pulled index that was used since.
_OWN: Final = frozenset(
    {
        *(HEADER_NAME, CHECKSUMS_NAME, TABLE_FOLDER, REJECTED_NAME, APPROXIMATE_NAME, QUARANTINE),
        *(PULLED_NAME, CARD_NAME, ATTRIBUTION_NAME, AUDIO_FOLDER, ".lock", ".lock.held"),
        *(*CACHE_NAMES, "answers", SEGMENTS_NAME),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullReport:
    """Result of ``pull_index``.

    Attributes:
        path: The index folder.
        place: ``ORG/NAME``, or the folder that stood for a hub.
        revision: Hash of the commit; of a folder a digest.
        n: Rows.
        n_recordings: Recordings that came along.
        n_without_audio: Rows whose recordings did not, so that no language model can hear them;
            the vote (``model=None``) needs none.
        embedder: Name of the embedder that made the vectors.
        is_new: Whether the index was not there before.
        added: Rows that an earlier pull had not; all where there was none.
        removed: Rows that only the earlier pull had.
        changed: Rows with other content than before.
        others: Files of the place that are no part of an index, and were left there.
    """

    path: Path
    place: str
    revision: str
    n: int
    n_recordings: int
    n_without_audio: int
    embedder: str
    is_new: bool
    added: int
    removed: int
    changed: int
    others: tuple[str, ...]

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self)


def pull_index(
    place: str,
    index: str | os.PathLike[str],
    *,
    embedder: str = "",
    force: bool = False,
    limits: PullLimits = PullLimits(),
    fetching: Progress | None = None,
    verifying: Progress | None = None,
) -> PullReport:
    """Pull an index, compare every file and row with its digest, and put it in its place.

    The place is a stranger's: nothing outside of the new folder is read or written, no cache of it
    is used, and where anything is not as it was pushed there is no new folder. Pulled again, the
    index is brought up to date, unless it was changed here; nothing is fetched of a revision that
    it has already.

    Args:
        place: ``ORG/NAME``, ``ORG/NAME@REVISION``, or a folder that begins with ``./``, ``../``,
            ``~`` or ``/``.
        index: The index folder to make, or an earlier pull of the place.
        embedder: An embedder that does not come with earful, as ``NAME`` or ``NAME@REVISION``, to
            say that you trust it.
        force: Whether to replace an index that was changed here, or was none of this place's.
        limits: Most to take.
        fetching: Called with the bytes fetched and the bytes of all.
        verifying: Called with the number of rows verified and the number of all.

    Raises:
        SharingError: There is no such place or revision, it holds no index or a damaged, newer or
            hostile one, the embedder has to be named, the disk is full, or the folder holds
            something else.
        IndexBusyError: Another process is writing the index.
    """
    target = Path(index).absolute()
    source, asked = place_of(place)
    partial = target.with_name(f".{target.name}.pulling")
    with _told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        restore_folder(target)
        before = _rows_before(target, source, force=force)
    found = source.look(asked)
    if found is None:
        step = (
            "no such place, or it is private; check the name, and log in with `hf auth login` or "
            "set HF_TOKEN if it is yours"
        )
        raise SharingError(
            f"{source.address}: there is {step if source.endpoint else 'no such folder'}"
        )
    files, others = require_files(found.files, source.address, limits)
    had = None if before is None else PulledRecord.find(target)
    if before is not None and had is not None and not force and had.revision == found.revision:
        rows = before  # not changed here, or it would have been refused
    else:
        with _held(partial, target):
            _keep_only(partial, files)
            _require_room(partial, files)
            source.fetch(found, files, partial, fetching)
            with _told(target):
                shutil.rmtree(partial / ".cache", ignore_errors=True)
            try:
                rows = require_sound(
                    partial, files, source.address, embedder=embedder, progress=verifying
                )
            except SharingError:
                # A file that is wrong would be taken for finished by the next try.
                shutil.rmtree(partial, ignore_errors=True)
                raise
            with _told(target):
                _finish(partial)
                PulledRecord(
                    place=source.name,
                    endpoint=source.endpoint,
                    revision=found.revision,
                    asked=asked,
                    pulled=datetime.now(UTC).isoformat(timespec="seconds"),
                    n=len(rows),
                    rows_sha256=digest_of(rows),
                    embedder=embedder,
                ).write(partial)
                _put_in_place(partial, target, before)
    opened, earlier = Index.open(target), before or {}
    return PullReport(
        path=target,
        place=source.name,
        revision=found.revision,
        n=len(rows),
        n_recordings=sum(file.name.startswith(f"{AUDIO_FOLDER}/") for file in files),
        n_without_audio=_without_audio(opened),
        embedder=opened.fingerprint.name,
        is_new=before is None,
        added=sum(id_ not in earlier for id_ in rows),
        removed=sum(id_ not in rows for id_ in earlier),
        changed=sum(rows.get(id_, digest) != digest for id_, digest in earlier.items()),
        others=others,
    )


def _without_audio(index: Index) -> int:
    """Count the rows of a pulled index whose recordings did not come."""
    there = [root.is_dir() for root in index.roots()]
    return sum(not there[number] for number in index.read_table(["root"]).column(0).to_pylist())


def _rows_before(target: Path, source: Place, *, force: bool) -> dict[str, str] | None:
    """Return the rows of an index that may be replaced, by id; ``None`` where there is none.

    Raises:
        SharingError: The folder holds something that must not be lost.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return None
    shown = as_argument(target)
    if not (target / HEADER_NAME).is_file():
        raise SharingError(f"{shown}: holds other files than an index; choose a new folder")
    if foreign := sorted(path.name for path in target.iterdir() if path.name not in _OWN):
        raise SharingError(
            f"{shown}: holds {listed(foreign[:3])} beside an index, which would be lost; move "
            "that, or choose a new folder"
        )
    record = PulledRecord.find(target)
    rows = row_digests(Index.open(target))
    why = ""
    if record is None:
        why = "was not pulled"
    elif (record.place, record.endpoint) != (source.name, source.endpoint):
        why = f"was pulled from {record.place}"
    elif digest_of(rows) != record.rows_sha256:
        why = "was changed since it was pulled"
    if why and not force:
        raise SharingError(
            f"{shown}: is an index of {counted(len(rows), 'row')} that {why}; choose a new "
            "folder, or replace it all the same: --force"
        )
    return rows


def _put_in_place(partial: Path, target: Path, before: Mapping[str, str] | None) -> None:
    """Put a finished folder in the place of what was there when the pull began.

    Raises:
        SharingError: The folder holds other rows since.
        OSError: It cannot be renamed.
    """
    with nullcontext() if before is None else WriterLock(target).held():
        _require_unchanged(target, before)
        replace_folder(partial, target)


def _require_unchanged(target: Path, before: Mapping[str, str] | None) -> None:
    """Refuse to replace what somebody has written while the files were on their way.

    Raises:
        SharingError: The folder holds other rows than when the pull began.
    """
    if before is None:
        is_same = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    else:
        is_same = row_digests(Index.open(target)) == before
    if not is_same:
        raise SharingError(
            f"{as_argument(target)}: was changed while it was pulled, and is left as it is; look "
            "at it, then pull again, or choose a new folder"
        )


@contextmanager
def _held(partial: Path, target: Path) -> Iterator[None]:
    """Hold the folder that a pull grows in; what an earlier one fetched stays in it."""
    lock = FileLock(lock_beside(partial))
    with _told(target):
        is_free = lock.acquire()
    if not is_free:
        raise SharingError(
            f"{target}: another process is pulling it; wait until it is done, or choose a new "
            "folder"
        )
    try:
        with _told(target):
            partial.mkdir(exist_ok=True)
        yield
    finally:
        lock.release()


def _keep_only(partial: Path, files: tuple[SharedFile, ...]) -> None:
    """Remove what an earlier try fetched of another revision."""
    names = {file.name for file in files}
    try:
        there = files_of_share(partial)
    except SharingError:
        # Not by us: nothing in it can be trusted.
        shutil.rmtree(partial)
        partial.mkdir()
        return
    for file in there:
        if file.name not in names and not file.name.startswith(".cache/"):
            (partial / file.name).unlink()


def _require_room(partial: Path, files: tuple[SharedFile, ...]) -> None:
    there = {file.name: file.n_bytes for file in files_of_share(partial)}
    needed = sum(max(0, file.n_bytes - there.get(file.name, 0)) for file in files)
    if needed > (free := shutil.disk_usage(partial).free):
        raise SharingError(
            f"{partial.parent}: {needed:,} bytes are to be pulled, and {free:,} are free; make room"
        )


def _finish(partial: Path) -> None:
    """Remove what a check wrote, and what ``pulled.json`` takes the place of."""
    (partial / SHARED_NAME).unlink()
    (partial / ".lock").unlink(missing_ok=True)
    shutil.rmtree(partial / "snapshot", ignore_errors=True)
    for folder in sorted((path for path in partial.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SharingError(
            f"{target}: cannot be written ({error.strerror or error}); choose a folder that can be "
            "written, on a disk with room"
        ) from error
