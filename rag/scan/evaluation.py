"""Evaluation of a scan: its events against a reference that knows all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from earful.errors import CorpusError, EvaluationError
from earful.index.annotations import Annotation, read_annotations
from earful.rag.scan.events import Events
from earful.rag.scan.examples import RecordingNames
from earful.rag.scan.metrics import EventEvaluation, KeptScores, Metric, evaluate_events
from earful.rag.scan.result_folder import SCORES
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

    Recordings that failed or were skipped do not count. Sets of recordings, for the harmonic mean,
    are their sites.

    Args:
        found: A scan.
        reference: Files of annotations in any format, or folders of them, which know all events
            of every recording.
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
    lengths = {
        row.recording: row.duration_s or 0.0
        for row in found.recordings
        if row.status in ("ok", "cut short")
    }
    if not lengths:
        raise EvaluationError("nothing was scanned: expected one recording or more that was read")
    wanted = tuple(labels) or found.labels
    marked = _named(
        read_annotations(given, label_column=label_column, columns=columns), list(lengths)
    )
    if not any(one.label in wanted for one in marked):
        raise EvaluationError(
            f"{listed(given)}: marks no {' or '.join(map(quoted, wanted))} in any of "
            f"{counted(len(lengths), 'scanned recording')}; expected the labels of the scan"
        )
    if n_given is None:
        n_given = int(found.scan.get("sources", {}).get("first") or 0)
    sites = {row.recording: row.site for row in found.recordings if row.recording in lengths}
    scores = kept_scores(found) if "psds" in metrics else None
    return [
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
        if row.status not in ("ok", "cut short"):
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


def _named(annotations: Iterable[Annotation], recordings: list[str]) -> list[Annotation]:
    """Return annotations of scanned recordings, each by the name that the scan has for it."""
    names = RecordingNames(recordings)
    known = set(recordings)
    named = []
    for one in annotations:
        path = names.find(one.recording, Path(one.where.rpartition(":")[0]).parent)
        if path is not None and path in known:
            named.append(replace(one, recording=path))
    if not named:
        raise CorpusError(
            f"the reference is about none of {counted(len(known), 'scanned recording')}; expected "
            f"names such as {quoted(recordings[0])}"
        )
    return named
