"""The interleaved prompt: exemplars with their audio and answers, then the question.

It is kept apart from any model's syntax: parts are plain text, marked by whose they are,
and references to audio. A model's adapter puts its own tokens between them, so text out
of a corpus can never become one.
"""

from __future__ import annotations

from collections.abc import Sequence

from earful.errors import PromptError
from earful.index.search import Hit
from earful.model.prompt import ClipRef, Prompt, Text
from earful.rag.task import Task

_QUESTIONS = {
    "classify": "Classify this sound.",
    "multilabel": "Use a few labels to describe this sound.",
    "caption": "Describe the sound in a sentence.",
}
_NO_LABEL = "none"


def build_prompt(
    task: Task,
    shots: Sequence[Hit],
    query: ClipRef,
    *,
    labels: Sequence[str] = (),
    question: str = "",
) -> Prompt:
    """Interleave shots and query.

    Only the query's question carries the list of labels, as Audio Flamingo was trained.

    Args:
        task: What is asked.
        shots: Exemplars in the order to show them.
        query: The recording asked about.
        labels: Candidates; empty for a task without labels.
        question: Asked about the query instead of the task's.

    Raises:
        PromptError: There is no question: a task of kind ``ask`` without one.
    """
    asked = question or task.question or _QUESTIONS.get(task.kind, "")
    if not asked:
        raise PromptError(
            f"task {task.name!r} has no question; give one, or write it into the task"
        )
    parts: list[Text | ClipRef] = []
    if opening := _opening(task, bool(shots)):
        parts.append(Text(kind="system", text=opening))
    for hit in shots:
        its_question = asked if task.has_labels else hit.exemplar.question or task.question or asked
        parts += [
            clip_of(hit),
            Text(kind="exemplar", text=its_question),
            Text(kind="exemplar", text=_solution(task, hit, labels), is_answer=True),
        ]
    parts += [query, Text(kind="user", text=asked + _options(task, labels))]
    return Prompt(parts=tuple(parts))


def clip_of(hit: Hit) -> ClipRef:
    """Refer to an exemplar's audio."""
    return ClipRef(
        audio=hit.path,
        start_s=hit.exemplar.start_s,
        end_s=hit.exemplar.end_s,
        content_sha256=hit.content_sha256,
        is_exemplar=True,
    )


def _opening(task: Task, has_shots: bool) -> str:
    how = "random" if task.shots.strategy == "random" else "similar"
    sentences = [f"Here are {how} examples."] if has_shots else []
    if task.description:
        sentences.append(task.description)
    return " ".join(sentences)


def _solution(task: Task, hit: Hit, labels: Sequence[str]) -> str:
    """Say an exemplar's labels as the task words them, or its answer."""
    if not task.has_labels:
        return hit.exemplar.answer
    own = set(hit.exemplar.labels)
    worded = [
        task.wording(label)
        for label in labels
        if label in own
        or own.intersection(task.labels[label].aliases if label in task.labels else ())
    ]
    return ", ".join(worded) or _NO_LABEL


def _options(task: Task, labels: Sequence[str]) -> str:
    if not labels:
        return ""
    worded = sorted({task.wording(label) for label in labels})
    return "\nOPTIONS:" + "".join(f"\n - {wording}." for wording in worded)
