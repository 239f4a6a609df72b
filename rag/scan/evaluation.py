"""Evaluation of a scan: its events against a reference that knows all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from earful.errors import CorpusError, EvaluationError
from earful.index.annotations import Annotation, Polarity, read_annotations
from earful.rag.scan.density import scanned_part
from earful.rag.scan.events import Events
from earful.rag.scan.examples import RecordingNames
from earful.rag.scan.metrics import EventEvaluation, KeptScores, Metric, evaluate_events
from earful.rag.scan.part import ScanPart
from earful.rag.scan.result_folder import EXAMPLES, SCORES, is_scan
from earful.wording import counted, listed, quoted


def evaluate_scan(
    found: Events,
    reference: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    metrics: Sequence[Metric] = ("iou",),
    labels: Sequence[str] = (),
    n_given: int | None = None,
    label_column: str | None = None,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
) -> list[EventEvaluation]:
    """Compare the events of a scan with marked ones.

    Recordings that failed or were skipped do not count, nor does what the scan left out of them.
    Sets of recordings, for the harmonic mean, are their sites. Notes tell what of the reference was
    left out, which recordings it marks nothing in, and which of its events were examples.

    Args:
        found: A scan.
        reference: Files of annotations in any format, or folders of them, which know all events
            of every recording; of the folder of a scan, what its reviewers said: what they did
            not review counts as unknown.
        metrics: What to compute; each once.
        labels: Labels that count; none for all of the scan.
        n_given: Of each label and recording so many positive events are examples, and nothing
            counts up to the end of the last of them; ``None`` for as many as the scan was given
            by ``first``.
        label_column: Column of the reference that names the sound.
        columns: Column of a field.
        seed: Of the resampling of recordings.

    Raises:
        CorpusError: The reference cannot be read, or a label is none of the scan.
        EvaluationError: No recording was scanned, the reference is about none of them, or PSDS is
            asked for and no scores were kept.
    """
    found.select(labels=labels)
    given = [reference] if isinstance(reference, str | os.PathLike) else list(reference)
    part = scanned_part(found)
    read = {row.recording: row for row in found.recordings if row.was_read}
    spans = {
        name: part.spans(row.starts_at, row.duration_s or 0.0, time_expansion=row.time_expansion)
        for name, row in read.items()
    }
    spans = {name: own for name, own in spans.items() if own}
    lengths = {name: own[-1][1] for name, own in spans.items()}
    if not lengths:
        raise EvaluationError("nothing was scanned: expected one recording or more that was read")
    wanted = tuple(labels) or found.labels
    reviewed = [path for path in given if is_scan(Path(path))]
    files = [path for path in given if path not in reviewed]
    marks = [one for path in reviewed for one in _marks_of(Events.open(path))]
    if files or not reviewed:
        marks += read_annotations(files, label_column=label_column, columns=columns)
    marked, notes = _named(marks, list(lengths))
    inside = [one for one in marked if _is_inside(one, spans[one.recording])]
    if len(inside) < len(marked):
        notes.append(
            f"{counted(len(marked) - len(inside), 'event')} outside of what was scanned of the "
            "recordings: left out"
        )
    marked = inside
    if not any(one.label in wanted for one in marked):
        raise EvaluationError(
            f"{listed(given)}: marks no {' or '.join(map(quoted, wanted))} in any of "
            f"{counted(len(lengths), 'scanned recording')}; expected the labels of the scan"
        )
    if n_given is None:
        n_given = int(found.scan.get("sources", {}).get("first") or 0)
    sites = {row.recording: row.site for row in found.recordings if row.recording in lengths}
    scores = kept_scores(found) if "psds" in metrics else None
    notes += _doubts(found, marked, wanted, lengths, n_given)
    evaluated = [
        evaluate_events(
            [event for event in found if event.recording in lengths and event.label in wanted],
            [one for one in marked if one.label in wanted],
            lengths,
            metric=metric,
            n_given=n_given,
            sets=sites if len(set(sites.values())) > 1 else None,
            labels=wanted,
            scores=scores if metric == "psds" else None,
            seed=seed,
        )
        for metric in dict.fromkeys(metrics)
    ]
    seconds = {name: sum(end_s - start_s for start_s, end_s in own) for name, own in spans.items()}
    recorded_s = sum(own_s / read[name].time_expansion for name, own_s in seconds.items())
    if part != ScanPart() and not n_given:
        evaluated = [replace(one, hours=recorded_s / 3600) for one in evaluated]
    elif recorded_s != sum(seconds.values()):
        share = recorded_s / sum(seconds.values())
        evaluated = [replace(one, hours=one.hours * share) for one in evaluated]
    return [replace(one, notes=(*one.notes, *notes)) for one in evaluated]


def kept_scores(found: Events) -> dict[str, KeptScores]:
    """Return the scores that a scan kept, by recording.

    Raises:
        EvaluationError: It kept none.
    """
    said = found.scan.get("scores")
    if found.folder is None or not said:
        raise EvaluationError(
            "psds takes the scores of all windows, and this scan kept none; run it again "
            "with --keep-scores, which decodes nothing"
        )
    scores = {}
    for row in found.recordings:
        path = Path(found.folder, SCORES, f"{row.sha256}.npy")
        if not row.was_read:
            continue
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise EvaluationError(
                f"{path}: cannot be read ({error}); run the scan again with --keep-scores"
            ) from error
        scores[row.recording] = KeptScores(
            labels=tuple(said["labels"].get(row.sha256, found.labels)),
            scores=array,
            step_s=float(said["step_s"]),
            first_s=float(said["first_s"]),
        )
    return scores


def _marks_of(reviewed: Events) -> list[Annotation]:
    """Return what the reviewers of a scan said as marks."""
    return [
        Annotation(
            recording=event.recording,
            start_s=event.start_s,
            end_s=event.end_s,
            label=event.label,
            polarity=cast("Polarity", event.review or "unknown"),
            where=f"{reviewed.folder}/{event.event_id}",
        )
        for event in reviewed.rows + reviewed.missed + reviewed.denied
    ]


def _is_inside(one: Annotation, spans: Sequence[tuple[float, float]]) -> bool:
    """Tell whether the middle of a mark was scanned, as is asked of events."""
    middle = (one.start_s + (one.start_s if one.end_s is None else one.end_s)) / 2
    return one.end_s is None or any(start_s <= middle < end_s for start_s, end_s in spans)


def _doubts(
    found: Events,
    marked: Sequence[Annotation],
    wanted: Sequence[str],
    lengths: Mapping[str, float],
    n_given: int,
) -> list[str]:
    """Return what makes the numbers better or worse than they are."""
    notes = []
    others = {one.label for one in marked if one.polarity == "positive"} - set(found.labels)
    if others:
        notes.append(
            f"the reference also marks {' and '.join(map(quoted, sorted(others)))}, which the scan "
            "did not look for: left out"
        )
    n_bare = len(set(lengths) - {one.recording for one in marked})
    if n_bare:
        notes.append(
            f"the reference marks nothing in {n_bare} of {counted(len(lengths), 'recording')}: all "
            "that was found there counts as false"
        )
    table = None if found.folder is None else Path(found.folder, EXAMPLES)
    if n_given or table is None or not table.is_file():
        return notes
    examples = [one for one in read_annotations([table]) if one.polarity == "positive"]
    n_known = sum(
        one.polarity == "positive"
        and one.label in wanted
        and any(_is_same(one, example) for example in examples)
        for one in marked
    )
    if n_known:
        notes.append(
            f"{n_known} of the events that are asked for were examples, which flatters; --n-given "
            "N leaves out the first N of each recording"
        )
    return notes


def _is_same(one: Annotation, other: Annotation) -> bool:
    """Tell whether two marks are of one event: they share half of what they cover together."""
    if (one.recording, one.label) != (other.recording, other.label):
        return False
    if one.end_s is None or other.end_s is None:
        return one.end_s == other.end_s
    shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return shared >= 0.5 * (max(one.end_s, other.end_s) - min(one.start_s, other.start_s))


def _named(
    annotations: Iterable[Annotation], recordings: list[str]
) -> tuple[list[Annotation], list[str]]:
    """Return annotations of scanned recordings by the scan's names, and a note of the others."""
    names = RecordingNames(recordings)
    known = set(recordings)
    named = []
    strangers: dict[str, int] = {}
    for one in annotations:
        path = names.find(one.recording, Path(one.where.rpartition(":")[0]).parent)
        if path is not None and path in known:
            named.append(replace(one, recording=path))
        else:
            strangers[one.recording] = strangers.get(one.recording, 0) + 1
    if not named:
        raise CorpusError(
            f"the reference is about none of {counted(len(known), 'scanned recording')}; expected "
            f"names such as {quoted(recordings[0])}"
        )
    notes = []
    if strangers:
        notes.append(
            f"{counted(sum(strangers.values()), 'event')} of the reference in recordings that were "
            f"not scanned, such as {quoted(next(iter(strangers)))}: left out"
        )
    return named, notes
