"""EvaluationFigures: what a card says of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self


class Evaluated(Protocol):
    """A finished evaluation, as ``earful.rag.evaluation`` has it."""

    @property
    def document(self) -> Mapping[str, Any]:
        """The run's file."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain JSON values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFigures:
    """What a card says of an evaluation.

    Attributes:
        task: Name of the task.
        metric: Name of the metric.
        n_items: How many recordings were asked about.
        n_exemplars: How many exemplars could answer.
        weights_sha256: Digest of the embedder's weights.
        arms: Each arm's name, with its value and the ends of its interval.
        verdict: The conclusion in a sentence.
    """

    task: str
    metric: str
    n_items: int
    n_exemplars: int
    weights_sha256: str
    arms: tuple[tuple[str, float, float, float], ...]
    verdict: str

    @classmethod
    def of(cls, evaluation: Evaluated) -> Self:
        """Take the figures of a finished evaluation, baselines and controls among them."""
        scores, document = evaluation.to_dict(), evaluation.document
        arms = []
        for arm in scores["arms"]:
            first = next(iter(arm["metrics"].values()))
            arms.append((str(arm["name"]), first["value"], first["low"], first["high"]))
        return cls(
            task=str(scores["task"]),
            metric=str(scores["metric"]),
            n_items=int(scores["n_items"]),
            n_exemplars=int(document["exemplars"]["n"]),
            weights_sha256=str((document["embedder"] or {}).get("weights_sha256", "")),
            arms=tuple(arms),
            verdict=str(scores["verdict"]["text"]),
        )
