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
    Capabilities,
    ClipRef,
    LanguageModel,
    Place,
    Prompt,
    PromptSize,
    PromptWording,
    Prototype,
    ShotMode,
    Text,
)
from earful.model.audio import Clip
from earful.rag.montage import make_montage, span_text
from earful.rag.strategies import STRATEGIES
from earful.rag.task import Order, Task

Item = TypeVar("Item")

# An exemplar, what it is asked, and its answer.
_Example = tuple[Hit, str, str]

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
    listed: Sequence[str] = (),
    question: str = "",
    shot_mode: ShotMode = "interleaved",
    limits: Capabilities | None = None,
    lists_labels: bool = True,
    wording: PromptWording = PLAIN_WORDING,
) -> Prompt:
    """Show shots and query.

    Args:
        task: What is asked.
        shots: Exemplars in the order to show them.
        query: The recording asked about.
        labels: Candidates; empty for a task without labels.
        listed: Those of them that the question lists; none for all.
        question: Asked about the query instead of the task's.
        shot_mode: ``"interleaved"``: exemplars with their audio. ``"montage"``: all of them and
            the query in one recording, with a table of times in words. ``"text"``: their answers
            and similarities in words only, which costs no audio slot.
        limits: Of the model that hears a montage.
        lists_labels: Whether the question lists the candidates.
        wording: Phrases of the language model.

    Raises:
        PromptError: There is no question: a task of kind ``ask`` without one; or a montage is
            wanted and no model is there to hear it.
        AudioError: A recording of a montage cannot be read.
    """
    asked = question or task.question or wording.question(task.kind)
    if not asked:
        raise PromptError(
            f"task {task.name!r} has no question; give one, or write it into the task"
        )
    parts = _opening(task, bool(shots), task.description or wording.opening(task.kind), wording)
    examples: list[_Example] = []
    for hit in shots:
        its_question = asked if task.has_labels else _question_of(task, hit, asked, wording)
        if task.yes_no_options and is_yes_or_no(hit.exemplar.answer):
            its_question += wording.yes_no_options
        solution = _solution(task, hit, labels, wording)
        examples.append((hit, _worded(task, its_question, wording), solution))
    shown, when = _show(examples, query, shot_mode, limits)
    options = _options(task, listed or labels, wording) if lists_labels else ""
    asked = when + _worded(task, asked, wording) + options
    return Prompt(parts=(*parts, *shown, Text(kind="user", text=asked)))


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
    limits: Capabilities | None = None,
    wording: PromptWording = PLAIN_WORDING,
) -> Prompt:
    """Ask whether one label is in a recording; every shot answers the same question.

    Args:
        task: A task with labels.
        shots: Exemplars in the order to show them.
        query: The recording asked about.
        label: The label in question.
        shot_mode: As for ``build_prompt``.
        limits: As for ``build_prompt``.
        wording: As for ``build_prompt``.
    """
    question = wording.presence_question.replace("{label}", task.wording(label))
    asked = f"{wording.question_prefix}{question}{wording.yes_no_options}"
    parts = _opening(task, bool(shots), wording.ask_opening, wording)
    examples = [(hit, asked, "yes" if _has(task, hit, label) else "no") for hit in shots]
    shown, when = _show(examples, query, shot_mode, limits)
    return Prompt(parts=(*parts, *shown, Text(kind="user", text=when + asked)))


def build_dialogue(
    query: ClipRef,
    turns: Sequence[Turn],
    *,
    shots: Sequence[Hit] = (),
    shot_mode: ShotMode = "interleaved",
    limits: Capabilities | None = None,
    wording: PromptWording = PLAIN_WORDING,
) -> Prompt:
    """Build a dialogue about one recording, the last turn still without an answer.

    Args:
        query: The recording.
        turns: At least one.
        shots: Exemplars in the order to show them.
        shot_mode: As for ``build_prompt``.
        limits: As for ``build_prompt``.
        wording: As for ``build_prompt``.

    Raises:
        PromptError: The last question is empty.
    """
    if not turns[-1].user.strip():
        raise PromptError("the question is empty: expected at least one character")
    task = Task(name="chat", kind="ask")
    parts = _opening(task, bool(shots), wording.dialogue_opening, wording)
    examples = [
        (
            hit,
            _worded(task, hit.exemplar.question or wording.exemplar_question, wording),
            hit.exemplar.answer,
        )
        for hit in shots
    ]
    shown, when = _show(examples, query, shot_mode, limits)
    parts += shown
    for turn in turns[:-1]:
        parts += [
            Text(kind="user", text=when + turn.user),
            Text(kind="assistant", text=turn.assistant),
        ]
        when = ""
    parts.append(Text(kind="user", text=when + turns[-1].user))
    return Prompt(parts=tuple(parts), is_dialogue=True)


def fit_prompt(
    model: LanguageModel,
    build: Callable[[Sequence[Hit]], Prompt],
    hits: Sequence[Hit],
    *,
    most: int | None = None,
) -> FittedPrompt:
    """Show as many shots as a model can take.

    Args:
        model: Says what it can take.
        build: Makes the prompt from the shots that are shown, given nearest first.
        hits: Shots, nearest first.
        most: Most shots that a montage has room for; ``None`` for no montage.

    Raises:
        PromptError: The prompt does not fit even without a shot.
    """
    prompt, size, shown, notes = _as_many(model, build, hits, "shots", "the nearest", most)
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
    most: int | None = None,
) -> tuple[Prompt, PromptSize, Sequence[Item], tuple[str, ...]]:
    limits = model.capabilities
    shown = list(items[:most])
    why = f"{min(limits.max_seconds_per_audio, limits.max_total_seconds):g} s of audio"
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
    notes = [
        *size.cut,
        *(
            note
            for clip in prompt.clips
            if clip.query_from_s and isinstance(clip.audio, Clip)
            for note in clip.audio.notes
        ),
    ]
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
        duration_s=hit.duration_s,
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


def _show(
    examples: Sequence[_Example], query: ClipRef, shot_mode: ShotMode, limits: Capabilities | None
) -> tuple[list[Text | Place], str]:
    """Return shots and query as a prompt shows them, and what stands before the question."""
    parts: list[Text | Place] = []
    if shot_mode == "montage" and examples:
        if limits is None:
            raise PromptError(
                "a montage is heard by a language model, and there is none; give one, or leave "
                "shot_mode out"
            )
        montage = make_montage([clip_of(hit) for hit, _, _ in examples], query, limits)
        for (_, _, answer), span in zip(examples, montage.spans, strict=False):
            parts += _exchange(span_text(span), answer)
        asked_about = montage.spans[-1]
        parts.append(
            ClipRef(
                audio=montage.clip,
                content_sha256=montage.clip.content_sha256,
                query_from_s=asked_about[0],
            )
        )
        return parts, f"{span_text(asked_about)}: "
    for number, (hit, question, answer) in enumerate(examples, start=1):
        if shot_mode == "interleaved":
            parts += [clip_of(hit), *_exchange(question, answer)]
        else:
            found = f"Recording {number}, similarity {hit.similarity:.2f}"
            parts += _exchange(found, answer)
    return [*parts, query], ""


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
