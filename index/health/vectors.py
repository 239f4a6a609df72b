"""Faults of labels, found from the vectors: neighbours that disagree, copies, orphans, hubs.

Which rows may be one recording in two forms is only proposed here; ``near_duplicates.py`` listens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earful.index.health.findings import Finding, HealthLimits, LabelHealth
from earful.index.health.near_duplicates import propose_pairs
from earful.index.search import VectorSet, group_equal, labels_of_all
from earful.wording import counted, listed, quoted

Rows = NDArray[np.intp]

_BLOCK = 256


@dataclass(slots=True)
class Neighbours:
    """The nearest rows of other recordings for each row, equal audio once.

    Attributes:
        found: Row numbers, shape ``(n, k)``, nearest first; -1 for none.
        similarity: Their cosine similarities; ``-inf`` for none.
        proposed: Pairs of rows to compare by their signals, shape ``(n_pairs, 2)``, each once.
        proposed_similarity: Their cosine similarities.
    """

    found: Rows
    similarity: NDArray[np.float32]
    proposed: Rows
    proposed_similarity: NDArray[np.float32]


def find_neighbours(rows: VectorSet, limits: HealthLimits) -> Neighbours:
    """Find the neighbours of every row, a block of rows at a time.

    Its 32 nearest are proposed as the same recording, too, and all that are as near as
    ``limits.near_duplicate``: another level or rate moves a vector far, but of all other recordings
    the original mostly stays among the nearest.
    """
    n, k = len(rows), limits.k
    codes = [
        _codes(map(str, rows.paths)),
        _codes(rows.content),
        _codes(exemplar.group for exemplar in rows.exemplars),
    ]
    copies = [np.array(group) for group in group_equal(rows.content) if len(group) > 1]
    found = np.full((n, k), -1, dtype=np.intp)
    similarity = np.full((n, k), -np.inf, dtype=np.float32)
    proposed = [np.zeros((0, 2), dtype=np.intp)]
    proposed_similarity = [np.zeros(0, dtype=np.float32)]
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        scores = rows.vectors[start:stop] @ rows.vectors.T
        own = np.zeros(scores.shape, dtype=np.bool_)
        for code in codes:
            own |= (code[start:stop, None] == code[None, :]) & (code[start:stop, None] >= 0)
        own[np.arange(stop - start), np.arange(start, stop)] = True
        for group in copies:  # the first stands for all of them
            own[:, group[0]] |= own[:, group].any(axis=1)
            own[:, group[1:]] = True
        scores[own] = -np.inf
        pairs = propose_pairs(scores, limits.near_duplicate) + np.array([start, 0])
        proposed.append(pairs)
        proposed_similarity.append(scores[pairs[:, 0] - start, pairs[:, 1]])
        width = min(k, n)
        best = np.argpartition(-scores, width - 1, axis=1)[:, :width]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        values = np.take_along_axis(scores, best, axis=1)
        found[start:stop, :width] = np.where(np.isfinite(values), best, -1)
        similarity[start:stop, :width] = values
    pairs = np.sort(np.concatenate(proposed), axis=1)
    pairs, firsts = np.unique(pairs, axis=0, return_index=True)
    return Neighbours(
        found=found,
        similarity=similarity,
        proposed=pairs,
        proposed_similarity=np.concatenate(proposed_similarity)[firsts],
    )


def find_copies(rows: VectorSet) -> list[Finding]:
    """Find rows of equal decoded audio; several captions of one segment are not copies."""
    findings: list[Finding] = []
    for same in group_equal(rows.content):
        labels = {rows.exemplars[row].labels for row in same}
        origins = {(str(rows.paths[row]), rows.exemplars[row].start_s) for row in same}
        if len(same) < 2 or (len(origins) == 1 and len(labels) == 1):
            continue  # such as several captions of one clip
        clash = len({frozenset(own) for own in labels}) > 1
        every = labels_of_all(rows.exemplars[row] for row in same)
        what, next_step = f"the same audio {len(same)} times", "remove all but one"
        if clash:
            what += f", labels differ: it counts once, as {_named(every)}"
            next_step = (
                f"listen; mend the wrong label, or make them one row with the labels "
                f"{quoted('|'.join(every))}"
            )
        findings.append(
            Finding(
                kind="copy",
                ids=tuple(rows.exemplars[row].id for row in same),
                what=what,
                next=next_step,
                severity=1.0 if clash else 0.3,
            )
        )
    return findings


def find_contradictions(rows: VectorSet) -> list[Finding]:
    """Find labels that one row says are there, while another of equal audio denies them."""
    findings: list[Finding] = []
    for same in group_equal(rows.content):
        found = [rows.exemplars[row] for row in same]
        denied = {label for exemplar in found for label in exemplar.not_labels}
        for label in sorted(denied.intersection(labels_of_all(found))):
            there = [one.id for one in found if label in one.labels]
            not_there = [one.id for one in found if label in one.not_labels]
            findings.append(
                Finding(
                    kind="contradiction",
                    ids=(*there, *not_there),
                    what=f"{quoted(label)} is there, says {listed(there)}; of the same audio "
                    f"{listed(not_there)} says that it is not; the label counts",
                    next="listen; mend or remove the one that is wrong",
                    severity=1.0,
                )
            )
    return findings


def check_labels(
    rows: VectorSet, neighbours: Neighbours, limits: HealthLimits
) -> tuple[tuple[LabelHealth, ...], float, int, list[Finding]]:
    """Compare every row's labels with the vote of its neighbours.

    Returns:
        ``(labels, accuracy, n_asked, suspects)``: the health of each label, worst first; the
        share of rows answered correctly; the number of rows answered; suspected labels.
    """
    suspects: list[Finding] = []
    right: dict[str, list[bool]] = {}
    taken: dict[str, Counter[str]] = {}
    n_rows: Counter[str] = Counter()
    groups: dict[str, set[str]] = {}
    n_asked = n_right = 0
    voting = _voting_labels(rows)
    for row, exemplar in enumerate(rows.exemplars):
        for label in exemplar.labels:
            n_rows[label] += 1
            groups.setdefault(label, set()).add(exemplar.group or str(rows.paths[row]))
        voters = [other for other in neighbours.found[row].tolist() if other >= 0]
        if not exemplar.labels or not voters:
            continue
        weights: dict[str, float] = {}
        for other, similarity in zip(voters, neighbours.similarity[row].tolist(), strict=False):
            for label in voting[other]:
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
                    what=f"labelled {_named(exemplar.labels)}, and {share:.1%} of its neighbours' "
                    f"weight says {best!r} ({mine:.1%} its own)",
                    next="listen; mend the label in the corpus and build again, or remove the row; "
                    "do both if the label is that of its folder",
                    severity=0.5 + 0.4 * (share - mine),
                    neighbours=tuple(rows.exemplars[other].id for other in voters),
                )
            )
    found = [
        LabelHealth(
            label=label,
            n=n,
            n_groups=len(groups[label]),
            accuracy=float(np.mean(right[label])) if label in right else float("nan"),
            taken_for=tuple(taken.get(label, Counter()).most_common(3)),
        )
        for label, n in n_rows.items()
    ]
    found.sort(key=lambda one: (np.nan_to_num(one.accuracy, nan=-1.0), one.label))
    accuracy = n_right / n_asked if n_asked else float("nan")
    return tuple(found), accuracy, n_asked, suspects


def _voting_labels(rows: VectorSet) -> list[tuple[str, ...]]:
    """Return the labels that each row votes for: of equal audio, those of all its rows."""
    found = [exemplar.labels for exemplar in rows.exemplars]
    for group in group_equal(rows.content):
        if len(group) > 1:
            found[group[0]] = labels_of_all(rows.exemplars[row] for row in group)
    return found


def find_orphans(rows: VectorSet, limits: HealthLimits) -> list[Finding]:
    """Find labels of few exemplars or one recording, and rows without label and answer."""
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
            held = f"{counted(len(mine), 'exemplar')} of {counted(len(groups), 'recording')}"
            findings.append(
                Finding(
                    kind="orphan",
                    ids=tuple(rows.exemplars[row].id for row in mine[:5]),
                    what=f"label {label!r} has {held}",
                    next="add recordings from other sources, or merge the label with another",
                    severity=0.6 if len(groups) < 2 else 0.5,
                )
            )
    return findings


def find_hubs(rows: VectorSet, occurrence: NDArray[np.intp], limits: HealthLimits) -> list[Finding]:
    """Find rows that are neighbours far more often than the average.

    Args:
        rows: All rows of the index.
        occurrence: How often each row is a neighbour, by row.
        limits: Thresholds of the findings.
    """
    mean = max(float(occurrence.mean()), 1e-9)
    found = np.flatnonzero(occurrence > max(limits.hub * mean, limits.k))
    return [
        Finding(
            kind="hub",
            ids=(rows.exemplars[row].id,),
            what=f"a neighbour of {occurrence[row]:,} rows, {occurrence[row] / mean:.1f} times the "
            "average",
            next="listen: noise, silence or a mixture draws everything near",
            severity=min(0.35 + 0.01 * float(occurrence[row] / mean), 0.6),
        )
        for row in found.tolist()
    ]


def skewness(values: NDArray[np.intp]) -> float:
    """Return the skewness, the third standardised moment; 0 when all values are equal."""
    spread = float(values.std())
    return float(((values - values.mean()) ** 3).mean() / spread**3) if spread else 0.0


def _codes(values: Iterable[str]) -> Rows:
    """Number the distinct texts; -1 for an empty one."""
    code_of: dict[str, int] = {}
    return np.array(
        [code_of.setdefault(value, len(code_of)) if value else -1 for value in values],
        dtype=np.intp,
    )


def _named(labels: Sequence[str]) -> str:
    return " + ".join(map(repr, labels)) or "nothing"
