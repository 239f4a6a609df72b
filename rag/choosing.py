"""Choosing: labels by a language model that says which it takes, and not how sure it is of them.

There is then no confidence, and nothing to blend or to calibrate. The neighbour vote stands beside
the answer with its own. What the model wrote and the strict parser cannot read is reported as
``unparsed``, never guessed at.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from earful.errors import ModelError
from earful.model import LanguageModel
from earful.model.chat import ChoosesAnswers
from earful.rag.answer import Answer, rank_labels
from earful.rag.generation import (
    FittedPrompt,
    ModelRequest,
    scoring_notes,
    shortlist,
    to_answer,
    with_room,
)
from earful.rag.retrieval import LabelScoring, LabelVote, Query, ShotSet, Stopwatch
from earful.wording import counted, quoted

_NO_EFFECT: Final = "length, prior and vote_weight have no effect without the model's probabilities"

_Chosen = tuple[tuple[str, ...], str, tuple[str, ...]]


def answer_by_choice(
    model: LanguageModel,
    request: ModelRequest,
    found: ShotSet,
    vote: LabelVote | None,
    query: Query,
    watch: Stopwatch,
    *,
    scoring: LabelScoring,
    notes: tuple[str, ...],
    always_answer: bool,
) -> Answer:
    """Answer a task with labels by a model's choice.

    For ``classify`` it chooses one label; of more than it can choose from at once, the vote's
    likeliest. For ``multilabel`` it answers yes or no for each.

    Args:
        model: Chooses; see ``ChoosesAnswers``.
        request: What is asked; with labels.
        found: Its shots.
        vote: What the exemplars say; ``None`` without any.
        query: The recording.
        watch: Takes ``score_s``.
        scoring: Corrections of scores, none of which applies.
        notes: What a reader should know besides.
        always_answer: Whether to give the chosen label however unlike everything the recording is.

    Raises:
        PromptError: The prompt does not fit.
        AudioError: A recording cannot be read.
        ModelError: The model does not choose, or cannot be asked.
    """
    if not isinstance(model, ChoosesAnswers):
        raise ModelError(
            f"{model.capabilities.name} gives no log-probabilities and chooses no answer, so it "
            "cannot name labels; classify without a model, or ask it"
        )
    request, told = shortlist(request, vote, model)
    ask = _choose_one if request.task.kind == "classify" else _choose_each
    with watch.stage("score_s"):
        chosen, fitted = with_room(model, request, partial(ask, model))
    labels, unparsed, own = chosen
    notes = (*notes, *told, *scoring_notes(model), *own)
    if scoring != LabelScoring():
        notes = (*notes, _NO_EFFECT)
    text = ", ".join(labels) or "none"
    reason = "" if vote is None or always_answer else _doubt(found, vote)
    if unparsed:
        text = "cannot say: what the model wrote names none of the labels, or several"
        reason = f"it wrote {quoted(unparsed)}"
    return replace(
        to_answer(model, query, text, None, fitted, watch, notes=notes),
        abstained=bool(reason),
        reason=reason,
        labels=labels,
        vote=() if vote is None else rank_labels(found.labels, vote.scores),
        scoring=model.capabilities.scoring,
        unparsed=unparsed,
    )


def _choose_one(model: ChoosesAnswers, request: ModelRequest) -> tuple[_Chosen, FittedPrompt]:
    assert isinstance(model, LanguageModel)
    fitted = request.fit(model)
    labels = request.shortlist or request.labels
    task = request.task
    choice = model.choose(
        fitted.prompt,
        [task.wording(label) for label in labels],
        aliases=[(label, *_aliases(request, label)) for label in labels],
    )
    if choice.row is None:
        return ((), choice.text.strip() or "nothing", ()), fitted
    return ((labels[choice.row],), "", ()), fitted


def _choose_each(model: ChoosesAnswers, request: ModelRequest) -> tuple[_Chosen, FittedPrompt]:
    """Ask for each label whether it is there; one whose answer cannot be read is left out."""
    assert isinstance(model, LanguageModel)
    labels: list[str] = []
    unparsed: list[str] = []
    fits, tightest = request.fit_each(model)
    for label, fitted in zip(request.labels, fits, strict=True):
        choice = model.choose(fitted.prompt, ["yes", "no"])
        if choice.row is None:
            unparsed.append(choice.text.strip() or "nothing")
        elif choice.row == 0:
            labels.append(label)
    if len(unparsed) == len(request.labels):
        return ((), unparsed[0], ()), tightest
    notes: tuple[str, ...] = ()
    if unparsed:
        notes = (
            f"of {counted(len(unparsed), 'label')} the model said neither yes nor no, so they are "
            f"left out; it wrote {quoted(unparsed[0])}",
        )
    return (tuple(labels), "", notes), tightest


def _aliases(request: ModelRequest, label: str) -> tuple[str, ...]:
    known = request.task.labels.get(label)
    return known.aliases if known else ()


def _doubt(found: ShotSet, vote: LabelVote) -> str:
    """Return that nothing is like the recording, if so; how near the labels are says nothing."""
    if vote.evidence is None or vote.evidence.likeness >= vote.calibration.unlike_below:
        return ""
    return vote.doubt(found.labels, vote.scores)
