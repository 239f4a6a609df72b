"""Prompts: task, shots and query interleaved, and fitted to what a language model can take.

Only the query's question carries the list of labels, as Audio Flamingo was trained. What
does not fit a model is left out by whole shots, the farthest first, and a note says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from earful.errors import PromptError
from earful.index.search import Hit
from earful.model import (
    ClipRef,
    LanguageModel,
    Place,
    Prompt,
    PromptSize,
    PromptWording,
    Prototype,
    Text,
)
from earful.rag.strategies import STRATEGIES
from earful.rag.task import Order, ShotMode, Task

Item = TypeVar("Item")

PLAIN_WORDING: Final = PromptWording()

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One round of a dialogue: what was asked and, but for the last, answered."""

    user: str
    assistant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedPrompt:
    """A prompt that a model can take.

    Attributes:
        prompt: The prompt.
        shown: The shots in it, nearest first.
        size: What it takes of the model.
        notes: What was left out.
    """

    prompt: Prompt
    shown: tuple[Hit, ...]
    size: PromptSize
    notes: tuple[str, ...]


def build_prompt(
    task: Task,
    shots: Sequence[Hit],
    query: ClipRef,
    *,
    labels: Sequence[str] = (),
    question: str = "",
    shot_mode: ShotMode = "interleaved",
    lists_labels: bool = True,
    wording: PromptWording = PLAIN_WORDING,
) -> Prompt:
    """Interleave shots and query.

    Args:
        task: What is asked.
        shots: Exemplars in the order to show them.
        query: The recording asked about.
        labels: Candidates; empty for a task without labels.
        question: Asked about the query instead of the task's.
        shot_mode: ``"interleaved"``: exemplars with their audio. ``"text"``: with their
            words only, which costs no audio slot.
        lists_labels: Whether the question lists the candidates.
        wording: Phrases of the language model.

    Raises:
        PromptError: There is no question: a task of kind ``ask`` without one.
    """
    asked = question or task.question or wording.question(task.kind)
    if not asked:
        raise PromptError(
            f"task {task.name!r} has no question; give one, or write it into the task"
        )
    parts = _opening(task, bool(shots), task.description or wording.opening(task.kind), wording)
    for hit in shots:
        its_question = asked if task.has_labels else _question_of(task, hit, asked, wording)
        if task.yes_no_options and is_yes_or_no(hit.exemplar.answer):
            its_question += wording.yes_no_options
        solution = _solution(task, hit, labels, wording)
        parts += _shot(hit, _worded(task, its_question, wording), solution, shot_mode)
    options = _options(task, labels, wording) if lists_labels else ""
    parts += [query, Text(kind="user", text=_worded(task, asked, wording) + options)]
    return Prompt(parts=tuple(parts))


def build_prototype_prompt(
    task: Task,
    prototypes: Sequence[Prototype],
    query: ClipRef,
    *,
    labels: Sequence[str] = (),
    wording: PromptWording = PLAIN_WORDING,
) -> Prompt:
    """Show labels, each with all of its exemplars, and ask for one of them.

    Args:
        task: Asks for one label.
        prototypes: In the order to show them.
        query: The recording asked about.
        labels: Candidates to list in the question; empty for none.
        wording: As for ``build_prompt``.
    """
    asked = task.question or wording.question(task.kind)
    parts = _opening(task, True, task.description or wording.opening(task.kind), wording)
    for prototype in prototypes:
        answer = task.wording(prototype.label)
        parts += [prototype, *_exchange(asked, answer)]
    options = _options(task, labels, wording)
    return Prompt(parts=(*parts, query, Text(kind="user", text=asked + options)))


def build_yes_no_prompt(
    task: Task,
    shots: Sequence[Hit],
    query: ClipRef,
    label: str,
    *,
    shot_mode: ShotMode = "interleaved",
    wording: PromptWording = PLAIN_WORDING,
) -> Prompt:
    """Ask whether one label is in a recording; every shot answers the same question.

    Args:
        task: A task with labels.
        shots: Exemplars in the order to show them.
        query: The recording asked about.
        label: The label in question.
        shot_mode: As for ``build_prompt``.
        wording: As for ``build_prompt``.
    """
    question = wording.presence_question.replace("{label}", task.wording(label))
    asked = f"{wording.question_prefix}{question}{wording.yes_no_options}"
    parts = _opening(task, bool(shots), wording.ask_opening, wording)
    for hit in shots:
        parts += _shot(hit, asked, "yes" if _has(task, hit, label) else "no", shot_mode)
    return Prompt(parts=(*parts, query, Text(kind="user", text=asked)))


def build_dialogue(
    query: ClipRef,
    turns: Sequence[Turn],
    *,
    shots: Sequence[Hit] = (),
    shot_mode: ShotMode = "interleaved",
    wording: PromptWording = PLAIN_WORDING,
) -> Prompt:
    """Build a dialogue about one recording, the last turn still without an answer.

    Args:
        query: The recording.
        turns: At least one.
        shots: Exemplars in the order to show them.
        shot_mode: As for ``build_prompt``.
        wording: As for ``build_prompt``.

    Raises:
        PromptError: The last question is empty.
    """
    if not turns[-1].user.strip():
        raise PromptError("the question is empty: expected at least one character")
    task = Task(name="chat", kind="ask")
    parts = _opening(task, bool(shots), wording.dialogue_opening, wording)
    for hit in shots:
        question = _worded(task, hit.exemplar.question or wording.exemplar_question, wording)
        parts += _shot(hit, question, hit.exemplar.answer, shot_mode)
    parts.append(query)
    for turn in turns[:-1]:
        parts += [Text(kind="user", text=turn.user), Text(kind="assistant", text=turn.assistant)]
    parts.append(Text(kind="user", text=turns[-1].user))
    return Prompt(parts=tuple(parts), is_dialogue=True)


def fit_prompt(
    model: LanguageModel, build: Callable[[Sequence[Hit]], Prompt], hits: Sequence[Hit]
) -> FittedPrompt:
    """Show as many shots as a model can take.

    Args:
        model: Says what it can take.
        build: Makes the prompt from the shots that are shown, given nearest first.
        hits: Shots, nearest first.

    Raises:
        PromptError: The prompt does not fit even without a shot.
    """
    prompt, size, shown, notes = _as_many(model, build, hits, "shots", "the nearest")
    return FittedPrompt(prompt=prompt, shown=tuple(shown), size=size, notes=notes)


def fit_prototypes(
    model: LanguageModel,
    build: Callable[[Sequence[Prototype]], Prompt],
    prototypes: Sequence[Prototype],
    hits: Sequence[Hit],
) -> FittedPrompt:
    """Show as many labels as a model can take.

    Args:
        model: Says what it can take.
        build: Makes the prompt from the labels that are shown, given best first.
        prototypes: Labels, best first.
        hits: Shots, which stand for them as evidence.

    Raises:
        PromptError: The prompt does not fit even without a label.
    """
    prompt, size, _, notes = _as_many(model, build, prototypes, "labels", "the likeliest")
    return FittedPrompt(prompt=prompt, shown=tuple(hits), size=size, notes=notes)


def _as_many(
    model: LanguageModel,
    build: Callable[[Sequence[Item]], Prompt],
    items: Sequence[Item],
    what: str,
    which: str,
) -> tuple[Prompt, PromptSize, Sequence[Item], tuple[str, ...]]:
    limits = model.capabilities
    shown = list(items)
    while True:
        prompt = build(shown)
        size = model.measure(prompt)
        fits = size.n_tokens <= limits.max_text_tokens
        if fits and prompt.n_clips <= limits.max_audios:
            break
        if not shown:
            raise PromptError(
                f"the question takes {size.n_tokens} tokens without any shot; {limits.name} takes "
                f"{limits.max_text_tokens}: shorten it, or give fewer labels"
            )
        why = f"{limits.max_audios} recordings" if fits else f"{limits.max_text_tokens} tokens"
        shown.pop()
    notes = list(size.cut)
    if len(shown) < len(items):
        notes.insert(
            0,
            f"{len(shown)} of {len(items)} {what} are shown, {which}; {limits.name} takes {why}",
        )
    _log.debug(
        "prompt %s of %d tokens with %d of %d %s",
        prompt.digest[:12],
        size.n_tokens,
        len(shown),
        len(items),
        what,
        extra={"n_tokens": size.n_tokens, "n_shots": len(shown), "slots": size.slots},
    )
    return prompt, size, shown, tuple(notes)


def is_yes_or_no(answer: str) -> bool:
    """Whether an answer, or each of several with commas between them, is yes or no.

    >>> is_yes_or_no("Yes, no."), is_yes_or_no("yes it is")
    (True, False)
    """
    parts = [part.strip().rstrip(".").lower() for part in answer.split(",")]
    return all(part in ("yes", "no") for part in parts)


def clip_of(hit: Hit) -> ClipRef:
    """Refer to an exemplar's audio."""
    return ClipRef(
        audio=hit.path,
        start_s=hit.exemplar.start_s,
        end_s=hit.exemplar.end_s,
        content_sha256=hit.content_sha256,
        is_exemplar=True,
    )


def arrange_shots(
    nearest_first: Sequence[Item], order: Order, *, seed: int = 0
) -> tuple[Item, ...]:
    """Sort shots into the order in which a prompt shows them.

    >>> arrange_shots(["nearest", "far"], "nearest-last")
    ('far', 'nearest')
    """
    if order == "nearest-last":
        return tuple(reversed(nearest_first))
    if order == "random":
        shuffled = np.random.default_rng(seed).permutation(len(nearest_first))
        return tuple(nearest_first[position] for position in shuffled)
    return tuple(nearest_first)


def _opening(
    task: Task, has_shots: bool, description: str, wording: PromptWording
) -> list[Text | Place]:
    is_random = STRATEGIES[task.shots.strategy].is_random
    examples = wording.random_examples if is_random else wording.similar_examples
    return [Text(kind="system", text=(examples if has_shots else "") + description)]


def _shot(hit: Hit, question: str, answer: str, shot_mode: ShotMode) -> list[Text | Place]:
    words = _exchange(question, answer)
    return [clip_of(hit), *words] if shot_mode == "interleaved" else words


def _exchange(question: str, answer: str) -> list[Text | Place]:
    return [
        Text(kind="exemplar", text=question),
        Text(kind="exemplar", text=answer, is_answer=True),
    ]


def _question_of(task: Task, hit: Hit, asked: str, wording: PromptWording) -> str:
    """Return what an exemplar answers: its own question, the task's, or what it is."""
    if hit.exemplar.question or task.question:
        return hit.exemplar.question or task.question
    # Labels answer what a sound is, not what somebody asks about another one.
    return wording.exemplar_question if task.kind == "ask" else asked


def _worded(task: Task, question: str, wording: PromptWording) -> str:
    return f"{wording.question_prefix}{question}" if task.kind == "ask" else question


def _has(task: Task, hit: Hit, label: str) -> bool:
    names = {label, *(task.labels[label].aliases if label in task.labels else ())}
    return not names.isdisjoint(hit.exemplar.labels)


def _solution(task: Task, hit: Hit, labels: Sequence[str], wording: PromptWording) -> str:
    """Return an exemplar's labels as the task words them, or its answer."""
    if not task.has_labels:
        return hit.exemplar.answer
    return ", ".join(task.wording(x) for x in labels if _has(task, hit, x)) or wording.no_label


def _options(task: Task, labels: Sequence[str], wording: PromptWording) -> str:
    return wording.options(sorted({task.wording(label) for label in labels})) if labels else ""
