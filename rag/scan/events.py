"""Events: what a scan found, with the recordings that it looked at."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from earful.errors import CorpusError
from earful.html import notebook_html
from earful.index.annotations import Event, RecordingRow
from earful.index.labels import LabelJournal, journal_path, review_events
from earful.rag.scan.result_folder import ResultFolder
from earful.read_only import ReadOnlyDict
from earful.values import data_frame, short_repr
from earful.wording import counted, known_names, quoted

if TYPE_CHECKING:
    import pandas as pd

_MOST_IN_NOTEBOOK = 12
_WERE_SKIPPED = ("was skipped", "were skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSummary:
    """How a label was detected, and how often.

    Attributes:
        label: Name of the sound.
        n_examples: Positive examples; with ``first``, of all recordings together.
        detector: ``"neighbours"`` or ``"probe"``; empty where recordings differ.
        background: What stands for all else, such as ``"gaps, 600/recording"``.
        threshold: Events are where the score is above it.
        n_events: Events found.
        n_recordings: Recordings with one event or more.
        per_hour: Events an hour of what was scanned.
        notes: What a reader should know of it.
    """

    label: str
    n_examples: int
    detector: str
    background: str
    threshold: float
    n_events: int = 0
    n_recordings: int = 0
    per_hour: float = 0.0
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self) | {"notes": list(self.notes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Events(Sequence[Event]):
    """Events in order of recording and time.

    >>> events = Events(rows=(), recordings=(RecordingRow(recording="night.wav"),), summaries=())
    >>> len(events), list(events.labels)
    (0, [])

    Attributes:
        rows: The events; of a scan that is opened, with what its reviewers said of them.
        missed: What reviewers marked and no event stands for: sounds that the scan missed, and
            events that they gave another label. Their score is 0, and nothing counts them as
            found.
        denied: What was an event until reviewers said that it is not this label: detectors that
            learnt of it find it no more. Their score is 0, and they are no events.
        recordings: All recordings that were asked for, also those that failed.
        summaries: A line for each label.
        scan: What decided the events, as plain JSON values: ``scan.json``.
        folder: The result's folder; ``None`` for a scan that wrote none.
        notes: What a reader should know of the scan.
    """

    rows: tuple[Event, ...] = ()
    missed: tuple[Event, ...] = ()
    denied: tuple[Event, ...] = ()
    recordings: tuple[RecordingRow, ...] = ()
    summaries: tuple[LabelSummary, ...] = ()
    scan: Mapping[str, Any] = field(default_factory=ReadOnlyDict, hash=False)
    folder: Path | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scan", ReadOnlyDict(self.scan))

    def __repr__(self) -> str:
        found = Counter(event.label for event in self.rows)
        shown = ", ".join(f"{label!r} {n}" for label, n in found.most_common(5))
        more = ", …" if len(found) > 5 else ""
        return f"Events({len(self)} in {self.hours:.2f} h{': ' if shown else ''}{shown}{more})"

    _repr_html_ = notebook_html("events_table.html")

    @overload
    def __getitem__(self, at: int) -> Event: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Event, ...]: ...

    def __getitem__(self, at: int | slice) -> Event | tuple[Event, ...]:
        return self.rows[at]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.rows)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that were looked for, also those that were not found."""
        return tuple(summary.label for summary in self.summaries)

    @property
    def hours(self) -> float:
        """Hours that were scanned, in which they were recorded, with copies counted once."""
        scanned_s = self.scan.get("counts", {}).get("scanned_s")
        if scanned_s is not None:
            return float(scanned_s) / 3600
        return sum(row.recorded_s for row in self.recordings if row.was_read) / 3600

    @property
    def failed(self) -> tuple[RecordingRow, ...]:
        """Recordings that could not be read."""
        return tuple(row for row in self.recordings if row.status == "failed")

    @property
    def why_nothing(self) -> str:
        """Why nothing was scanned, with the first reason of each kind; empty if something was.

        >>> rows = [RecordingRow(recording=n, status="failed", reason="is empty") for n in "ab"]
        >>> Events(recordings=tuple(rows)).why_nothing
        '2 recordings failed: is empty'
        """
        if any(row.was_read for row in self.recordings):
            return ""
        said = []
        for status, were in (("failed", ("failed", "failed")), ("skipped", _WERE_SKIPPED)):
            reasons = Counter(row.reason for row in self.recordings if row.status == status)
            if not reasons:
                continue
            n, n_others = reasons.total(), len(reasons) - 1
            others = f", and {counted(n_others, 'other reason')}" if n_others else ""
            (reason, _), *_ = reasons.most_common(1)
            said.append(f"{counted(n, 'recording')} {were[n > 1]}: {reason}{others}")
        return "; ".join(said)

    def best(self, n: int = _MOST_IN_NOTEBOOK) -> tuple[Event, ...]:
        """Return the events with the highest scores, best first."""
        return tuple(sorted(self.rows, key=lambda one: (-one.score, one.event_id))[:n])

    def select(
        self,
        *,
        labels: Sequence[str] = (),
        min_score: float | None = None,
        with_missed: bool = False,
    ) -> tuple[Event, ...]:
        """Return the events of some labels, or from some score on.

        Args:
            labels: Labels of this scan, or of what it missed; none for all.
            min_score: Least score; ``None`` for any.
            with_missed: Whether what reviewers marked and the scan missed is among them.

        Raises:
            CorpusError: A label is none of this scan.
        """
        rows = self.rows + (self.missed if with_missed else ())
        said = (one.label for one in (*self.missed, *self.denied))
        known = tuple(dict.fromkeys((*self.labels, *said)))
        for label in labels:
            if label not in known:
                raise CorpusError(
                    f"label {quoted(label)}: not in this scan; {known_names(label, known)}"
                )
        return _chosen(rows, labels, min_score)

    def select_denied(
        self, *, labels: Sequence[str] = (), min_score: float | None = None
    ) -> tuple[Event, ...]:
        """Return what reviewers denied and is no event any more, likewise."""
        return _chosen(self.denied, labels, min_score)

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with the columns of ``events.csv``.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        columns = [one.name for one in fields(Event)]
        return data_frame(({name: getattr(one, name) for name in columns} for one in self), columns)

    def write(self, out: str | os.PathLike[str]) -> None:
        """Write the tables into a folder, without kept steps.

        Args:
            out: A new folder, or one that a scan wrote.

        Raises:
            ScanError: It holds something else, another process is writing it, or it cannot be
                written.
        """
        with ResultFolder(Path(out)) as folder:
            folder.write(
                self.rows,
                self.recordings,
                dict(self.scan) | {"labels": [one.to_dict() for one in self.summaries]},
            )

    @classmethod
    def open(cls, out: str | os.PathLike[str]) -> Self:
        """Open what a scan wrote, with what reviewers said of its events by now.

        Raises:
            ScanError: It is missing, was not finished, is damaged, foreign or newer.
            CorpusError: A row of a table is broken.
            LabelError: The journal of labels is damaged.
        """
        read = ResultFolder.read(Path(out))
        summaries = tuple(
            LabelSummary(**{**line, "notes": tuple(line["notes"])}) for line in read.labels
        )
        return cls(
            rows=tuple(read.events),
            recordings=tuple(read.recordings),
            summaries=summaries,
            scan=read.scan,
            folder=Path(out),
            notes=tuple(read.scan.get("notes", ())),
        ).with_labels()

    def with_labels(self) -> Self:
        """Return the events with what reviewers said of them by now.

        Raises:
            LabelError: The journal of labels is damaged.
        """
        if self.folder is None:
            return self
        state = LabelJournal(journal_path(self.folder)).state()
        reviewed = review_events(self.rows, state, self.recordings)
        return replace(
            self,
            rows=reviewed.events,
            missed=reviewed.missed,
            denied=reviewed.denied,
            notes=tuple(dict.fromkeys((*self.notes, *state.notes))),
        )


def _chosen(
    rows: Sequence[Event], labels: Sequence[str], min_score: float | None
) -> tuple[Event, ...]:
    return tuple(
        event
        for event in rows
        if (not labels or event.label in labels) and (min_score is None or event.score >= min_score)
    )


def row_dict(row: Event | RecordingRow) -> dict[str, Any]:
    """Return a row of a table as plain JSON values, times in ISO 8601."""
    return {one.name: _plain(getattr(row, one.name)) for one in fields(row)}


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
