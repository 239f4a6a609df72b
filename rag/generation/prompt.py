"""Task, shots and query into a prompt; and into one that a language model can take.

Only the query's question carries the list of labels, as Audio Flamingo was trained. What
does not fit a model is left out by whole shots, the farthest first, and said.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from earful.errors import PromptError
from earful.index.search import Hit
from earful.model import ClipRef, LanguageModel, Prompt, PromptSize, Text
from earful.rag.task import Kind, ShotMode, Task

_log = logging.getLogger(__name__)

_QUESTIONS: dict[Kind, str] = {
    "classify": "Classify this sound.",
    "multilabel": "Use a few labels to describe this sound.",
    "caption": "Describe the sound in a sentence.",
}
_TASKS: dict[Kind, str] = {
    "classify": "The task is event classification.",
    "multilabel": "The task is tagging.",
    "ask": "The task is audio question answering.",
    "caption": "The task is audio captioning.",
}
_ASKING = "Please answer this question: "
_UNASKED = "What is this sound?"
_DIALOGUE = "The task is dialog."
YES_OR_NO = "\nOPTIONS:\nyes.\nno."
_NO_LABEL = "none"


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

    Raises:
        PromptError: There is no question: a task of kind ``ask`` without one.
    """
    asked = question or task.question or _QUESTIONS.get(task.kind, "")
    if not asked:
        raise PromptError(
            f"task {task.name!r} has no question; give one, or write it into the task"
        )
    parts = _opening(task, bool(shots), task.description or _TASKS[task.kind])
    for hit in shots:
        its_question = asked if task.has_labels else _question_of(task, hit, asked)
        if task.yes_no_options and is_yes_or_no(hit.exemplar.answer):
            its_question += YES_OR_NO
        solution = _solution(task, hit, labels)
        parts += _shot(hit, _worded(task, its_question), solution, shot_mode)
    options = _options(task, labels) if lists_labels else ""
    parts += [query, Text(kind="user", text=_worded(task, asked) + options)]
    return Prompt(parts=tuple(parts))


def build_yes_no_prompt(
    task: Task,
    shots: Sequence[Hit],
    query: ClipRef,
    label: str,
    *,
    shot_mode: ShotMode = "interleaved",
) -> Prompt:
    """Ask whether one label is in a recording; every shot answers the same question.

    Args:
        task: A task with labels.
        shots: Exemplars in the order to show them.
        query: The recording asked about.
        label: The label in question.
        shot_mode: As for ``build_prompt``.
    """
    asked = f"{_ASKING}is there {task.wording(label)} in this sound?{YES_OR_NO}"
    parts = _opening(task, bool(shots), _TASKS["ask"])
    for hit in shots:
        parts += _shot(hit, asked, "yes" if _has(task, hit, label) else "no", shot_mode)
    return Prompt(parts=(*parts, query, Text(kind="user", text=asked)))


def build_dialogue(
    query: ClipRef,
    turns: Sequence[Turn],
    *,
    shots: Sequence[Hit] = (),
    shot_mode: ShotMode = "interleaved",
) -> Prompt:
    """Put a dialogue about one recording, the last turn still without an answer.

    Args:
        query: The recording.
        turns: At least one.
        shots: Exemplars in the order to show them.
        shot_mode: As for ``build_prompt``.

    Raises:
        PromptError: The last question is empty.
    """
    if not turns[-1].user.strip():
        raise PromptError("the question is empty; want at least one character")
    task = Task(name="chat", kind="ask")
    parts = _opening(task, bool(shots), _DIALOGUE)
    for hit in shots:
        question = _worded(task, hit.exemplar.question or _UNASKED)
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
    limits = model.capabilities
    shown = list(hits)
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
    if len(shown) < len(hits):
        notes.insert(
            0,
            f"{len(shown)} of {len(hits)} shots are shown, the nearest; {limits.name} takes {why}",
        )
    _log.debug(
        "prompt %s of %d tokens with %d of %d shots",
        prompt.digest[:12],
        size.n_tokens,
        len(shown),
        len(hits),
        extra={"n_tokens": size.n_tokens, "n_shots": len(shown), "slots": size.slots},
    )
    return FittedPrompt(prompt=prompt, shown=tuple(shown), size=size, notes=tuple(notes))


def is_yes_or_no(answer: str) -> bool:
    """Say whether an answer, or each of several with commas between them, is yes or no.

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


def _opening(task: Task, has_shots: bool, description: str) -> list[Text | ClipRef]:
    how = "random" if task.shots.strategy == "random" else "similar"
    examples = f"Here are {how} examples. " if has_shots else ""
    return [Text(kind="system", text=examples + description)]


def _shot(hit: Hit, question: str, answer: str, shot_mode: ShotMode) -> list[Text | ClipRef]:
    words: list[Text | ClipRef] = [
        Text(kind="exemplar", text=question),
        Text(kind="exemplar", text=answer, is_answer=True),
    ]
    return [clip_of(hit), *words] if shot_mode == "interleaved" else words


def _question_of(task: Task, hit: Hit, asked: str) -> str:
    """Return what an exemplar answers: its own question, the task's, or what it is."""
    if hit.exemplar.question or task.question:
        return hit.exemplar.question or task.question
    # Labels answer what a sound is, not what somebody asks about another one.
    return _UNASKED if task.kind == "ask" else asked


def _worded(task: Task, question: str) -> str:
    return f"{_ASKING}{question}" if task.kind == "ask" else question


def _has(task: Task, hit: Hit, label: str) -> bool:
    names = {label, *(task.labels[label].aliases if label in task.labels else ())}
    return not names.isdisjoint(hit.exemplar.labels)


def _solution(task: Task, hit: Hit, labels: Sequence[str]) -> str:
    """Say an exemplar's labels as the task words them, or its answer."""
    if not task.has_labels:
        return hit.exemplar.answer
    return ", ".join(task.wording(x) for x in labels if _has(task, hit, x)) or _NO_LABEL


def _options(task: Task, labels: Sequence[str]) -> str:
    if not labels:
        return ""
    worded = sorted({task.wording(label) for label in labels})
    return "\nOPTIONS:" + "".join(f"\n - {wording}." for wording in worded)
