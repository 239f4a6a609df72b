"""EvaluationFigures: what a card says of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from earful.errors import SharingError
from earful.index.index import Index


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
        answered_by: Ids of the exemplars that answers name; those that no answer names are not
            in a run.
        arms: Each arm's name, with its value and the ends of its interval.
        verdict: The conclusion in a sentence.
    """

    task: str
    metric: str
    n_items: int
    n_exemplars: int
    weights_sha256: str
    answered_by: frozenset[str]
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
            answered_by=frozenset(str(one["id"]) for one in document.get("shown", ())),
            arms=tuple(arms),
            verdict=str(scores["verdict"]["text"]),
        )

    def require_of(self, index: Index, weights_sha256: str) -> int:
        """Check that the figures are of an index, and count exemplars that it lacks since.

        Args:
            index: The index whose card shows the figures.
            weights_sha256: Digest of the weights of its embedder.

        Raises:
            SharingError: They are of another embedder, or of the rows of another index.
        """
        if self.weights_sha256 != weights_sha256:
            raise SharingError(
                f"the evaluation is of an embedder with weights {self.weights_sha256[:12] or '?'}"
                f"…, and {index.path} of one with {weights_sha256[:12] or 'none'}…: expected the "
                "same; evaluate this index"
            )
        if not self.answered_by:
            return 0
        lost = self.answered_by.difference(index.read_table(["id"])["id"].to_pylist())
        if len(lost) == len(self.answered_by):
            raise SharingError(
                f"the evaluation is of another index: none of its {len(lost)} exemplars is in "
                f"{index.path}, the first is {min(lost)!r}; evaluate this index"
            )
        return len(lost)
