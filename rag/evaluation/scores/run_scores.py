"""Scores of a run: every arm's metrics with intervals, and comparisons of arms.

Everything is computed from a run's document, so that the same file always gives the same
numbers. Items of one group are not independent: intervals and tests resample groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.metrics import (
    Bootstrap,
    Interval,
    balanced_accuracy,
    bleu_of_rows,
    caption_scores,
    exact_match,
    macro_f1,
    mcnemar,
    mean_average_precision,
    multilabel_f1,
    set_f1,
    token_f1,
)
from earful.rag.evaluation.scores.results import ArmScore, Comparison
from earful.rag.task import METRICS, Kind

Values = NDArray[np.float64]
Picked = NDArray[np.intp]
Statistic = Callable[[Picked], float]

_FEWER_RESAMPLES = 500


class Answers:
    """The answers of one arm, a list a seed, in the order of the items.

    Attributes:
        arm: The arm.
        by_seed: For each seed the rows of a run's document.
    """

    def __init__(self, arm: Arm, by_seed: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        self.arm = arm
        self.by_seed = by_seed

    @property
    def first(self) -> Sequence[Mapping[str, Any]]:
        """The rows of the first seed."""
        return self.by_seed[0]


class RunScores:
    """Scores of a run: every arm's metrics with intervals, and comparisons of arms.

    Args:
        document: From ``read_run``, or as ``evaluate`` made it.

    Attributes:
        document: The same.
        kind: The task's kind.
        metric: The task's own metric.
        labels: Candidate labels.
        items: Items, as in the document.
        groups: Group of each item.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.kind: Kind = document["task"]["kind"]
        self.metric: str = document["task"]["metric"]
        self.labels: tuple[str, ...] = tuple(document["labels"])
        self.items: list[dict[str, Any]] = document["items"]
        self.groups = [item["group"] for item in self.items]
        settings = document["settings"]
        self._confidence: float = settings["confidence"]
        self._bootstrap = Bootstrap(
            groups=self.groups, confidence=self._confidence, resamples=settings["resamples"]
        )
        # A mean over labels is slow to resample.
        fewer = min(settings["resamples"], _FEWER_RESAMPLES)
        self._shorter_bootstrap = replace(self._bootstrap, resamples=fewer)
        self._label_of = {label: row for row, label in enumerate(self.labels)}

    @cached_property
    def answers(self) -> dict[str, Answers]:
        """Name of each arm to its answers."""
        arms = [
            Arm(how=arm["how"], k=arm["k"], strategy=arm["strategy"], is_default=arm["is_default"])
            for arm in self.document["arms"]
        ]
        place = {item["id"]: row for row, item in enumerate(self.items)}
        found: dict[str, dict[int, list[Any]]] = {arm.name: {} for arm in arms}
        for row in self.document["rows"]:
            seeds = found[row["arm"]]
            seeds.setdefault(row["seed"], [None] * len(self.items))[place[row["item"]]] = row
        return {
            arm.name: Answers(arm, [rows for _, rows in sorted(found[arm.name].items())])
            for arm in arms
        }

    # --- right and predicted labels as arrays -------------------------------------------

    @cached_property
    def truth(self) -> Picked:
        """For ``classify``: the right label as a row of ``labels``; -1 where it is none of them."""
        rows = [self._label_of.get(item["labels"][0], -1) for item in self.items]
        return np.array(rows, dtype=np.intp)

    @cached_property
    def truth_sets(self) -> NDArray[np.bool_]:
        """For ``multilabel``: the right labels, bool, shape ``(n_items, n_labels)``."""
        return np.array([self._marked(item["labels"]) for item in self.items])

    def predicted(self, rows: Sequence[Mapping[str, Any]]) -> Picked:
        """For ``classify``: the predicted label as a row of ``labels``; -1 for none."""
        chosen = [self._label_of.get(row["labels"][0], -1) if row["labels"] else -1 for row in rows]
        return np.array(chosen, dtype=np.intp)

    def right(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_]:
        """Whether each item was answered right: bool, shape ``(n_items,)``.

        For ``multilabel`` all labels have to be right; for ``ask`` see ``exact_match``.
        """
        if self.kind == "classify":
            return np.asarray((self.predicted(rows) == self.truth) & (self.truth >= 0))
        if self.kind == "multilabel":
            chosen = np.array([self._marked(row["labels"]) for row in rows])
            return np.asarray((chosen == self.truth_sets).all(axis=1))
        return np.array(
            [
                exact_match(row["text"], item["references"]) == 1.0
                for row, item in zip(rows, self.items, strict=True)
            ]
        )

    def _marked(self, labels: Sequence[str]) -> NDArray[np.bool_]:
        marked = np.zeros(len(self.labels), dtype=np.bool_)
        marked[[self._label_of[label] for label in labels if label in self._label_of]] = True
        return marked

    # --- metrics --------------------------------------------------------------------------

    def values(self, answers: Answers, metric: str) -> Values | None:
        """Return a metric of each item, the mean over seeds.

        Returns:
            Shape ``(n_items,)``; ``None`` for a metric that is no mean over items, such as
            macro F1.
        """
        one = [self._values(rows, metric) for rows in answers.by_seed]
        if any(values is None for values in one):
            return None
        return np.asarray(np.mean([values for values in one if values is not None], axis=0))

    def _values(self, rows: Sequence[Mapping[str, Any]], metric: str) -> Values | None:
        if metric in ("accuracy", "exact-match"):
            return self.right(rows).astype(np.float64)
        pairs = list(zip(rows, self.items, strict=True))
        if metric == "token-f1":
            return np.array([token_f1(row["text"], item["references"]) for row, item in pairs])
        if metric == "f1-approx":
            return np.array([set_f1(row["labels"], item["labels"]) for row, item in pairs])
        if metric in ("cider", "rouge-l"):
            return caption_scores(*self._captions(rows), metrics=(metric,)).items[metric]
        return None

    def statistic(self, answers: Answers, metric: str) -> Statistic:
        """Return a metric as a function of some rows of items, the mean over seeds."""
        parts = [self._statistic(rows, metric) for rows in answers.by_seed]
        return lambda picked: float(np.mean([part(picked) for part in parts]))

    def _statistic(self, rows: Sequence[Mapping[str, Any]], metric: str) -> Statistic:
        n = len(self.labels)
        if self.kind == "classify":
            truth, predicted = self.truth, self.predicted(rows)
            of = balanced_accuracy if metric == "balanced-accuracy" else macro_f1
            return lambda picked: of(truth[picked], predicted[picked], n)
        if self.kind == "multilabel":
            sets = self.truth_sets
            if metric == "mean-average-precision":
                scores = np.array([self._scores(row) for row in rows])
                return lambda picked: mean_average_precision(sets[picked], scores[picked])
            chosen = np.array([self._marked(row["labels"]) for row in rows])
            average: Literal["macro", "micro"] = "macro" if metric == "macro-f1" else "micro"
            return lambda picked: multilabel_f1(sets[picked], chosen[picked], average=average)
        texts, references = self._captions(rows)
        return bleu_of_rows(texts, references, n=int(metric.removeprefix("bleu-")))

    def _captions(self, rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
        """Return what was written about each item, and its references."""
        return [row["text"] for row in rows], [item["references"] for item in self.items]

    def _scores(self, row: Mapping[str, Any]) -> Values:
        scores = np.zeros(len(self.labels))
        for label, score in (row["scores"] or dict.fromkeys(row["labels"], 1.0)).items():
            if label in self._label_of:
                scores[self._label_of[label]] = score
        return scores

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the task's kind, the task's own first."""
        return (self.metric, *(name for name in METRICS[self.kind] if name != self.metric))

    def interval(self, answers: Answers, metric: str) -> Interval:
        """Return a metric of an arm with its bootstrap interval."""
        values = self.values(answers, metric)
        if values is not None:
            return self._bootstrap.mean(values)
        return self._shorter_bootstrap.of(self.statistic(answers, metric), len(self.items))

    @cached_property
    def arms(self) -> tuple[ArmScore, ...]:
        """Scores of every arm, in the order of the run."""
        return tuple(
            ArmScore(
                arm=answers.arm,
                metrics={metric: self.interval(answers, metric) for metric in self.metrics},
                n_faults=sum(bool(row["fault"]) for rows in answers.by_seed for row in rows),
                median_s=float(
                    np.median([row["spent_s"] for rows in answers.by_seed for row in rows])
                ),
                # Runs of former versions know of none.
                n_unparsed=sum(
                    bool(row.get("unparsed")) for rows in answers.by_seed for row in rows
                ),
            )
            for answers in self.answers.values()
        )

    # --- comparisons ----------------------------------------------------------------------

    def compare(self, first: Arm, second: Arm) -> Comparison:
        """Compare two arms on the same items."""
        one, other = self.answers[first.name], self.answers[second.name]
        test = None
        if self.metric in ("accuracy", "exact-match"):
            test = mcnemar(self.right(one.first), self.right(other.first))
        values, others = self.values(one, self.metric), self.values(other, self.metric)
        if values is not None and others is not None:
            difference = self._bootstrap.mean_difference(values, others)
        else:
            statistics = self.statistic(one, self.metric), self.statistic(other, self.metric)
            difference = self._shorter_bootstrap.difference_of(*statistics, len(self.items))
        return Comparison(first=first.name, second=second.name, difference=difference, mcnemar=test)

    def best_of(self, how: str) -> Arm | None:
        """Return the best arm of one way to answer; ``None`` where there is none."""
        found = [score for score in self.arms if score.arm.how == how]
        if not found:
            return None
        return max(found, key=lambda score: score.primary.value).arm

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Comparisons that show whether exemplars help, and whether the model listens."""
        best = {how: self.best_of(how) for how in ("zero-shot", "retrieved", "blend", "vote")}
        plain = {how: self.best_of(how) for how in ("probe", "majority")}
        pairs: list[tuple[Arm | None, Arm | None]] = [
            (best["retrieved"], best["zero-shot"]),
            (best["retrieved"], best["vote"]),
            (best["blend"], best["vote"]),
            (best["blend"], best["retrieved"]),
            (best["vote"], plain["probe"]),
            (best["vote"], plain["majority"]),
            *((self._like(control), control) for control in self._controls),
        ]
        return tuple(
            self.compare(first, second)
            for first, second in pairs
            if first is not None and second is not None
        )

    @property
    def _controls(self) -> list[Arm]:
        return [
            answers.arm
            for answers in self.answers.values()
            if answers.arm.how in ("random", "shuffled", "silent")
        ]

    def _like(self, control: Arm) -> Arm | None:
        """Return the arm that a control is compared with."""
        for answers in self.answers.values():
            arm = answers.arm
            if arm.k == control.k and arm.how == ("retrieved" if control.k else "zero-shot"):
                return arm
        return None
