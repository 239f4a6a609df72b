"""Faults of recordings: silence, clipping, outlying durations, files that are gone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.index.corpus import Exemplar
from earful.index.health.findings import Finding, HealthLimits
from earful.index.search import VectorSet
from earful.model.audio import load_isolated

_RATE = 16_000
_FRAME_S = 0.02
_FULL_SCALE = 0.999


def find_audio_faults(
    rows: VectorSet,
    limits: HealthLimits,
    durations: dict[str, list[float]],
    progress: Callable[[int, int], None] | None,
) -> list[Finding]:
    """Read every recording and report its faults.

    Args:
        rows: All rows of the index.
        limits: Thresholds of the findings.
        durations: Receives the seconds of each row's segment under its first label.
        progress: Called with the number of rows read and the number of all rows.

    Returns:
        The findings; a file that cannot be read is one, too.
    """
    findings: list[Finding] = []
    seconds = np.full(len(rows), np.nan)
    for row, (exemplar, path) in enumerate(zip(rows.exemplars, rows.paths, strict=True)):
        if progress is not None:
            progress(row, len(rows))
        try:
            clip = load_isolated(
                path, sample_rate=_RATE, start_s=exemplar.start_s, end_s=exemplar.end_s
            )
        except AudioError as error:
            findings.append(
                Finding(
                    kind="unreadable",
                    ids=(exemplar.id,),
                    what=str(error),
                    next="bring the file back, or remove the row",
                    severity=0.8,
                )
            )
            continue
        seconds[row] = len(clip.samples) / _RATE
        findings += _level_faults(exemplar.id, clip.samples, limits)
        without = () if exemplar.is_negative else ("(none)",)
        for label in exemplar.labels[:1] or without:
            durations.setdefault(label, []).append(float(seconds[row]))
    return findings + _duration_outliers(rows, seconds, limits)


def _level_faults(id_: str, samples: NDArray[np.float32], limits: HealthLimits) -> list[Finding]:
    found: list[Finding] = []
    frame = round(_FRAME_S * _RATE)
    whole = samples[: max(len(samples) // frame, 1) * frame]
    frames = np.array_split(whole, max(len(whole) // frame, 1))
    levels = np.array([float(np.sqrt(np.mean(np.square(f, dtype=np.float64)))) for f in frames])
    silent = float((levels < 10 ** (limits.silent_dbfs / 20)).mean())
    if silent >= limits.silent_share:
        found.append(
            Finding(
                kind="silence",
                ids=(id_,),
                what=f"{silent:.1%} of it is below {limits.silent_dbfs:g} dBFS",
                next="remove it, or give the segment that sounds",
                severity=0.7 if silent == 1.0 else 0.45,
            )
        )
    clipped = float((np.abs(samples) >= _FULL_SCALE).mean())
    if clipped >= limits.clipped_share:
        found.append(
            Finding(
                kind="clipping",
                ids=(id_,),
                what=f"{clipped:.2%} of its samples are at full scale",
                next="record it anew at a lower level, if there is a choice",
                severity=min(0.25 + clipped, 0.5),
            )
        )
    return found


def _first_label(exemplar: Exemplar) -> str | None:
    return None if exemplar.is_negative else (exemplar.labels or ("",))[0]


def _duration_outliers(
    rows: VectorSet, seconds: NDArray[np.float64], limits: HealthLimits
) -> list[Finding]:
    findings: list[Finding] = []
    # A row that only says what is not there lasts as long as it likes.
    labels = np.array([_first_label(exemplar) for exemplar in rows.exemplars], dtype=object)
    for label in sorted(set(labels.tolist()) - {None}):
        mine = np.flatnonzero((labels == label) & (seconds > 0))
        if len(mine) < 5:
            continue
        logs = np.log(seconds[mine])
        middle = np.median(logs)
        # With a smaller spread than a fifth, a slightly longer recording would be an outlier.
        spread = max(1.4826 * float(np.median(np.abs(logs - middle))), 0.2)
        scores = (logs - middle) / spread
        for row, score in zip(mine.tolist(), scores.tolist(), strict=True):
            if abs(score) >= limits.outlier:
                findings.append(
                    Finding(
                        kind="duration",
                        ids=(rows.exemplars[row].id,),
                        what=f"{seconds[row]:.2f} s, where {label!r} lasts "
                        f"{np.exp(middle):.2f} s as a rule",
                        next="listen: several sounds in one file, or a cut one",
                        severity=min(0.2 + 0.02 * abs(score), 0.4),
                    )
                )
    return findings
