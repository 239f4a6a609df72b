"""The interleaved prompt: exemplars with their audio and answers, then the question.

It is kept apart from any model's syntax: parts are plain text, marked by whose they are,
and references to audio. A model's adapter puts its own tokens between them, so text out
of a corpus can never become one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from earful.errors import PromptError
from earful.index.search import Hit
from earful.model.audio import Clip
from earful.rag.task import Task

Speaker = Literal["system", "exemplar", "user"]

_QUESTIONS = {
    "classify": "Classify this sound.",
    "multilabel": "Use a few labels to describe this sound.",
    "caption": "Describe the sound in a sentence.",
}
_NO_LABEL = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A stretch of text.

    Attributes:
        kind: Whose words: the ``system``'s, an ``exemplar``'s or the ``user``'s.
        text: The words; data, never control tokens.
        is_answer: Whether an exemplar's words are its answer rather than its question.
    """

    kind: Speaker
    text: str
    is_answer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRef:
    """A place for audio: decoded, or where to find it.

    Attributes:
        audio: File to read, or audio at hand.
        start_s: Where the stretch begins in a file, in seconds.
        end_s: Where it ends (exclusive), in seconds; ``None`` for the end of the file.
        content_sha256: Digest of the decoded stretch; empty when unknown.
    """

    audio: Path | Clip
    start_s: float = 0.0
    end_s: float | None = None
    content_sha256: str = ""

    @classmethod
    def of_hit(cls, hit: Hit) -> ClipRef:
        """Refer to an exemplar's audio."""
        return cls(
            audio=hit.path,
            start_s=hit.exemplar.start_s,
            end_s=hit.exemplar.end_s,
            content_sha256=hit.content_sha256,
        )

    def __str__(self) -> str:
        name = (self.audio.source or "clip") if isinstance(self.audio, Clip) else str(self.audio)
        if not self.start_s and self.end_s is None:
            return name
        end = "end" if self.end_s is None else f"{self.end_s:g}"
        return f"{name} [{self.start_s:g}-{end} s]"


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a language model is given, in order.

    Attributes:
        parts: Text and places for audio; every exemplar is a clip, a question and an
            answer, and the query's clip and question come last.
    """

    parts: tuple[Text | ClipRef, ...]

    @property
    def n_clips(self) -> int:
        """How many places for audio there are, the query's among them."""
        return sum(isinstance(part, ClipRef) for part in self.parts)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over words, marks and audio content.

        Audio of known content counts by its digest, so that a corpus in another folder
        gives equal prompts.
        """
        plain = [
            [part.kind, part.is_answer, part.text]
            if isinstance(part, Text)
            else ["audio", part.content_sha256 or str(part)]
            for part in self.parts
        ]
        encoded = json.dumps(plain, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(encoded.encode("ascii")).hexdigest()

    def render(self) -> str:
        """Return the prompt as a person reads it, a part at a time.

        Further lines of a part are indented, so that no text can pass for a part.
        """
        lines: list[str] = []
        n_clips = 0
        for part in self.parts:
            if isinstance(part, ClipRef):
                n_clips += 1
                lines.append(_part(f"audio {n_clips}", str(part)))
            else:
                lines.append(_part("answer" if part.is_answer else part.kind, part.text))
        return "\n".join(lines)


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
            ClipRef.of_hit(hit),
            Text(kind="exemplar", text=its_question),
            Text(kind="exemplar", text=_solution(task, hit, labels), is_answer=True),
        ]
    parts += [query, Text(kind="user", text=asked + _options(task, labels))]
    return Prompt(parts=tuple(parts))


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


def _part(title: str, text: str) -> str:
    first, *others = text.splitlines() or [""]
    return "\n".join([f"[{title}] {first}", *(f"    {line}" for line in others)])
