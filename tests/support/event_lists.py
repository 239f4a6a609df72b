"""Random lists of events and scores, for comparing metrics with other implementations."""

from __future__ import annotations

from typing import Any

import numpy as np

from earful.index.annotations import Annotation
from earful.rag.scan.metrics import KeptScores, Metric, PsdsSettings, evaluate_events

LABELS = ("owl", "wren")
STEP_S = 0.5


def draw_list(seed: int) -> dict[str, Any]:
    """Draw true events, found ones near them and elsewhere, and scores.

    Returns:
        Plain data: ``labels``, ``recordings`` (length in seconds by name), ``true`` and
        ``found`` (recording, start, end, label), ``step_s`` and ``scores`` (by recording, a row a
        label).
    """
    random = np.random.default_rng(seed)
    recordings = {"a.wav": 30.0, "b.wav": 20.0}
    true: list[list[Any]] = []
    found: list[list[Any]] = []
    scores: dict[str, list[list[float]]] = {}
    for name, duration_s in recordings.items():
        rows = []
        for label in LABELS:
            # PSDS is not defined for a label without a true event.
            own = _spans(random, duration_s, int(random.integers(1, 6)))
            true += [[name, *span, label] for span in own]
            near = [
                (max(0.0, start + random.normal(0, 0.2)), end + random.normal(0, 0.3))
                for start, end in own
                if random.random() < 0.8
            ]
            near += _spans(random, duration_s, int(random.integers(0, 4)))
            found += [
                [name, round(start, 2), round(min(end, duration_s), 2), label]
                for start, end in near
                if min(end, duration_s) - start > 0.05
            ]
            middles = (np.arange(int(duration_s / STEP_S)) + 0.5) * STEP_S
            inside = [any(start <= at < end for start, end in own) for at in middles]
            noisy = np.array(inside) * 1.0 + random.normal(0, 0.6, middles.size)
            rows.append([round(float(value), 2) for value in noisy])
        scores[name] = rows
    return {
        "labels": list(LABELS),
        "recordings": recordings,
        "true": true,
        "found": found,
        "step_s": STEP_S,
        "scores": scores,
    }


def _spans(random: np.random.Generator, duration_s: float, n: int) -> list[tuple[float, float]]:
    """Draw stretches that do not overlap."""
    slots = random.permutation(int(duration_s / 4))[:n]
    return [
        (
            round(4.0 * slot + random.uniform(0, 1.5), 2),
            round(4.0 * slot + random.uniform(1.7, 3.9), 2),
        )
        for slot in sorted(int(slot) for slot in slots)
    ]


def our_counts(one: dict[str, Any]) -> dict[str, Any]:
    """Return our counts and scores of a list, in the form of ``count_with_sed_eval.py``."""
    found, true = _annotations(one["found"]), _annotations(one["true"])
    told: dict[str, Any] = {}
    metrics: tuple[Metric, ...] = ("collar", "segment")
    for metric in metrics:
        evaluated = evaluate_events(
            found, true, one["recordings"], metric=metric, labels=one["labels"], resamples=0
        )
        told[metric] = {
            label: [counts.found, counts.false, counts.missed]
            for label, counts in evaluated.by_label.items()
        }
    by_score = evaluate_events(
        [],
        true,
        one["recordings"],
        metric="psds",
        labels=one["labels"],
        scores={
            name: KeptScores(
                labels=tuple(one["labels"]), scores=np.array(values), step_s=one["step_s"]
            )
            for name, values in one["scores"].items()
        },
        resamples=0,
        psds=PsdsSettings(most_false_per_hour=1000.0),
    )
    told["psds"] = {
        "all": round(by_score.value, 9),
        "labels": {label: round(value, 9) for label, value in by_score.psds_by_label.items()},
    }
    return told


def _annotations(rows: list[list[Any]]) -> list[Annotation]:
    return [
        Annotation(recording=name, start_s=start_s, end_s=end_s, label=label)
        for name, start_s, end_s, label in rows
    ]
