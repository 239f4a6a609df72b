"""Evaluate events: what a scan found against what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from earful.errors import EvaluationError
from earful.index.annotations import Annotation
from earful.rag.evaluation import Bootstrap, Interval
from earful.rag.scan.metrics.counts import Counts, harmonic_mean
from earful.rag.scan.metrics.matching import Span
from earful.rag.scan.metrics.psds import Curve, KeptScores, PsdsSettings, curve, score
from earful.rag.scan.metrics.rules import (
    CollarRule,
    IouRule,
    Rule,
    SegmentRule,
    Stretches,
)
from earful.read_only import ReadOnlyDict
from earful.wording import listed, quoted

Metric = Literal["iou", "collar", "segment", "psds"]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
_RULES: Final[Mapping[str, Rule]] = {
    "iou": IouRule(),
    "collar": CollarRule(),
    "segment": SegmentRule(),
}


class Found(Protocol):
    """A stretch that was found, such as an ``Event``."""

    @property
    def recording(self) -> str:
        """The recording, by the name that ``recordings`` has."""
        ...

    @property
    def start_s(self) -> float:
        """Where it begins, in seconds."""
        ...

    @property
    def end_s(self) -> float:
        """Where it ends, in seconds."""
        ...

    @property
    def label(self) -> str:
        """Name of the sound."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEvaluation:
    """How well events agree with what is there.

    Attributes:
        metric: ``"iou"``, ``"collar"``, ``"segment"`` or ``"psds"``.
        value: Mean F1 of the labels that are somewhere, or PSDS.
        interval: 95 % interval of it over recordings; ``None`` with a single recording, or where
            none was asked for.
        by_label: Counts of each label; empty for PSDS.
        by_recording: Counts of each recording; likewise.
        by_set: Counts of each set of recordings; likewise.
        psds_by_label: Of each label; empty for other metrics.
        hours: Length of what was evaluated.
        n_given: Positive events of each label and recording that were given as examples, and
            do not count.
        notes: What a reader should know.
    """

    metric: Metric
    value: float
    interval: Interval | None
    by_label: Mapping[str, Counts] = field(hash=False)
    by_recording: Mapping[str, Counts] = field(hash=False)
    by_set: Mapping[str, Counts] = field(hash=False)
    psds_by_label: Mapping[str, float] = field(default_factory=ReadOnlyDict, hash=False)
    hours: float
    n_given: int = 0
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        name = "PSDS" if self.metric == "psds" else "mean F1"
        between = f", {self.interval.low:.2f} to {self.interval.high:.2f}" if self.interval else ""
        return (
            f"EventEvaluation({self.metric}: {name} {self.value:.2f}{between}, {self.hours:.1f} h)"
        )

    @property
    def total(self) -> Counts:
        """Counts of all labels and recordings."""
        return sum(self.by_label.values(), Counts())

    @property
    def harmonic_mean(self) -> float:
        """Harmonic mean of the sets' F1, as in task 5 of DCASE; no set counts less than 1e-5.

        Sets without any event of the reference have no F1 and are left out.
        """
        return harmonic_mean(counts.f1 for counts in self.by_set.values() if counts.n_true)

    @property
    def false_per_hour(self) -> float:
        """False events an hour, all labels together."""
        return self.total.false / self.hours if self.hours > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, ready for JSON."""
        interval = self.interval
        told: dict[str, Any] = {
            "metric": self.metric,
            "value": self.value,
            "interval": None if interval is None else [interval.low, interval.high],
            "hours": self.hours,
            "n_recordings": len(self.by_recording) or None,
            "n_given": self.n_given,
            "notes": list(self.notes),
        }
        if self.metric == "psds":
            return told | {"by_label": dict(self.psds_by_label)}
        return told | {
            "total": _told(self.total),
            "harmonic_mean": self.harmonic_mean,
            "false_per_hour": self.false_per_hour,
            "by_label": {name: _told(counts) for name, counts in self.by_label.items()},
            "by_set": {name: _told(counts) for name, counts in self.by_set.items()},
            "by_recording": {name: _told(counts) for name, counts in self.by_recording.items()},
        }


def _told(counts: Counts) -> dict[str, Any]:
    return {
        "found": counts.found,
        "false": counts.false,
        "missed": counts.missed,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
    }


def evaluate_events(
    events: Iterable[Found],
    reference: Iterable[Annotation],
    recordings: Mapping[str, float],
    *,
    metric: Metric = "iou",
    n_given: int = 0,
    sets: Mapping[str, str] | None = None,
    labels: Sequence[str] | None = None,
    scores: Mapping[str, KeptScores] | None = None,
    rule: Rule | None = None,
    psds: PsdsSettings | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> EventEvaluation:
    """Compare events with what is there.

    Args:
        events: What was found.
        reference: What is there; unknown stretches are neither right nor wrong, and negative
            ones say what is not marked anyway.
        recordings: Length in seconds of each recording that was searched, also of those
            without events.
        metric: ``"iou"`` (overlap of 0.3, task 5 of DCASE), ``"collar"`` (ends within 0.2 s),
            ``"segment"`` (of a second) or ``"psds"`` (from scores, without a threshold).
        n_given: Of each label and recording so many positive events are examples: nothing
            counts up to the end of the last of them. A found event counts if its middle lies
            after.
        sets: The set of each recording, such as its site, for the harmonic mean; ``None`` for
            one set of all.
        labels: To evaluate; ``None`` for all that occur.
        scores: By recording, for ``"psds"``.
        rule: In place of the metric's own, such as ``IouRule(least=0.5)``.
        psds: What counts for ``"psds"``; ``None`` for the defaults.
        resamples: Of the recordings, for the interval, a tenth as many for PSDS; 0 for none.
        seed: Of the resampling.

    Raises:
        EvaluationError: The metric is unknown, an event or annotation names a recording that
            was not searched, nothing was searched, or PSDS is asked for without scores.
    """
    if metric not in METRICS:
        raise EvaluationError(f"metric={metric!r}: expected one of {listed(METRICS)}")
    if not recordings:
        raise EvaluationError("no recordings: expected one or more that were searched")
    found, true, unknown = _Spans(), _Spans(), _Spans()
    for event in events:
        found.add(event, recordings)
    for one in reference:
        if one.polarity != "negative":
            (true if one.polarity == "positive" else unknown).add(one, recordings)
    names = sorted(recordings)
    known = {label for _, label in [*found, *true]}
    wanted = sorted(known) if labels is None else list(dict.fromkeys(labels))
    cells = {
        (name, label): _stretches(name, label, found, true, unknown, recordings, n_given)
        for name in names
        for label in wanted
    }
    if metric == "psds":
        return _evaluate_psds(
            cells,
            names,
            wanted,
            scores,
            psds or PsdsSettings(),
            n_given=n_given,
            resamples=resamples // 10,
            seed=seed,
        )
    used = rule or _RULES[metric]
    counts = {cell: used.count(stretches) for cell, stretches in cells.items()}
    by_label = _sums(((label, counts[name, label]) for name, label in cells), wanted)
    set_of = {name: (sets or {}).get(name, "all" if sets is None else "") for name in names}
    absent = [label for label in wanted if not by_label[label].n_true]
    there = [one for one in wanted if one not in absent]
    value, interval = _macro(counts, names, there, resamples, seed)
    return EventEvaluation(
        metric=metric,
        value=value,
        interval=interval,
        by_label=ReadOnlyDict(by_label),
        by_recording=ReadOnlyDict(
            _sums(((name, counts[name, label]) for name, label in cells), names)
        ),
        by_set=ReadOnlyDict(
            _sums(
                ((set_of[name], counts[name, label]) for name, label in cells),
                sorted(set(set_of.values())),
            )
        ),
        hours=_hours(cells, wanted),
        n_given=n_given,
        notes=tuple(
            f"{quoted(label)} is nowhere in the reference: it counts only as false events"
            for label in absent
        ),
    )


class _Spans(dict[tuple[str, str], list[Span]]):
    """Stretches by recording and label."""

    def add(self, one: Found, recordings: Mapping[str, float]) -> None:
        if one.recording not in recordings:
            raise EvaluationError(
                f"{quoted(one.recording)} has an event of {quoted(one.label)} and is not among "
                f"the {len(recordings)} recordings that were searched; expected one of their "
                "names, such as " + quoted(next(iter(recordings)))
            )
        self.setdefault((one.recording, one.label), []).append((one.start_s, one.end_s))


def _stretches(
    name: str,
    label: str,
    found: _Spans,
    true: _Spans,
    unknown: _Spans,
    recordings: Mapping[str, float],
    n_given: int,
) -> Stretches:
    own = sorted(true.get((name, label), ()))
    given = own[:n_given]
    return Stretches(
        found=sorted(found.get((name, label), ())),
        true=own,
        unknown=sorted(unknown.get((name, label), ())),
        from_s=max((end_s for _, end_s in given), default=0.0),
        duration_s=recordings[name],
    )


def _hours(cells: Mapping[tuple[str, str], Stretches], labels: Sequence[str]) -> float:
    """Return the hours that were evaluated, on average over labels."""
    seconds = sum(own.duration_s - own.from_s for own in cells.values())
    return seconds / max(len(labels), 1) / 3600


def _sums(items: Iterable[tuple[str, Counts]], names: Sequence[str]) -> dict[str, Counts]:
    sums = dict.fromkeys(names, Counts())
    for name, counts in items:
        sums[name] = sums[name] + counts
    return sums


def _macro(
    counts: Mapping[tuple[str, str], Counts],
    names: Sequence[str],
    labels: Sequence[str],
    resamples: int,
    seed: int,
) -> tuple[float, Interval | None]:
    """Return the mean F1 of labels, with its interval over recordings."""
    if not labels:
        return 0.0, None
    table = np.array(
        [
            [(own.found, own.false, own.missed) for own in (counts[n, label] for label in labels)]
            for n in names
        ],
        dtype=np.float64,
    )

    def mean_f1(picked: NDArray[np.intp]) -> float:
        found, false, missed = np.moveaxis(table[picked].sum(axis=0), -1, 0)
        there = found + missed > 0
        if not there.any():
            return 0.0
        either = (2 * found + false + missed)[there]
        return float((2 * found[there] / either).mean())

    if len(names) < 2 or not resamples:
        return mean_f1(np.arange(len(names))), None
    interval = Bootstrap(resamples=resamples, seed=seed).of(mean_f1, len(names))
    return interval.value, interval


def _evaluate_psds(
    cells: Mapping[tuple[str, str], Stretches],
    names: Sequence[str],
    labels: Sequence[str],
    scores: Mapping[str, KeptScores] | None,
    settings: PsdsSettings,
    *,
    n_given: int,
    resamples: int,
    seed: int,
) -> EventEvaluation:
    lacking = [name for name in names if name not in (scores or {})]
    if scores is None or lacking:
        raise EvaluationError(
            f"psds needs the scores of {quoted(lacking[0])}: expected them of all "
            f"{len(names)} recordings; run `earful scan --keep-scores`, or take --metric iou"
        )
    curves: dict[tuple[str, str], Curve] = {}
    for (name, label), own in cells.items():
        kept = scores[name]
        if label not in kept.labels:
            continue
        row = kept.scores[kept.labels.index(label)]
        first_s = kept.first_s
        if own.from_s:
            skipped = max(0, int(np.ceil((own.from_s - first_s) / kept.step_s)))
            row, first_s = row[skipped:], first_s + skipped * kept.step_s
        curves[name, label] = curve(
            row,
            [span for span in own.true if span[1] > own.from_s] if own.from_s else own.true,
            own.unknown,
            first_s=first_s,
            step_s=kept.step_s,
            hours=(own.duration_s - own.from_s) / 3600,
            settings=settings,
        )

    def of(picked: NDArray[np.intp]) -> tuple[float, dict[str, float]]:
        chosen = [names[row] for row in picked]
        return score(
            {
                label: [curves[name, label] for name in chosen if (name, label) in curves]
                for label in labels
            },
            settings,
        )

    value, by_label = of(np.arange(len(names)))
    interval = (
        Bootstrap(resamples=resamples, seed=seed).of(lambda rows: of(rows)[0], len(names))
        if len(names) > 1 and resamples
        else None
    )
    return EventEvaluation(
        metric="psds",
        value=value,
        interval=interval,
        by_label=ReadOnlyDict(),
        by_recording=ReadOnlyDict(),
        by_set=ReadOnlyDict(),
        psds_by_label=ReadOnlyDict(by_label),
        hours=_hours(cells, labels),
        n_given=n_given,
    )
