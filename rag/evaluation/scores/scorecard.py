"""Scorecard: scores of a run with its verdict, for reports and as JSON."""

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
from earful.rag.evaluation.scores.model_verdicts import pass_verdict_on_models
from earful.rag.evaluation.scores.results import Abstention, Verdict
from earful.rag.evaluation.scores.run_scores import Picked, RunScores, Values
from earful.rag.evaluation.scores.verdict import pass_verdict
from earful.values import repr_of
from earful.wording import counted

_DIGITS = 6


class Scorecard(RunScores):
    """Scores of a run with its verdict, and all that a report shows.

    Args:
        document: From ``read_run``, or as ``evaluate`` made it.
    """

    def __repr__(self) -> str:
        task = self.document["task"]["name"]
        return repr_of(self, task=task, items=len(self.items), arms=tuple(self.answers))

    @cached_property
    def verdict(self) -> Verdict:
        """Whether retrieval helps, in one sentence, and which arm to use."""
        return pass_verdict_on_models(self) if self.models else pass_verdict(self)

    @cached_property
    def java(self) -> JavaScores:
        """METEOR, SPICE and SPIDEr of the verdict's arm; for ``caption``."""
        return java_scores(*self._captions(self.answers[self.verdict.arm.name].first))

    @property
    def spent_texts(self) -> list[tuple[str, str]]:
        """Return what asking each of several models took in all, as text for people."""
        return [(name, _spent_text(spent)) for name, spent in self._spent]

    @property
    def _spent(self) -> list[tuple[str, Mapping[str, float]]]:
        """Pair the names that models have in the run with what each took in all."""
        # A model calls itself otherwise: `openai:` is `openai:NAME`, and a folder has any name.
        models = [model["spent"] for model in self.document.get("models", ())]
        return list(zip(self.document.get("model_names", ()), models, strict=True))

    # --- for the report -------------------------------------------------------------------

    def confusion(self, arm: Arm) -> Picked:
        """Count items by right label (rows) and predicted label (columns); for ``classify``."""
        rows = self.answers[arm.name].first
        return confusion_matrix(self.truth, self.predicted(rows), len(self.labels))

    def per_class(self, arm: Arm) -> PerClass:
        """Return every label's precision, recall, F1 and number of items."""
        rows = self.answers[arm.name].first
        if self.kind == "classify":
            return per_class(self.truth, self.predicted(rows), len(self.labels))
        chosen = np.array([self._marked(row["labels"]) for row in rows])
        return per_class_of_sets(self.truth_sets, chosen)

    def has_confidence(self, arm: Arm) -> bool:
        """Whether an arm says how sure it is of each answer."""
        return all(row["confidence"] is not None for row in self.answers[arm.name].first)

    def reliability_of(self, arm: Arm, n_bins: int = 10) -> Reliability:
        """Return an arm's reliability; see ``metrics.reliability``."""
        rows = self.answers[arm.name].first
        return reliability(_confidences(rows), self.right(rows), n_bins=n_bins)

    def risk_coverage_of(self, arm: Arm) -> RiskCoverage:
        """Return an arm's risk at each coverage; see ``metrics.risk_coverage``."""
        rows = self.answers[arm.name].first
        return risk_coverage(_confidences(rows), self.right(rows))

    def abstention_of(self, arm: Arm) -> Abstention | None:
        """Return how often a vote or a blend abstains; ``None`` for other arms."""
        rows = self.answers[arm.name].first
        if arm.how not in ("vote", "blend") or not self.labels:
            return None
        # Runs of former versions say nothing of it.
        if any("abstained" not in row for row in rows):
            return None
        answered = np.array([not row["abstained"] for row in rows])
        right = self.right(rows)[answered]
        return Abstention(
            share=float(1 - answered.mean()), accuracy=float(right.mean()) if right.size else None
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain JSON values."""
        values: dict[str, Any] = {
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
        if self.models:
            values["models"] = [{"name": name, "spent": spent} for name, spent in self._spent]
        if self.kind == "caption":
            values["java"] = {
                "arm": self.verdict.arm.name,
                "metrics": {k: round(v, _DIGITS) for k, v in self.java.corpus.items()},
                "notes": list(self.java.notes),
            }
        if self.kind in ("classify", "multilabel"):
            values["per_class"] = self._per_class_values(self.verdict.arm)
            for score, of_arm in zip(self.arms, values["arms"], strict=True):
                if self.has_confidence(score.arm):
                    of_arm["ece"] = round(self.reliability_of(score.arm).ece, _DIGITS)
                    of_arm["aurc"] = round(self.risk_coverage_of(score.arm).area, _DIGITS)
                if (abstention := self.abstention_of(score.arm)) is not None:
                    of_arm["abstained"] = abstention.to_dict()
                near = self.near_accuracy(score.arm)
                if near is not None and score.arm.by_model:
                    of_arm["near_accuracy"] = round(near, _DIGITS)
        return values

    def near_accuracy(self, arm: Arm) -> float | None:
        """Return the accuracy when a text that names no label counts as the nearest label.

        For ``classify`` by written answers, else ``None``; it is reported beside the accuracy,
        never in its place.
        """
        if self.kind != "classify" or self.document["task"]["evaluation"]["answers"] != "written":
            return None
        declared = self.document["task"]["labels"]
        label_of = {declared[x]["wording"] if x in declared else x: x for x in self.labels}
        rows = self.answers[arm.name].first
        right = 0
        for row, item in zip(rows, self.items, strict=True):
            near = near_label(row["text"], tuple(label_of)) if not row["labels"] else None
            named = row["labels"] or ([label_of[near]] if near else [])
            right += named[:1] == item["labels"][:1]
        return right / len(rows)

    def _per_class_values(self, arm: Arm) -> dict[str, Any]:
        found = self.per_class(arm)
        values: dict[str, Any] = {
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
            values["confusion"] = self.confusion(arm).tolist()
        return values


def _spent_text(spent: Mapping[str, float]) -> str:
    requests, tokens = int(spent.get("requests", 0)), int(spent.get("tokens", 0))
    text = f"{counted(requests, 'request')}, {counted(tokens, 'token')}"
    text += f", {spent.get('seconds', 0.0):.1f} s"
    return f"{text}, cost {spent['cost']:.2f}" if spent.get("cost") else text


def _confidences(rows: Sequence[Mapping[str, Any]]) -> Values:
    return np.array([row["confidence"] for row in rows], dtype=np.float64)
