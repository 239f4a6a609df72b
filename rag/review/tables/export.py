"""Exports of labels: what reviewers said, in the formats of other programs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from earful.index.annotations import Event, ExportOptions, RecordingRow, export_events
from earful.index.labels import ItemState, LabelJournal, LabelState, journal_path
from earful.plain import plain_fields
from earful.rag.scan import Events, is_scan
from earful.read_only import ReadOnlyDict
from earful.values import short_repr

SAYS_NEGATIVES: Final = ("csv", "parquet", "json", "jsonl")
"""Formats with a column for the review and the reviewer; the others hold positives alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsExport:
    """What an export wrote.

    Attributes:
        files: In the order of the formats and recordings.
        counts: Items by what counts: positive, negative, unknown; what is disputed is unknown.
        only_positives: Formats of those asked for that hold positives alone.
    """

    files: tuple[Path, ...]
    counts: Mapping[str, int] = field(default_factory=ReadOnlyDict, hash=False)
    only_positives: tuple[str, ...] = ()

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self)


def export_labels(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    formats: Sequence[str],
    *,
    labels: Sequence[str] = (),
    options: ExportOptions = ExportOptions(),
) -> LabelsExport:
    """Write what reviewers said in formats of other programs into a folder.

    Stretches are where reviewers put them. Tables and JSON say of each whether the sound is there,
    and who said so; other formats hold the positives.

    Args:
        folder: Of a scan, or of an index.
        out: Made if it is not there; files of the same names are replaced.
        formats: Names of ``EXPORT_FORMATS``.
        labels: Labels to write; none for all.
        options: Choices that single formats have.

    Raises:
        CorpusError: A format is unknown, or cannot hold these labels.
        LabelError: The journal is damaged.
        OSError: A file cannot be written.
        ScanError: The scan cannot be read.
    """
    path = Path(folder)
    state = LabelJournal(journal_path(path)).state()
    found = Events.open(path) if is_scan(path) else Events()
    rows = _labelled(found, state, labels)
    recordings = list(found.recordings)
    if found.folder is not None:
        options = replace(options, scan=found.scan)
    files: list[Path] = []
    for name in dict.fromkeys(formats):
        own = rows if name in SAYS_NEGATIVES else [one for one in rows if one.review == "positive"]
        files += export_events(own, recordings, Path(out), [name], options=options)
    return LabelsExport(
        files=tuple(files),
        counts=dict(sorted(Counter(one.review for one in rows).items())),
        only_positives=tuple(one for one in dict.fromkeys(formats) if one not in SAYS_NEGATIVES),
    )


def _labelled(found: Events, state: LabelState, labels: Sequence[str]) -> list[Event]:
    """Return an event for each item of which anything is said that counts, or is disputed."""
    by_id = {event.event_id: event for event in (*found.missed, *found.denied, *found.rows)}
    rows = {row.sha256: row for row in reversed(found.recordings) if row.sha256}
    labelled = []
    for item, said in state.items.items():
        if said.status == "skip":
            continue
        event = _event(item, said, by_id.get(item), rows)
        if not labels or event.label in labels:
            labelled.append(event)
    return labelled


def _event(
    item: str, said: ItemState, event: Event | None, rows: Mapping[str, RecordingRow]
) -> Event:
    words = [said.label] if said.label is not None else list(said.opinions)
    last = words[-1]
    row = rows.get(last.recording_sha256)
    if event is None:
        event = Event(
            event_id=item,
            recording=last.recording if row is None else row.recording,
            recording_sha256=last.recording_sha256,
            start_s=last.start_s,
            end_s=last.end_s,
            label=last.label,
            score=last.score or 0.0,
            site="" if row is None else row.site,
            latitude=None if row is None else row.latitude,
            longitude=None if row is None else row.longitude,
        )
    is_disputed = said.label is None
    return replace(
        event,
        start_s=last.start_s,
        end_s=last.end_s,
        label=(last.guess or last.label) if is_disputed else last.label,
        review="unknown" if is_disputed else last.polarity,
        reviewer=", ".join(dict.fromkeys(one.reviewer for one in words)),
        reviewed_at=max((one.at for one in words if one.at is not None), default=None),
    )
