"""Labels of tables: annotations, and our own tables whose ``review`` was filled in elsewhere."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from earful.errors import CorpusError, LabelError
from earful.index.annotations import Annotation, Event, event_id, read_annotations
from earful.index.corpus import EVENT_COLUMNS, as_text, content_kind, read_polarity, read_rows
from earful.index.labels import (
    Label,
    LabelJournal,
    LabelState,
    Polarity,
    Stretches,
    journal_path,
    recording_key,
)
from earful.plain import plain_fields
from earful.rag.scan import Events, RecordingNames
from earful.values import short_repr
from earful.wording import counted, listed, quoted

PathLike = str | os.PathLike[str]
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsImport:
    """What an import did.

    Attributes:
        labels: The labels that were written.
        n_known: Labels that were said before and are the same.
        n_unreviewed: Rows on which nobody has said anything.
        n_events: Of all labels, those of events that the scan found.
        notes: What was left out, and what else a reader should know.
    """

    labels: tuple[Label, ...] = ()
    n_known: int = 0
    n_unreviewed: int = 0
    n_events: int = 0
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self) | {"labels": [one.to_dict() for one in self.labels]}


def import_labels(
    scan: PathLike,
    sources: PathLike | Sequence[PathLike],
    *,
    reviewer: str,
    label_column: str | None = None,
    columns: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> LabelsImport:
    """Write what tables say into the journal of a scan.

    A row of ``events.csv`` or ``clips.csv`` is about the event of its id. Any other row is about
    the event of its recording and label that it shares half or more with, else about a sound that
    the scan missed. What the same reviewer said before is not written again.

    Args:
        scan: Folder that a scan wrote.
        sources: Files of annotations in any format, folders of them, or our own tables in whose
            ``review`` column somebody wrote.
        reviewer: Who said so, where a table does not name anybody.
        label_column: Column that names the sound; ``None`` for the usual.
        columns: Column of a field, such as ``{"start_s": "von"}``.
        dry_run: Whether nothing is written.

    Raises:
        CorpusError: A table is broken, or none of its rows is about a recording of the scan.
        LabelError: The journal is damaged, or a value of a row cannot be kept.
        ScanError: The scan cannot be read.
    """
    given = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    importing = _Importing(Events.open(scan), reviewer)
    for path in given:
        if _is_own(Path(path)):
            importing.add_own(Path(path))
        else:
            importing.add_annotations(path, label_column, columns)
    journal = LabelJournal(journal_path(scan))
    fresh = importing.fresh(journal.state())
    if not dry_run:
        fresh = list(journal.append_all(fresh))
    return importing.report(fresh)


class _Importing:
    """Labels as they are read."""

    def __init__(self, found: Events, reviewer: str) -> None:
        self._reviewer = reviewer
        self._rows = {row.recording: row for row in found.recordings}
        self._names = RecordingNames(list(self._rows))
        self._events = found.rows + found.missed + found.denied
        self._own = {event.event_id for event in found.rows}
        self._by_id = {event.event_id: event for event in self._events}
        self._stretches = Stretches(
            (recording_key(one.recording_sha256, one.recording), one.label, one.start_s, one.end_s)
            for one in self._events
        )
        self._labels: list[Label] = []
        self._n_read = self._n_known = self._n_unreviewed = 0
        self._lost: Counter[str] = Counter()
        self._gone: list[str] = []
        self._notes: list[str] = []

    def add_annotations(
        self, path: PathLike, label_column: str | None, columns: Mapping[str, str] | None
    ) -> None:
        """Add the rows of annotations of any format."""
        read = read_annotations(path, label_column=label_column, columns=columns)
        unsaid = frozenset(read.unreviewed)
        # Rows without a review are passed over here, and do not count as unknown.
        self._notes += [note for note in read.notes if not note.endswith("as unknown")]
        for one in read:
            self._n_read += 1
            if one.where in unsaid:
                self._n_unreviewed += 1
                continue
            self._add(one, one.polarity, self._reviewer, None)

    def add_own(self, path: Path) -> None:
        """Add the rows of one of our own tables in which somebody wrote."""
        n_said = 0
        for where, row in _own_rows(path):
            self._n_read += 1
            said = read_polarity(row.get("review"), "review", where)
            if not said:
                self._n_unreviewed += 1
                continue
            n_said += 1
            reviewer = row.get("reviewer", "").strip() or self._reviewer
            at = _moment(row.get("reviewed_at", ""), where)
            name = row.get("label", "").strip()
            event = self._by_id.get(row["event_id"])
            mark = _annotation(row, name, where) if name and row.get("start_s") else None
            if event is not None:
                times = None if mark is None else (mark.start_s, mark.end_s)
                self._say(event, name or event.label, said, reviewer, at, where, times)
            elif mark is not None:
                self._add(mark, said, reviewer, at)
            else:
                self._gone.append(where)
        if not n_said:
            raise CorpusError(
                f"{path}: nobody has said anything in its column review; expected positive, "
                "negative or unknown in some rows"
            )

    def _add(self, one: Annotation, polarity: str, reviewer: str, at: datetime | None) -> None:
        """Add what is said of a stretch: of the event there, or of a sound that was missed."""
        path = self._names.find(one.recording, Path(one.where.rpartition(":")[0]).parent)
        row = None if path is None else self._rows.get(path)
        if row is None:
            self._lost[one.recording] += 1
            return
        key = recording_key(row.sha256, row.recording)
        near = self._stretches.near(key, one.label, one.start_s, one.end_s)
        if near:
            event = self._events[near[0][1]]
            times = (one.start_s, one.end_s)
            self._say(event, one.label, polarity, reviewer, at, one.where, times)
            return
        self._append(
            item=event_id(row.sha256, one.label, one.start_s, one.end_s),
            recording=row.recording,
            recording_sha256=row.sha256,
            start_s=one.start_s,
            end_s=one.end_s,
            label=one.label,
            polarity=polarity,
            reviewer=reviewer,
            at=at,
            where=one.where,
        )

    def _say(
        self,
        event: Event,
        name: str,
        polarity: str,
        reviewer: str,
        at: datetime | None,
        where: str,
        times: tuple[float, float] | None = None,
    ) -> None:
        """Add what is said of an event."""
        start_s, end_s = times or (event.start_s, event.end_s)
        is_found = event.event_id in self._own
        self._append(
            item=event.event_id,
            recording=event.recording,
            recording_sha256=event.recording_sha256,
            start_s=start_s,
            end_s=end_s,
            label=name,
            polarity=polarity,
            reviewer=reviewer,
            at=at,
            guess=event.label if is_found else "",
            score=event.score if is_found else None,
            where=where,
        )

    def _append(self, *, polarity: str, where: str, **values: Any) -> None:
        try:
            label = Label(polarity=cast("Polarity", polarity), source="import", **values)
        except LabelError as error:
            raise LabelError(f"{where}: {error}", field=error.field) from error
        self._labels.append(label)

    def fresh(self, state: LabelState) -> list[Label]:
        """Return the labels that their reviewers have not said yet; of an item the last one."""
        if self._n_read and not self._labels and (self._lost or self._gone):
            name = next(iter(self._lost), "") or self._gone[0]
            raise CorpusError(
                f"none of {counted(self._n_read, 'row')} is about a recording of this scan, such "
                f"as {quoted(name)}; expected names such as {quoted(next(iter(self._rows), ''))}"
            )
        last = {(one.item, one.reviewer): one for one in self._labels}
        fresh = []
        for (item, reviewer), one in last.items():
            known = state.items.get(item)
            word = None if known is None else known.words.get(reviewer)
            if word is not None and _says(word) == _says(one):
                self._n_known += 1
            else:
                fresh.append(one)
        return fresh

    def report(self, fresh: Sequence[Label]) -> LabelsImport:
        """Return what was read, and what was written of it."""
        notes = list(self._notes)
        if self._lost:
            names = listed(list(self._lost)[:_MOST_NAMED])
            more = " and others" if len(self._lost) > _MOST_NAMED else ""
            notes.append(
                f"{counted(sum(self._lost.values()), 'row')} about recordings that are not of this "
                f"scan left out: {names}{more}"
            )
        if self._gone:
            notes.append(
                f"{counted(len(self._gone), 'row')} about events that this scan does not have left "
                f"out, such as {self._gone[0]}"
            )
        if self._n_unreviewed:
            notes.append(
                f"{counted(self._n_unreviewed, 'row')} of which nobody has said anything passed "
                "over"
            )
        return LabelsImport(
            labels=tuple(fresh),
            n_known=self._n_known,
            n_unreviewed=self._n_unreviewed,
            n_events=len({one.item for one in self._labels} & self._own),
            notes=tuple(notes),
        )


def _says(label: Label) -> tuple[object, ...]:
    return label.label, label.polarity, round(label.start_s, 3), round(label.end_s, 3)


def _is_own(path: Path) -> bool:
    """Whether a file is a table of events or clips."""
    if not path.is_file() or (kind := content_kind(path)) is None or not path.stat().st_size:
        return False
    found: set[str] = set()

    def check(names: Any, where: str) -> None:
        found.update(name.lower() for name in names)

    try:
        with closing(read_rows(path, frozenset(EVENT_COLUMNS), check, kind=kind)) as rows:
            found.update(name.lower() for name in next(rows, ("", {}))[1])
    except CorpusError:
        return False
    return {"event_id", "review"} <= found


def _own_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a table of events or clips as texts, columns in lower case."""
    with closing(read_rows(path, frozenset(EVENT_COLUMNS), kind=content_kind(path))) as rows:
        for where, record in rows:
            # Times of clips are those within the clip, and their labels may be several.
            is_clip = any(name.lower() == "file_name" for name in record)
            yield (
                where,
                {
                    name.lower(): as_text(value, where, name)
                    for name, value in record.items()
                    if not (is_clip and name.lower() in ("start_s", "end_s", "recording"))
                    and not isinstance(value, list)
                },
            )


def _annotation(row: Mapping[str, str], label: str, where: str) -> Annotation:
    try:
        times = float(row["start_s"]), float(row.get("end_s", ""))
    except ValueError as error:
        raise CorpusError(f"{where}: its times are no numbers; expected seconds") from error
    return Annotation(
        recording=row.get("recording", ""),
        start_s=times[0],
        end_s=times[1],
        label=label,
        where=where,
    )


def _moment(text: str, where: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise CorpusError(
            f"{where}: reviewed_at is {quoted(text)}; expected a date and time such as "
            "2026-05-03T04:30:00Z, or nothing"
        ) from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
