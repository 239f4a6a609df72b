"""Shot influence: what each shot contributes to a language model's answer.

Leave one out: the same question without one shot, the others in the same order. Relabel:
the same question with one shot's label changed, which tells whether the model reads what
a shot says or only that it is there (Min et al., arXiv 2202.12837). Either costs a prompt
a shot and one more. The exemplars' audio is encoded once for all of them by a model that
keeps features.

A Flamingo whose slots follow the recordings in a prompt has a slot fewer without a shot,
as it would have had it never been found; give the model ``slots`` to hold them still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from earful.errors import PromptError, TaskError
from earful.index.search import Hit
from earful.model import AsksAhead, LanguageModel
from earful.rag.answer import LabelScore, predicted_label, rank_labels
from earful.rag.arrays import Scores
from earful.rag.generation.precompute import ask_ahead
from earful.rag.generation.prompt import arrange_shots
from earful.rag.generation.request import ModelRequest, score_labels
from earful.rag.retrieval import LabelScoring
from earful.read_only import ReadOnlyDict
from earful.wording import unknown_name

_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotInfluence:
    """Influence of one shot; "without" is without it, or with its label changed.

    Attributes:
        hit: The shot.
        change: By how much it raises the answer: for labels the best label's score with
            all shots less the one without, in [-1, 1]; for text the log-probability of
            the same text with all shots less the one without, in nats.
        changes: The same for every label; empty for text.
        without: Every label's score without it, best first; empty for text.
        flips: Whether the answer is another one without it; never for text, which is not
            written again.
    """

    hit: Hit
    change: float
    changes: Mapping[str, float] = field(default_factory=ReadOnlyDict, hash=False)
    without: tuple[LabelScore, ...] = ()
    flips: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain JSON values."""
        return {
            **self.hit.to_dict(),
            "change": round(self.change, _DIGITS),
            "changes": {label: round(change, _DIGITS) for label, change in self.changes.items()},
            "without": {score.label: round(score.score, _DIGITS) for score in self.without},
            "flips": self.flips,
        }


def label_influence(
    model: LanguageModel, request: ModelRequest, *, scoring: LabelScoring = LabelScoring()
) -> tuple[ShotInfluence, ...]:
    """Measure what each shot does to labels, by leaving it out.

    Args:
        model: Scores answers.
        request: What is asked, with its shots and labels; ``FewShot.request`` makes one.
        scoring: Which corrections apply; the neighbour vote is left out.

    Returns:
        One for each shot that fits the model, the most helpful to the answer first; ties
        are in the shots' order, nearest first. For ``multilabel`` the change is that of
        the most probable label.

    Raises:
        TaskError: The request has no labels.
        PromptError: The prompt does not fit, or two labels are the same to the model.
        AudioError: A recording cannot be read.
        ModelError: The model gives no log-probabilities.
    """
    return _compare(model, request, scoring, _without)


def relabel_influence(
    model: LanguageModel,
    request: ModelRequest,
    label: str,
    *,
    scoring: LabelScoring = LabelScoring(),
) -> tuple[ShotInfluence, ...]:
    """Measure what each shot's label does, by saying ``label`` in its place.

    A shot with this label alone changes nothing. All else is as for ``label_influence``,
    but that a label too long for the prompt is a ``PromptError`` and one that is no
    candidate a ``TaskError``.
    """
    if request.labels and label not in request.labels:
        raise TaskError(unknown_name("label", label, request.labels))

    def relabelled(shots: tuple[Hit, ...], hit: Hit) -> tuple[Hit, ...]:
        other = replace(hit, exemplar=hit.exemplar.relabelled((label,)))
        return tuple(other if shot is hit else shot for shot in shots)

    return _compare(model, request, scoring, relabelled)


def text_influence(
    model: LanguageModel, request: ModelRequest, text: str
) -> tuple[ShotInfluence, ...]:
    """Measure what each shot does to the probability of a written answer, by leaving it out.

    Args:
        model: Scores answers.
        request: What was asked, with its shots.
        text: What was answered.

    Returns:
        As ``label_influence``.

    Raises:
        PromptError: The prompt does not fit, or ``text`` is empty.
        AudioError: A recording cannot be read.
        ModelError: The model gives no log-probabilities.
    """
    shown = request.fit(model).shown
    shots, still = _held_still(request, shown)

    def log_probability(hits: Sequence[Hit]) -> float:
        (tokens,) = model.score(still.build_for(model, hits), [text])
        return float(tokens.sum())

    without = [_without(shots, hit) for hit in shown]
    if isinstance(model, AsksAhead):
        prompts = [still.build_for(model, hits) for hits in (shots, *without)]
        model.ask_ahead([(prompt, [text]) for prompt in prompts])
    whole = log_probability(shots)
    return _helpful_first(
        [
            ShotInfluence(hit=hit, change=whole - log_probability(hits))
            for hit, hits in zip(shown, without, strict=True)
        ]
    )


def _compare(
    model: LanguageModel,
    request: ModelRequest,
    scoring: LabelScoring,
    change: Callable[[tuple[Hit, ...], Hit], tuple[Hit, ...]],
) -> tuple[ShotInfluence, ...]:
    """Score an request's labels with its shots as they are, and with each one changed."""
    if not request.labels:
        raise TaskError(
            f"task {request.task.name!r} has no labels; text_influence is for written answers"
        )
    shown = _shown(model, request)
    shots, still = _held_still(request, shown)

    def scores_of(hits: tuple[Hit, ...]) -> Scores:
        scores, fitted = score_labels(model, replace(still, hits=hits), scoring)
        if len(fitted.shown) < len(hits):
            raise PromptError(
                f"with a label changed {len(fitted.shown)} of {len(hits)} shots fit "
                f"{model.capabilities.name}; show fewer"
            )
        return scores

    changed = [change(shots, hit) for hit in shown]
    ask_ahead(model, [replace(still, hits=hits) for hits in (shots, *changed)], scoring)
    whole = scores_of(shots)
    with_all = rank_labels(request.labels, whole)
    answer, _ = predicted_label(request.task, with_all)
    found: list[ShotInfluence] = []
    for hit, hits in zip(shown, changed, strict=True):
        scores = scores_of(hits)
        ranked = rank_labels(request.labels, scores)
        changes = dict(zip(request.labels, (whole - scores).tolist(), strict=True))
        found.append(
            ShotInfluence(
                hit=hit,
                change=changes[with_all[0].label],
                changes=ReadOnlyDict(changes),
                without=ranked,
                flips=predicted_label(request.task, ranked)[0] != answer,
            )
        )
    return _helpful_first(found)


def _without(shots: tuple[Hit, ...], hit: Hit) -> tuple[Hit, ...]:
    return tuple(shot for shot in shots if shot is not hit)


def _shown(model: LanguageModel, request: ModelRequest) -> tuple[Hit, ...]:
    """Return the shots that fit, nearest first: for ``multilabel`` beside every label."""
    if request.task.kind == "classify":
        return request.fit(model).shown
    return min((request.fit_yes_no(model, x).shown for x in request.labels), key=len)


def _held_still(
    request: ModelRequest, shown: tuple[Hit, ...]
) -> tuple[tuple[Hit, ...], ModelRequest]:
    """Return shots in the order in which a prompt shows them, and a request that keeps it.

    A drawn order would be drawn anew without a shot.
    """
    shots = arrange_shots(shown, request.task.shots.order, seed=request.seed)
    as_given = replace(request.task.shots, order="nearest-first")
    return shots, replace(request, task=replace(request.task, shots=as_given), hits=shots)


def _helpful_first(found: list[ShotInfluence]) -> tuple[ShotInfluence, ...]:
    return tuple(sorted(found, key=lambda influence: -influence.change))
