"""Is an index fit to answer from? Labels that disagree, copies, hubs, silence, outliers.

All but the sound itself is read off the stored vectors: each row is asked about as if it
were new, and answered by its nearest neighbours of other recordings and groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.index.search import VectorSet
from earful.index.store import Index
from earful.model.audio import load_audio

Rows = NDArray[np.intp]

_BLOCK = 256
_MOST_LISTED = 1000
_RATE = 16_000
_FRAME_S = 0.02
_FULL_SCALE = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """From where something is worth a look.

    Attributes:
        k: Neighbours that answer for a row.
        near_duplicate: Cosine similarity from which two recordings count as one.
        least_exemplars: A label with fewer is an orphan.
        hub: A row is a hub when it is a neighbour this many times as often as the average.
        disagreement: Share of the neighbours' weight, in [0, 1], that must speak for another
            label before a label is suspected.
        silent_dbfs: A frame of 20 ms below this level, relative to full scale, is silent.
        silent_share: Share of silent frames from which a recording is.
        clipped_share: Share of samples at full scale from which a recording is clipped.
        outlier: Robust z-score, by the median absolute deviation of log durations within a
            label, from which a duration is an outlier.
    """

    k: int = 5
    near_duplicate: float = 0.97
    least_exemplars: int = 3
    hub: float = 5.0
    disagreement: float = 0.6
    silent_dbfs: float = -60.0
    silent_share: float = 0.9
    clipped_share: float = 0.001
    outlier: float = 4.0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k={self.k}; want 1 or more")
        if not 0.0 < self.near_duplicate <= 1.0:
            raise ValueError(f"near_duplicate={self.near_duplicate}; want above 0, at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something worth a look.

    Attributes:
        kind: Such as ``"label"`` or ``"silence"``.
        ids: Rows that it is about.
        what: What was found.
        next: What to do about it.
        severity: For sorting; greater is worse.
        neighbours: Ids that speak against a label, nearest first.
    """

    kind: str
    ids: tuple[str, ...]
    what: str
    next: str
    severity: float
    neighbours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelHealth:
    """One label.

    Attributes:
        label: Its name.
        n: Rows that carry it.
        n_groups: Recordings, sites or speakers they come from.
        accuracy: Share of its rows whose neighbours say so; NaN when no row has any.
        taken_for: What its rows are taken for instead, most often first.
    """

    label: str
    n: int
    n_groups: int
    accuracy: float
    taken_for: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What was found.

    Attributes:
        n: Rows of the index.
        accuracy: Share of labelled rows that their neighbours answer right.
        n_asked: Rows that could be asked about.
        labels: The worst first.
        findings: The worst first, at most a thousand of a kind.
        n_of: Kind to how many findings there are.
        skewness: Of how often rows are neighbours; above 1 a few rows are everybody's
            neighbours (Radovanovic et al., JMLR 2010).
        occurrence: How often each row is a neighbour, by row.
        durations: Label to seconds of its rows, of audio that was read.
        limits: From where something was worth a look.
        audio_read: Whether recordings were read.
    """

    n: int
    accuracy: float
    n_asked: int
    labels: tuple[LabelHealth, ...]
    findings: tuple[Finding, ...]
    n_of: Mapping[str, int]
    skewness: float
    occurrence: NDArray[np.intp]
    durations: Mapping[str, tuple[float, ...]]
    limits: HealthLimits
    audio_read: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "n": self.n,
            "accuracy": None if np.isnan(self.accuracy) else round(self.accuracy, 6),
            "n_asked": self.n_asked,
            "labels": [
                {
                    **asdict(label),
                    "accuracy": None if np.isnan(label.accuracy) else round(label.accuracy, 6),
                    "taken_for": dict(label.taken_for),
                }
                for label in self.labels
            ],
            "findings": [
                {**asdict(one), "ids": list(one.ids), "neighbours": list(one.neighbours)}
                for one in self.findings
            ],
            "n_of": dict(self.n_of),
            "skewness": round(self.skewness, 6),
            "limits": asdict(self.limits),
            "audio_read": self.audio_read,
        }


def check_health(
    index: Index,
    *,
    limits: HealthLimits = HealthLimits(),
    audio: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Health:
    """Look an index over.

    Args:
        index: An index with at least one row.
        limits: From where something is worth a look.
        audio: Whether to read the recordings, for silence, clipping and durations.
        progress: Called with how many recordings were read, of how many.

    Raises:
        IndexFolderError: The index is damaged.
        ValueError: It is empty.
    """
    rows = index.vectors()
    if not len(rows):
        raise ValueError(f"{index.path} holds no rows; build it first")
    neighbours = _neighbours(rows, limits)
    findings = [*neighbours.near, *_copies(rows)]
    labels, accuracy, n_asked, suspects = _labels(rows, neighbours, limits)
    findings += suspects
    findings += _orphans(rows, limits)
    occurrence = np.bincount(neighbours.found[neighbours.found >= 0], minlength=len(rows))
    findings += _hubs(rows, occurrence, limits)
    durations: dict[str, list[float]] = {}
    if audio:
        heard = _listen(rows, limits, durations, progress)
        findings += heard
    kinds = Counter(finding.kind for finding in findings)
    findings.sort(key=lambda one: (-one.severity, one.kind, one.ids))
    return Health(
        n=len(rows),
        accuracy=accuracy,
        n_asked=n_asked,
        labels=labels,
        findings=_capped(findings),
        n_of=dict(kinds.most_common()),
        skewness=_skewness(occurrence),
        occurrence=occurrence,
        durations={label: tuple(seconds) for label, seconds in durations.items()},
        limits=limits,
        audio_read=audio,
    )


@dataclass(slots=True)
class _Neighbours:
    """Of each row the nearest others of other recordings: rows and similarities, -1 for none."""

    found: Rows
    similarity: NDArray[np.float32]
    near: list[Finding] = field(default_factory=list)


def _neighbours(rows: VectorSet, limits: HealthLimits) -> _Neighbours:
    """Compare all rows with each other, a block at a time."""
    n, k = len(rows), limits.k
    codes = [
        _codes(map(str, rows.paths)),
        _codes(rows.content),
        _codes(exemplar.group for exemplar in rows.exemplars),
    ]
    found = np.full((n, k), -1, dtype=np.intp)
    similarity = np.full((n, k), -np.inf, dtype=np.float32)
    near: list[Finding] = []
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        scores = rows.vectors[start:stop] @ rows.vectors.T
        own = np.zeros(scores.shape, dtype=np.bool_)
        for code in codes:
            own |= (code[start:stop, None] == code[None, :]) & (code[start:stop, None] >= 0)
        own[np.arange(stop - start), np.arange(start, stop)] = True
        near += _near(rows, scores, own, start, limits)
        scores[own] = -np.inf
        width = min(k, n)
        best = np.argpartition(-scores, width - 1, axis=1)[:, :width]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        values = np.take_along_axis(scores, best, axis=1)
        found[start:stop, :width] = np.where(np.isfinite(values), best, -1)
        similarity[start:stop, :width] = values
    return _Neighbours(found=found, similarity=similarity, near=near)


def _near(
    rows: VectorSet,
    scores: NDArray[np.float32],
    own: NDArray[np.bool_],
    start: int,
    limits: HealthLimits,
) -> list[Finding]:
    """Find pairs above the threshold, each once, that are not of one group anyway."""
    pairs = np.argwhere((scores >= limits.near_duplicate) & ~own)
    findings: list[Finding] = []
    for row, other in pairs.tolist():
        one, two = rows.exemplars[start + row], rows.exemplars[other]
        if other <= start + row:
            continue
        clash = set(one.labels) != set(two.labels)
        value = min(float(scores[row, other]), 1.0)
        labels = f", labelled {_named(one.labels)} and {_named(two.labels)}" if clash else ""
        findings.append(
            Finding(
                kind="near-duplicate",
                ids=(one.id, two.id),
                what=f"similarity {value:.4f}{labels}",
                next="listen; remove one, or give both one group",
                severity=0.9 if clash else 0.4 * value,
            )
        )
    return findings


def _copies(rows: VectorSet) -> list[Finding]:
    together: dict[str, list[int]] = {}
    for row, content in enumerate(rows.content):
        if content:
            together.setdefault(content, []).append(row)
    findings: list[Finding] = []
    for same in together.values():
        labels = {rows.exemplars[row].labels for row in same}
        stretches = {(str(rows.paths[row]), rows.exemplars[row].start_s) for row in same}
        if len(same) < 2 or (len(stretches) == 1 and len(labels) == 1):
            continue  # several captions of one clip, say
        clash = len(labels) > 1
        findings.append(
            Finding(
                kind="copy",
                ids=tuple(rows.exemplars[row].id for row in same),
                what=f"the same audio {len(same)} times" + (", labels differ" if clash else ""),
                next="remove all but one",
                severity=1.0 if clash else 0.3,
            )
        )
    return findings


def _labels(
    rows: VectorSet, neighbours: _Neighbours, limits: HealthLimits
) -> tuple[tuple[LabelHealth, ...], float, int, list[Finding]]:
    """Let every row's neighbours vote on its labels."""
    suspects: list[Finding] = []
    right: dict[str, list[bool]] = {}
    taken: dict[str, Counter[str]] = {}
    n_rows: Counter[str] = Counter()
    groups: dict[str, set[str]] = {}
    n_asked = n_right = 0
    for row, exemplar in enumerate(rows.exemplars):
        for label in exemplar.labels:
            n_rows[label] += 1
            groups.setdefault(label, set()).add(exemplar.group or str(rows.paths[row]))
        voters = [other for other in neighbours.found[row].tolist() if other >= 0]
        if not exemplar.labels or not voters:
            continue
        weights: dict[str, float] = {}
        for other, similarity in zip(voters, neighbours.similarity[row].tolist(), strict=False):
            for label in rows.exemplars[other].labels:
                weights[label] = weights.get(label, 0.0) + max(similarity, 1e-6)
        if not weights:
            continue
        total = sum(max(s, 1e-6) for s in neighbours.similarity[row][: len(voters)].tolist())
        best = max(sorted(weights), key=weights.__getitem__)
        n_asked += 1
        n_right += best in exemplar.labels
        for label in exemplar.labels:
            right.setdefault(label, []).append(best in exemplar.labels)
            if best not in exemplar.labels:
                taken.setdefault(label, Counter())[best] += 1
        share = weights[best] / total
        mine = sum(weights.get(label, 0.0) for label in exemplar.labels) / total
        if best not in exemplar.labels and share >= limits.disagreement:
            suspects.append(
                Finding(
                    kind="label",
                    ids=(exemplar.id,),
                    what=f"labelled {_named(exemplar.labels)}, and {share:.0%} of its neighbours' "
                    f"weight says {best!r} ({mine:.0%} its own)",
                    next="listen; mend the label in the corpus and build again, or remove the row",
                    severity=0.5 + 0.4 * (share - mine),
                    neighbours=tuple(rows.exemplars[other].id for other in voters),
                )
            )
    told = [
        LabelHealth(
            label=label,
            n=n,
            n_groups=len(groups[label]),
            accuracy=float(np.mean(right[label])) if label in right else float("nan"),
            taken_for=tuple(taken.get(label, Counter()).most_common(3)),
        )
        for label, n in n_rows.items()
    ]
    told.sort(key=lambda one: (np.nan_to_num(one.accuracy, nan=-1.0), one.label))
    accuracy = n_right / n_asked if n_asked else float("nan")
    return tuple(told), accuracy, n_asked, suspects


def _orphans(rows: VectorSet, limits: HealthLimits) -> list[Finding]:
    members: dict[str, list[int]] = {}
    findings: list[Finding] = []
    for row, exemplar in enumerate(rows.exemplars):
        for label in exemplar.labels:
            members.setdefault(label, []).append(row)
        if not exemplar.labels and not exemplar.answer:
            findings.append(
                Finding(
                    kind="unlabelled",
                    ids=(exemplar.id,),
                    what="neither a label nor an answer: it answers nothing",
                    next="label it in the corpus and build again",
                    severity=0.45,
                )
            )
    for label, mine in sorted(members.items()):
        groups = {rows.exemplars[row].group or str(rows.paths[row]) for row in mine}
        few = len(mine) < limits.least_exemplars
        if few or len(groups) < 2:
            what = f"label {label!r} has {len(mine)} exemplars of {len(groups)} recordings"
            findings.append(
                Finding(
                    kind="orphan",
                    ids=tuple(rows.exemplars[row].id for row in mine[:5]),
                    what=what.replace("1 exemplars", "1 exemplar").replace(
                        "1 recordings", "1 recording"
                    ),
                    next="add recordings from other sources, or merge the label with another",
                    severity=0.6 if len(groups) < 2 else 0.5,
                )
            )
    return findings


def _hubs(rows: VectorSet, occurrence: NDArray[np.intp], limits: HealthLimits) -> list[Finding]:
    mean = max(float(occurrence.mean()), 1e-9)
    found = np.flatnonzero(occurrence > max(limits.hub * mean, limits.k))
    return [
        Finding(
            kind="hub",
            ids=(rows.exemplars[row].id,),
            what=f"a neighbour of {occurrence[row]} rows, {occurrence[row] / mean:.1f} times the "
            "average",
            next="listen: noise, silence or a mixture draws everything near",
            severity=min(0.35 + 0.01 * float(occurrence[row] / mean), 0.6),
        )
        for row in found.tolist()
    ]


def _listen(
    rows: VectorSet,
    limits: HealthLimits,
    durations: dict[str, list[float]],
    progress: Callable[[int, int], None] | None,
) -> list[Finding]:
    findings: list[Finding] = []
    seconds = np.full(len(rows), np.nan)
    for row, (exemplar, path) in enumerate(zip(rows.exemplars, rows.paths, strict=True)):
        if progress is not None:
            progress(row, len(rows))
        try:
            clip = load_audio(
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
        findings += _sound_of(exemplar.id, clip.samples, limits)
        for label in exemplar.labels[:1] or ("(none)",):
            durations.setdefault(label, []).append(float(seconds[row]))
    return findings + _outliers(rows, seconds, limits)


def _sound_of(id_: str, samples: NDArray[np.float32], limits: HealthLimits) -> list[Finding]:
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
                what=f"{silent:.0%} of it is below {limits.silent_dbfs:g} dBFS",
                next="remove it, or give the stretch that sounds",
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


def _outliers(rows: VectorSet, seconds: NDArray[np.float64], limits: HealthLimits) -> list[Finding]:
    findings: list[Finding] = []
    labels = np.array([(e.labels or ("",))[0] for e in rows.exemplars], dtype=object)
    for label in sorted(set(labels.tolist())):
        mine = np.flatnonzero((labels == label) & (seconds > 0))
        if len(mine) < 5:
            continue
        logs = np.log(seconds[mine])
        middle = np.median(logs)
        # A spread of less than a fifth says nothing about one that is a little longer.
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


def _capped(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    kept: Counter[str] = Counter()
    found: list[Finding] = []
    for finding in findings:
        kept[finding.kind] += 1
        if kept[finding.kind] <= _MOST_LISTED:
            found.append(finding)
    return tuple(found)


def _skewness(values: NDArray[np.intp]) -> float:
    spread = float(values.std())
    return float(((values - values.mean()) ** 3).mean() / spread**3) if spread else 0.0


def _codes(values: Any) -> Rows:
    """Number distinct texts; -1 for empty."""
    code_of: dict[str, int] = {}
    return np.array(
        [code_of.setdefault(value, len(code_of)) if value else -1 for value in values],
        dtype=np.intp,
    )


def _named(labels: Sequence[str]) -> str:
    return " + ".join(map(repr, labels)) or "nothing"


def places(index: Index) -> dict[str, tuple[Path, float, float | None]]:
    """Return where each row can be heard, by id."""
    rows = index.vectors()
    return {
        exemplar.id: (path, exemplar.start_s, exemplar.end_s)
        for exemplar, path in zip(rows.exemplars, rows.paths, strict=True)
    }
