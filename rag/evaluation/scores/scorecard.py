"""Scorecard: all numbers of a run, with its verdict, for reports and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.metrics import (
    JavaScores,
    PerClass,
    Reliability,
    RiskCoverage,
    confusion_matrix,
    java_scores,
    near_label,
    per_class,
    per_class_of_sets,
    reliability,
    risk_coverage,
)
from earful.rag.evaluation.scores.results import Verdict
from earful.rag.evaluation.scores.run_scores import Picked, RunScores, Values
from earful.rag.evaluation.scores.verdict import pass_verdict

_DIGITS = 6


class Scorecard(RunScores):
    """All numbers of a run, and the verdict.

    Args:
        document: From ``read_run``, or as ``evaluate`` made it.
    """

    @cached_property
    def verdict(self) -> Verdict:
        """Whether retrieval helps, in one sentence, and which arm to use."""
        return pass_verdict(self)

    @cached_property
    def java(self) -> JavaScores:
        """METEOR and the like of the verdict's arm; for ``caption``."""
        rows = self.answers[self.verdict.arm.name].first
        references = [item["references"] for item in self.items]
        return java_scores([row["text"] for row in rows], references)

    # --- for the report -------------------------------------------------------------------

    def confusion(self, arm: Arm) -> Picked:
        """Count items by true label (rows) and answer (columns); for ``classify``."""
        rows = self.answers[arm.name].first
        return confusion_matrix(self.truth, self.predicted(rows), len(self.labels))

    def per_class(self, arm: Arm) -> PerClass:
        """Return precision, recall, F1 and number of items of every label."""
        rows = self.answers[arm.name].first
        if self.kind == "classify":
            return per_class(self.truth, self.predicted(rows), len(self.labels))
        chosen = np.array([self._marked(row["labels"]) for row in rows])
        return per_class_of_sets(self.truth_sets, chosen)

    def reliability_of(self, arm: Arm, n_bins: int = 10) -> Reliability:
        """Return how often an arm is right at each confidence; see ``metrics.reliability``."""
        rows = self.answers[arm.name].first
        return reliability(_confidences(rows), self.right(rows), n_bins=n_bins)

    def risk_coverage_of(self, arm: Arm) -> RiskCoverage:
        """Return the share of wrong answers by how many are given; see ``metrics``."""
        rows = self.answers[arm.name].first
        return risk_coverage(_confidences(rows), self.right(rows))

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON values."""
        told: dict[str, Any] = {
            "task": self.document["task"]["name"],
            "metric": self.metric,
            "n_items": len(self.items),
            "n_groups": len(set(self.groups)),
            "confidence": self._confidence,
            "verdict": self.verdict.to_dict(),
            "arms": [score.to_dict() for score in self.arms],
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
            "notes": self.document["notes"],
            "leaks": self.document["leaks"],
            "embedding_s": self.document["embedding_s"],
        }
        if self.kind == "caption":
            told["java"] = {
                "arm": self.verdict.arm.name,
                "metrics": {k: round(v, _DIGITS) for k, v in self.java.corpus.items()},
                "notes": list(self.java.notes),
            }
        if self.kind in ("classify", "multilabel"):
            told["per_class"] = self._told_labels(self.verdict.arm)
            for score, values in zip(self.arms, told["arms"], strict=True):
                values["ece"] = round(self.reliability_of(score.arm).ece, _DIGITS)
                values["aurc"] = round(self.risk_coverage_of(score.arm).area, _DIGITS)
                near = self.near_accuracy(score.arm)
                if near is not None and score.arm.by_model:
                    values["near_accuracy"] = round(near, _DIGITS)
        return told

    def near_accuracy(self, arm: Arm) -> float | None:
        """Return the accuracy when words that name no label count as the nearest one.

        For ``classify`` by written answers; told beside the accuracy, never in its place.
        """
        if self.kind != "classify" or self.document["task"]["evaluation"]["answers"] != "written":
            return None
        told = self.document["task"]["labels"]
        label_of = {told[x]["wording"] if x in told else x: x for x in self.labels}
        rows = self.answers[arm.name].first
        right = 0
        for row, item in zip(rows, self.items, strict=True):
            near = near_label(row["text"], tuple(label_of)) if not row["labels"] else None
            named = row["labels"] or ([label_of[near]] if near else [])
            right += named[:1] == item["labels"][:1]
        return right / len(rows)

    def _told_labels(self, arm: Arm) -> dict[str, Any]:
        found = self.per_class(arm)
        told: dict[str, Any] = {
            "arm": arm.name,
            "labels": {
                label: {
                    "precision": round(float(found.precision[row]), _DIGITS),
                    "recall": round(float(found.recall[row]), _DIGITS),
                    "f1": round(float(found.f1[row]), _DIGITS),
                    "n": int(found.support[row]),
                }
                for row, label in enumerate(self.labels)
            },
        }
        if self.kind == "classify":
            told["confusion"] = self.confusion(arm).tolist()
        return told


def _confidences(rows: Sequence[Mapping[str, Any]]) -> Values:
    return np.array([row["confidence"] for row in rows], dtype=np.float64)
