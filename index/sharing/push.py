"""Push: an index packed, described and sent to a hub as one commit."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earful.errors import SharingError
from earful.index.index import Index
from earful.index.sharing.cards import package_card, read_card
from earful.index.sharing.layout import CARD_NAME, SHARED_NAME, SharedFile
from earful.index.sharing.licences import AllowedLicences
from earful.index.sharing.package import Package, pack_index
from earful.index.sharing.places import Listing, Place, Progress, Sending, place_of, stale_parts
from earful.plain import plain_fields
from earful.values import short_repr
from earful.wording import counted, listed

if TYPE_CHECKING:
    from earful.index.sharing.cards import Evaluated

# What a new data set of the hub has by itself, and what people add to one.
_INNOCENT = (".gitattributes", ".gitignore", CARD_NAME, "LICENSE", "LICENSE.md", "LICENSE.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPlan:
    """What a push is about to send, and where.

    Attributes:
        place: ``ORG/NAME``, or a folder.
        address: Where people will find it.
        is_new: Whether there is nothing yet.
        is_private: Whether only its owners will see it; ``None`` for a folder.
        n: Rows.
        n_recordings: Recordings that go along.
        n_files: Files to send; 0 where all is there already.
        n_bytes: Their size.
        n_removed: Files of the place that are replaced or no longer pushed, such as recordings.
        licences: Rows by the licence's usual name.
        refused: Rows whose recordings stay, by the reason.
        left_out: What stays behind, in words.
        missing: What the card lacks, each with what to do about it.
        embedder: Who has to be trusted to ask the index; empty for an embedder of earful's own.
    """

    place: str
    address: str
    is_new: bool
    is_private: bool | None
    n: int
    n_recordings: int
    n_files: int
    n_bytes: int
    n_removed: int
    licences: Mapping[str, int] = field(hash=False)
    refused: Mapping[str, int] = field(hash=False)
    left_out: tuple[str, ...]
    missing: tuple[str, ...]
    embedder: str

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReport:
    """Result of ``push_index``.

    Attributes:
        plan: What was to be sent.
        revision: Hash of the commit; of a folder a digest; empty after a dry run.
        sent: Whether anything was; not where all was there already, nor by a dry run.
    """

    plan: PushPlan
    revision: str
    sent: bool

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {**self.plan.to_dict(), "revision": self.revision, "sent": self.sent}


def push_index(
    index: Index | str | os.PathLike[str],
    place: str,
    *,
    private: bool = False,
    with_audio: bool = False,
    allow_licences: Sequence[str] = (),
    message: str = "",
    card: str | os.PathLike[str] | None = None,
    evaluation: Evaluated | None = None,
    dry_run: bool = False,
    on_plan: Callable[[PushPlan], None] | None = None,
    verifying: Progress | None = None,
    sending: Progress | None = None,
) -> PushReport:
    """Push an index to a data set of the hub, or to a folder in the same layout.

    Vectors, labels and all other texts of rows are pushed; recordings only ``with_audio``, and of
    these only those under CC0, in the public domain, under CC-BY with their author, or under a
    licence that is allowed here. All is sent as one commit upon what the place held before, so that
    two pushes cannot mix, and one that dies leaves nothing.

    Args:
        index: The index, or its folder.
        place: ``ORG/NAME``, or a folder that begins with ``./``, ``../``, ``~`` or ``/``.
        private: Whether a new data set is for its owners only.
        with_audio: Whether recordings go along.
        allow_licences: Further licences whose recordings may.
        message: What the commit is called; empty for a usual one.
        card: A card in place of the usual one, such as ``earful index card`` wrote and you changed.
        evaluation: A finished evaluation, whose figures the card shows.
        dry_run: Whether to send nothing.
        on_plan: Called once all is known, before anything is sent; it may raise to stop.
        verifying: Called with the number of rows verified and the number of all.
        sending: Called with the bytes sent and the bytes of all.

    Raises:
        SharingError: The index has no rows or is damaged, a text of it holds a path of this
            machine, the place is somebody else's or was changed meanwhile, or the hub refuses.
        IndexFolderError: There is no index, or a file of it is damaged.
        ValueError: A licence to allow is empty, or licences are allowed without audio.
    """
    if allow_licences and not with_audio:
        raise ValueError("allow_licences is about recordings: expected with_audio, too")
    allowed = AllowedLicences.of(allow_licences) if with_audio else None
    target, revision = place_of(place)
    if revision:
        raise SharingError(f"{place}: a push makes a new revision; leave out @{revision}")
    if private and not target.endpoint:
        raise SharingError(
            f"{target.name}: a folder is as private as its permissions; leave out --private"
        )
    opened = index if isinstance(index, Index) else Index.open(index)
    own_card = None if card is None else read_card(Path(card))
    there = target.look()
    _require_ours(target, there, private=private)
    with tempfile.TemporaryDirectory(prefix="earful-push-") as folder:
        package = pack_index(opened, Path(folder), allowed=allowed, progress=verifying)
        made = package_card(
            package,
            place=target.name if target.endpoint else place,
            with_audio=with_audio,
            evaluation=evaluation,
        )
        Path(folder, CARD_NAME).write_text(own_card or made.text, encoding="utf-8")
        files, remove = _changes(package, target, there)
        plan = PushPlan(
            place=target.name,
            address=target.address,
            is_new=there is None or not there.holds_share,
            is_private=(private if there is None else there.private) if target.endpoint else None,
            n=package.record.n,
            n_recordings=len(package.audio.recordings),
            n_files=len(files),
            n_bytes=sum(file.n_bytes for file in files),
            n_removed=len(remove),
            licences=package.contents.licences,
            refused=package.audio.refused,
            left_out=package.left_out,
            missing=made.missing,
            embedder=made.embedder,
        )
        if on_plan is not None:
            on_plan(plan)
        if dry_run or not files:
            seen = "" if dry_run or there is None else there.revision
            return PushReport(plan=plan, revision=seen, sent=False)
        begun = there or target.begin(private=private)
        if there is None:
            _require_ours(target, begun, private=private)
        sent = target.send(
            Sending(
                folder=package.folder,
                files=files,
                remove=remove,
                message=message or f"Push {counted(package.record.n, 'row')} with earful",
                parent=begun.revision,
                private=private,
            ),
            sending,
        )
    return PushReport(plan=plan, revision=sent, sent=True)


def _require_ours(place: Place, there: Listing | None, *, private: bool) -> None:
    """Refuse a place that holds something else, or is more public than it is to be."""
    if there is None:
        return
    if not there.holds_share and (
        others := sorted(file.name for file in there.files if file.name not in _INNOCENT)
    ):
        raise SharingError(
            f"{place.address}: holds other files than an index ({listed(others[:3])}); choose "
            "another name"
        )
    if private and there.private is False:
        raise SharingError(
            f"{place.address}: is public already, and --private makes new ones private; make it "
            "private on the hub first, or choose another name"
        )


def _changes(
    package: Package, place: Place, there: Listing | None
) -> tuple[tuple[SharedFile, ...], tuple[str, ...]]:
    """Return the files to send and the paths to remove; none where all is there already.

    A table is written anew for each push, under other names, so rows and recordings are compared by
    their digests.
    """
    files = package.files
    if there is None or not there.holds_share:
        return files, ()
    at_place = {file.name: file for file in there.files}
    mine, theirs = package.record, _record_of(place, there, at_place[SHARED_NAME])
    is_same = (mine.rows_sha256, mine.recordings_sha256, mine.format) == (
        theirs.get("rows_sha256"),
        theirs.get("recordings_sha256"),
        theirs.get("format"),
    )
    if not is_same:
        return files, stale_parts(there, files)
    (card,) = (file for file in files if file.name == CARD_NAME)
    before = at_place.get(CARD_NAME)
    if (
        before is not None
        and place.read(there, before) == (package.folder / CARD_NAME).read_bytes()
    ):
        return (), ()
    return (card,), ()


def _record_of(place: Place, there: Listing, file: SharedFile) -> dict[str, Any]:
    """Return what the place says that it holds; nothing where that cannot be read."""
    try:
        values = json.loads(place.read(there, file))
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
