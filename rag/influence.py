"""What each shot contributes to a language model's answer: the same question without it.

Leave-one-shot-out costs a prompt a shot and one more. The exemplars' audio is encoded
once for all of them, by a model that keeps features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from earful.errors import TaskError
from earful.index.search import Hit
from earful.model.protocols import LanguageModel
from earful.rag.respond import Inquiry, score_labels
from earful.rag.score import LabelScoring, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotInfluence:
    """What one shot does.

    Attributes:
        hit: The shot.
        change: By how much it raises the answer: for labels the winning one's probability
            with it less the one without, in [-1, 1]; for text the log-probability of the
            same text with it less the one without.
        without: The label that wins without it; the same text for text.
    """

    hit: Hit
    change: float
    without: str

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain JSON values."""
        return {
            "id": self.hit.exemplar.id,
            "answer": self.hit.exemplar.answer,
            "similarity": round(self.hit.similarity, 6),
            "change": round(self.change, 6),
            "without": self.without,
        }


def label_influence(
    model: LanguageModel, inquiry: Inquiry, *, scoring: LabelScoring = LabelScoring()
) -> tuple[ShotInfluence, ...]:
    """Say what each shot does to the label that wins with all of them.

    Args:
        model: Scores answers.
        inquiry: What is asked, with its shots and labels; ``FewShot.inquiry`` makes one.
        scoring: Which corrections apply; the neighbour vote is left out.

    Returns:
        One a shot that the model was shown, the most helpful first; ties keep the shots'
        order.

    Raises:
        TaskError: The inquiry has no labels.
        PromptError: The prompt does not fit, or two labels are the same to the model.
        AudioError: A recording cannot be read.
    """
    if not inquiry.labels:
        raise TaskError(f"task {inquiry.task.name!r} has no labels; text has text_influence")
    scores, fitted = score_labels(model, inquiry, scoring)
    winner = int(np.argmax(scores))

    def without(hit: Hit) -> Scores:
        others = tuple(other for other in fitted.shown if other is not hit)
        return score_labels(model, replace(inquiry, hits=others), scoring)[0]

    found: list[ShotInfluence] = []
    for hit in fitted.shown:
        left = without(hit)
        change = float(scores[winner] - left[winner])
        label = inquiry.labels[int(np.argmax(left))]
        found.append(ShotInfluence(hit=hit, change=change, without=label))
    return _helpful_first(found)


def text_influence(model: LanguageModel, inquiry: Inquiry, text: str) -> tuple[ShotInfluence, ...]:
    """Say what each shot does to the probability of a written answer.

    Args:
        model: Scores answers.
        inquiry: What was asked, with its shots.
        text: What was answered.

    Returns:
        As ``label_influence``.

    Raises:
        PromptError: The prompt does not fit, or ``text`` is empty.
        AudioError: A recording cannot be read.
    """
    fitted = inquiry.fit(model)
    (whole,) = model.score(fitted.prompt, [text])
    found: list[ShotInfluence] = []
    for hit in fitted.shown:
        others = tuple(other for other in fitted.shown if other is not hit)
        (left,) = model.score(inquiry.build(others), [text])
        change = float(whole.sum() - left.sum())
        found.append(ShotInfluence(hit=hit, change=change, without=text))
    return _helpful_first(found)


def _helpful_first(found: list[ShotInfluence]) -> tuple[ShotInfluence, ...]:
    return tuple(sorted(found, key=lambda influence: -influence.change))
