"""Commits: the labels of a journal become rows of an index, and rows go when labels do.

A row is called ``review/ITEM`` and holds the stretch of the original recording. Rows are compared
with the journal each time, so that whatever a crash left out is added by the next commit. Of the
journal of an index, an item that is a row of it changes the labels of that row instead; what they
were is kept in the row's ``labels_before``.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from earful.errors import AudioError, LabelError
from earful.index.corpus import Corpus, CorpusRow, Exemplar, default_id
from earful.index.labels import Label, LabelJournal, LabelState, journal_path
from earful.plain import plain_fields
from earful.rag.review.tables import ROW_PREFIX, holds_label, label_row, relabelled
from earful.rag.scan import Events, is_scan, recording_places
from earful.read_only import ReadOnlyDict
from earful.values import short_repr
from earful.wording import counted, printable

if TYPE_CHECKING:
    from earful.index import Index
    from earful.index.storage import IndexFolder, Row
    from earful.model import Embedder

PathLike = str | os.PathLike[str]


class Reviewed(Protocol):
    """What has a journal: a review session."""

    @property
    def journal(self) -> LabelJournal:
        """The journal."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitReport:
    """What a commit did, or would do.

    Attributes:
        added: Ids of the rows that are new.
        changed: Ids of the rows that say something else now.
        removed: Ids of the rows that are gone, as their labels are.
        n_unchanged: Rows that were as the journal says.
        left_out: Items that are no rows, by their status: disputed, unknown or skip.
        missing: Recordings that are not there, with the number of labels that wait for each.
        failed: What could not be embedded, with the reason: recording and sentence.
        notes: What a reader should know.
        is_dry_run: Whether nothing was written.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    n_unchanged: int = 0
    left_out: Mapping[str, int] = field(default_factory=ReadOnlyDict, hash=False)
    missing: tuple[tuple[str, int], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    is_dry_run: bool = False

    __repr__ = short_repr

    @property
    def n_rows(self) -> int:
        """Rows that were written."""
        return len(self.added) + len(self.changed)

    @property
    def n_removed(self) -> int:
        """Rows that were removed."""
        return len(self.removed)

    @property
    def text(self) -> str:
        """What happened, in a line."""
        return (
            f"{counted(len(self.added), 'row')} added, {len(self.changed):,} changed, "
            f"{self.n_removed:,} removed, {self.n_unchanged:,} as before"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self)


def commit_labels(
    reviewed: Reviewed | Events | PathLike,
    index: Index | PathLike,
    *,
    dry_run: bool = False,
    embedder: Embedder | Callable[[], Embedder] | None = None,
    device: str = "auto",
) -> CommitReport:
    """Make an index say what the journal of a scan, or its own, says.

    Positives become rows with that label, negatives rows that it does not fit; what is disputed,
    unknown or skipped is no row. Only what differs is written, under the index's writer lock. A
    recording that is not there leaves its new labels for a later commit.

    Args:
        reviewed: A review session, the folder of a scan or its events, or the folder of an index
            whose own journal is meant.
        index: The index, or its folder.
        dry_run: Whether to count only; nothing is decoded or written then.
        embedder: The index's own, or what returns it when there is something to embed; ``None``
            to load it then.
        device: To load it on.

    Raises:
        LabelError: The journal is damaged.
        IndexFolderError: The index cannot be read or written.
        IndexBusyError: Another process is writing the index.
        IndexMismatchError: The embedder is not the index's own.
        ModelError: The embedder cannot be loaded.
        ScanError: The scan cannot be read.
    """
    from earful.index.remote import local_folder
    from earful.index.storage import IndexFolder

    path = local_folder(index) if isinstance(index, str | os.PathLike) else index.path
    source = _Source(reviewed, path)
    journal = source.journal
    state = journal.state()
    mentioned = {one.item for one in journal.read() if isinstance(one, Label)}
    folder = IndexFolder.open(path)
    with nullcontext() if dry_run else folder.writer():
        plan = _Plan(state, mentioned, folder, source)
        if not dry_run:
            if gone := [*plan.removed, *plan.moved]:
                folder.remove(gone)
            if plan.rewritten:
                folder.add(plan.rewritten)
    failed: list[tuple[str, str]] = []
    if plan.waiting and not dry_run:
        failed = _embed(plan, folder, journal, embedder, device)
    if not isinstance(index, str | os.PathLike) and not dry_run:
        index.refresh()
    return plan.report(state, failed, is_dry_run=dry_run)


def is_index(path: Path) -> bool:
    """Whether a path is the folder of an index."""
    from earful.index.storage import HEADER_NAME

    return (path / HEADER_NAME).is_file()


class _Source:
    """A journal, and where its recordings are."""

    def __init__(self, reviewed: Reviewed | Events | PathLike, index: Path) -> None:
        if isinstance(reviewed, Events):
            if reviewed.folder is None:
                raise LabelError("these events were not written: scan with out= to keep labels")
            folder = reviewed.folder
        elif isinstance(reviewed, str | os.PathLike):
            folder = Path(reviewed)
        else:
            folder = reviewed.journal.path.parent
        self.folder = folder
        self.is_index = not is_scan(folder)
        if self.is_index and not is_index(folder):
            raise LabelError(
                f"{printable(str(folder))}: is neither the result of a scan nor an index; expected "
                "a folder with labels, such as `earful scan --out` writes"
            )
        if self.is_index and folder.resolve() != index.resolve():
            raise LabelError(
                f"{printable(str(folder))}: is an index, and its labels go into itself, not into "
                f"{printable(str(index))}"
            )
        self.journal = LabelJournal(journal_path(folder))
        self._paths: list[str] = []
        self._copies: dict[str, list[str]] = defaultdict(list)
        if not self.is_index:
            found = reviewed if isinstance(reviewed, Events) else Events.open(folder)
            self._paths = [str(one) for one in found.scan.get("paths", ())]
            for row in found.recordings:
                if row.sha256:
                    self._copies[row.sha256].append(row.recording)

    def places(self, label: Label) -> list[Path]:
        """Return where the recording of a label is: from here, or from beside the scan."""
        names = [label.recording, *self._copies.get(label.recording_sha256, ())]
        return [
            path
            for name in dict.fromkeys(filter(None, names))
            for path in recording_places(name, self.folder)
            if path.is_file()
        ]

    def is_same(self, path: Path, sha256: str) -> bool:
        """Whether a recording is still what was labelled.

        Raises:
            AudioError: It cannot be read.
        """
        if not sha256:
            return True
        try:
            found = path.stat()
        except OSError as error:
            why = f"cannot be read ({error.strerror}); put it back where it was"
            raise AudioError(f"{printable(str(path))}: {why}") from error
        return _digest(path, found.st_size, found.st_mtime_ns) == sha256

    def below(self, path: Path) -> tuple[Path, PurePosixPath]:
        """Return the root of a recording's row, and its path below: what was scanned, if it is."""
        there = Path(os.path.abspath(path))
        for given in sorted(self._paths, key=len, reverse=True):
            for folder in (Path(given), self.folder.parent / given):
                top = os.path.abspath(folder)
                if folder.is_dir() and there != Path(top) and there.is_relative_to(top):
                    below = there.relative_to(top)
                    return folder.resolve(), PurePosixPath(below.as_posix())
        return path.parent.resolve(), PurePosixPath(path.name)


@lru_cache(maxsize=4096)
def _digest(path: Path, size_bytes: int, changed_ns: int) -> str:
    """Return the digest of a file that is what it was: of a night it takes seconds.

    Raises:
        AudioError: It cannot be read.
    """
    from earful.model.audio import STRETCH_OF_LONG, file_sha256

    return file_sha256(path, limits=STRETCH_OF_LONG)


class _Plan:
    """What has to be done to an index.

    Attributes:
        rewritten: Rows with other fields, whose audio stays.
        removed: Ids of rows whose labels do not count any more.
        moved: Ids of rows that are embedded anew from another root.
        waiting: New rows by root.
    """

    def __init__(
        self, state: LabelState, mentioned: Iterable[str], folder: IndexFolder, source: _Source
    ) -> None:
        self.rewritten: list[Row] = []
        self.removed: list[str] = []
        self.moved: list[str] = []
        self.waiting: dict[Path, list[Exemplar]] = defaultdict(list)
        self.named: dict[str, str] = {}
        self._changed: list[str] = []
        self._added: list[str] = []
        self._n_unchanged = 0
        self._n_removed = 0
        self._missing: Counter[str] = Counter()
        self._failed: list[tuple[str, str]] = []
        self._state, self._source = state, source
        known = folder.indexed_rows()
        self._roots = {id_: row.root for id_, row in known.items()}
        own = {item for item in mentioned if source.is_index and item in known}
        stored = folder.rows([*own, *(ROW_PREFIX + item for item in mentioned)])
        for item in sorted(own):
            if item in stored:
                self._relabel(item, stored[item])
        counts = {one.item: one for one in state.counted}
        for item in sorted(set(mentioned) - own):
            id_ = ROW_PREFIX + item
            if id_ not in known and source.is_index and _was_row(state, item):
                self._n_removed += 1
            elif item in counts:
                self._require(id_, counts[item], stored.get(id_), is_there=id_ in known)
            elif id_ in known:
                self.removed.append(id_)

    def _relabel(self, item: str, row: Row) -> None:
        """Give a row of the index the labels that count, or its own back."""
        said = self._state.items.get(item)
        label = None if said is None or said.label is None else said.label
        wanted = relabelled(row.exemplar, label if label and label.is_opinion else None)
        if wanted == row.exemplar:
            self._n_unchanged += label is not None
            return
        self.rewritten.append(replace(row, exemplar=wanted))
        self._changed.append(item)

    def _require(self, id_: str, label: Label, row: Row | None, *, is_there: bool) -> None:
        """Let the index hold a label."""
        if row is not None and holds_label(row, label):
            wanted = label_row(id_, label, row.exemplar.audio)
            if wanted == row.exemplar:
                self._n_unchanged += 1
            else:
                self.rewritten.append(replace(row, exemplar=wanted))
                self._changed.append(id_)
            return
        places = self._source.places(label)
        if not places:
            self._missing[label.recording] += 1
            return
        why = ""
        for path in places:
            try:
                if self._source.is_same(path, label.recording_sha256):
                    root, audio = self._source.below(path)
                    self.waiting[root].append(label_row(id_, label, audio))
                    self.named[id_] = label.recording
                    if is_there and self._roots[id_] != root:
                        self.moved.append(id_)
                    (self._changed if is_there else self._added).append(id_)
                    return
                why = why or (
                    f"{printable(str(path))}: is another recording than was labelled; put back the "
                    "one that was scanned, or scan it again"
                )
            except AudioError as error:
                why = why or str(error)
        self._failed.append((label.recording, why))

    def report(
        self, state: LabelState, failed: list[tuple[str, str]], *, is_dry_run: bool
    ) -> CommitReport:
        """Return what was done, but for rows that failed."""
        lost = {id_ for id_, _ in failed}
        left_out = Counter(
            one.status for one in state.items.values() if one.status not in ("positive", "negative")
        )
        gone = f"{counted(self._n_removed, 'label')} about rows that somebody has removed left out"
        failures = [*self._failed, *((self.named[id_], why) for id_, why in failed)]
        return CommitReport(
            added=tuple(id_ for id_ in self._added if id_ not in lost),
            changed=tuple(id_ for id_ in self._changed if id_ not in lost),
            removed=tuple(self.removed),
            n_unchanged=self._n_unchanged,
            left_out=dict(sorted(left_out.items())),
            missing=tuple(sorted(self._missing.items())),
            failed=tuple(dict.fromkeys(failures)),
            notes=(*state.notes, gone) if self._n_removed else state.notes,
            is_dry_run=is_dry_run,
        )


def _was_row(state: LabelState, item: str) -> bool:
    """Whether an item of an index's journal was a row of it."""
    said = state.items.get(item)
    words = () if said is None else said.history
    return any(isinstance(one, Label) and one.source == "index" for one in words)


def _embed(
    plan: _Plan,
    folder: IndexFolder,
    journal: LabelJournal,
    embedder: Embedder | Callable[[], Embedder] | None,
    device: str,
) -> list[tuple[str, str]]:
    """Embed the rows that wait; return ids of those that failed, with the reason."""
    from earful.index.builder import BuildOptions, build_index
    from earful.model import load_embedder
    from earful.model.audio import STRETCH_OF_LONG

    made = folder.fingerprint
    model = embedder() if callable(embedder) else embedder
    model = model or load_embedder(
        made.name, revision=made.revision, device=device, dtype=made.dtype
    )
    failed: list[tuple[str, str]] = []
    for root, exemplars in sorted(plan.waiting.items()):
        rows = tuple(CorpusRow(exemplar=one, where=str(journal.path)) for one in exemplars)
        corpus = Corpus(root=root, source=journal.path, kind="file", rows=rows)
        report = build_index(
            corpus, folder.path, embedder=model, options=BuildOptions(limits=STRETCH_OF_LONG)
        )
        why = {one.stretch: one.error for one in report.rejected}
        for one in exemplars:
            stretch = printable(default_id(one.audio, one.start_s, one.end_s))
            if stretch in why:
                failed.append((one.id, why[stretch]))
    return failed
