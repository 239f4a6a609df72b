"""Listening: whether a language model's answers depend on what it hears, and on exemplars.

The same questions are asked once more with silence or another recording in the query's place, with
the exemplars' audio swapped for that of other labels, and with their labels swapped. What merely
asking again changes is noise. On models of every kind: where labels can be scored, by the largest
change of a label's score, else by whether the written answer is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from earful.errors import AudioError, EvaluationError, ModelError, PromptError
from earful.index import Index
from earful.model import GenerationOptions, LanguageModel, ShotMode, load_language_model
from earful.model.chat import ChecksHearing
from earful.plain import plain_fields
from earful.rag.evaluation.arms import asked_about, silent, with_changed_labels, with_other_audio
from earful.rag.evaluation.items import items_of_index
from earful.rag.few_shot import FewShot
from earful.rag.generation import takes_prototypes
from earful.rag.montage import choose_shot_mode
from earful.rag.retrieval import (
    AskOptions,
    Audio,
    Query,
    ShotSet,
    read_in_batches,
    to_recordings,
)
from earful.rag.task import Task, load_task
from earful.values import short_repr
from earful.wording import counted

Depends = Literal["yes", "barely", "no", "unknown"]
"""Whether answers depend on something; see ``Listening``."""

Progress = Callable[[int, int], None]

# Below this, a change of a label's score decides no answer but those on the brink.
_CLEAR = 0.05
_ROUNDING = 1e-6
_DIGITS = 6
_QUESTION = "What is this sound?"
_SHORT = GenerationOptions(max_new_tokens=48)

_QUERY: dict[Depends, str] = {
    "yes": "listens: its answers depend on the recording",
    "barely": "hardly listens: the recording moves its scores, and no answer",
    "no": "does not listen: its answers are the same without the recording",
}
_EXEMPLARS: dict[Depends, str] = {
    "yes": "it listens to the exemplars: its answers depend on their audio",
    "barely": "it hardly listens to the exemplars: their audio moves its scores, and no answer",
    "no": "it does not listen to the exemplars: with other audio its answers are the same",
    "unknown": "whether it listens to exemplars was not tried; give an index, and shots",
}
_LABELS: dict[Depends, str] = {
    "yes": "it reads what is said of them: its answers depend on their labels",
    "barely": "it hardly reads what is said of them: other labels move its scores, and no answer",
    "no": "it does not read what is said of them",
}

# What "yes" says where scores moved clearly and no answer changed.
_MOVED = "moves its scores clearly, and no answer here"
_QUERY_MOVED = f"listens: the recording {_MOVED}"
_EXEMPLARS_MOVED = f"it listens to the exemplars: their audio {_MOVED}"
_LABELS_MOVED = "it reads what is said of them: other labels move its scores clearly, and no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changed in a model's answers when something else was heard or shown.

    Attributes:
        n: Recordings that were asked about both ways.
        mean: Mean change, in [0, 1]: of a label's score, the largest of each recording; or, of
            written answers, whether it is another one.
        largest: Largest change.
        n_other_answers: Recordings with another answer.
    """

    n: int
    mean: float
    largest: float
    n_other_answers: int

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return plain_fields(self, digits=_DIGITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Whether a language model's answers depend on what it hears.

    Of each dependence: ``"yes"``, where answers change clearly; ``"barely"``, where scores move
    more than by asking again, but by less than a twentieth and to no other answer; ``"no"``, where
    they move no more than by asking again; ``"unknown"``, where it was not tried.

    Attributes:
        model: Name of the model.
        by: What was compared: ``"scores"`` of labels, or written ``"words"``.
        n_shots: Exemplars beside each recording, at most; 0 for none.
        repeated: Change by asking the same again.
        silence: Change with silence in the recording's place.
        other: Change with another recording in its place; ``None`` with one recording only.
        exemplar_audio: Change with the exemplars' audio swapped; ``None`` without exemplars.
        exemplar_labels: Change with their labels swapped; likewise.
        hears_query: Whether answers depend on the recording.
        hears_exemplars: Whether they depend on the exemplars' audio.
        reads_exemplars: Whether they depend on what is said of the exemplars.
        is_told: Whether retrieval tells the model similarities to the recording, which stay.
        faults: Recordings that could not be asked about, each with the reason.
    """

    model: str
    by: Literal["scores", "words"]
    n_shots: int
    repeated: Change
    silence: Change
    other: Change | None
    exemplar_audio: Change | None
    exemplar_labels: Change | None
    hears_query: Depends
    hears_exemplars: Depends
    reads_exemplars: Depends
    is_told: bool = False
    faults: tuple[str, ...] = ()

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return plain_fields(self)

    def _changes_answers(self, *changes: Change | None) -> bool:
        """Whether more answers changed than when the same was asked again."""
        floor = self.repeated.n_other_answers
        return any(one is not None and one.n_other_answers > floor for one in changes)

    def describe(self) -> str:
        """Return what was found in plain words, a line each."""
        query, audio = _QUERY[self.hears_query], _EXEMPLARS[self.hears_exemplars]
        if self.hears_query == "yes" and not self._changes_answers(self.silence, self.other):
            query = _QUERY_MOVED
        if self.hears_exemplars == "yes" and not self._changes_answers(self.exemplar_audio):
            audio = _EXEMPLARS_MOVED
        lines = [f"{self.model} {query}", audio]
        if self.reads_exemplars != "unknown":
            is_moved = self.reads_exemplars == "yes" and not self._changes_answers(
                self.exemplar_labels
            )
            lines.append(_LABELS_MOVED if is_moved else _LABELS[self.reads_exemplars])
        if self.is_told:
            lines.append(
                "mind: retrieval has heard the recording, too, and tells the model similarities, "
                "which stay when something else is heard"
            )
        for what, change in (
            ("silence in the recording's place", self.silence),
            ("another recording in its place", self.other),
            ("the exemplars' audio swapped", self.exemplar_audio),
            ("the exemplars' labels swapped", self.exemplar_labels),
            ("the same asked again", self.repeated),
        ):
            if change is not None:
                lines.append(f"{what}: {self._numbers(change)}")
        lines += [f"not asked about: {fault}" for fault in self.faults]
        return "\n".join(lines)

    def _numbers(self, change: Change) -> str:
        others = f"{change.n_other_answers} of {counted(change.n, 'answer')} changed"
        if self.by == "words":
            return others
        return (
            f"{others}; a label's score by up to {change.largest:.3f}, {change.mean:.3f} on average"
        )


def check_listening(
    model: LanguageModel | str | Path,
    *,
    index: Index | FewShot | str | Path | None = None,
    recordings: Sequence[Audio] = (),
    task: Task | str | Path | None = None,
    question: str = "",
    shots: int | None = None,
    shot_mode: ShotMode | None = None,
    limit: int = 16,
    seed: int = 0,
    progress: Progress | None = None,
) -> Listening:
    """Find out whether a language model's answers depend on the recording and on exemplars.

    Args:
        model: The language model, its name or its folder.
        index: Exemplars beside those of the task; without recordings, rows of it are asked about
            as if they were new.
        recordings: What to ask about.
        task: What to ask; ``None`` for the labels of the index or, without one, ``question``.
        question: What to ask without an index or a task.
        shots: Exemplars beside each recording; ``None`` for the task's number.
        shot_mode: How they are shown; ``None`` for the way that suits the model best.
        limit: Most rows of the index to ask about, the labels taking turns.
        seed: For what is swapped.
        progress: Called with how many recordings are done, of how many.

    Raises:
        EvaluationError: There is nothing to ask about, or nothing could be.
        ModelError: The model cannot be loaded or asked, or answers by labels only and there are
            none.
        TaskError: No row of the index answers the task.
    """
    if limit < 1:
        raise EvaluationError(f"limit={limit}: expected 1 or more")
    if isinstance(model, str | Path):
        model = load_language_model(model)
    if isinstance(model, ChecksHearing):
        model.check_hearing()
    asked = task if isinstance(task, Task) else None if task is None else load_task(task)
    few = _few_shot(model, index, asked)
    if asked is None:
        asked = Task(name="listening") if few.index is not None else None
    if asked is None and not model.capabilities.writes_captions:
        raise ModelError(
            f"{model.capabilities.name} answers by labels only, and there are none: give an index, "
            "or a task with labels"
        )
    queries, faults = _queries(few, model, recordings, asked, limit)
    return _Check(few, model, asked, question or _QUESTION, shots, shot_mode, seed).run(
        queries, faults, progress
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """An answer, with the scores of labels by which it is compared; empty for words alone."""

    text: str
    scores: dict[str, float]
    n_shots: int

    def change_to(self, other: _Found) -> float:
        if not self.scores:
            return float(self.text != other.text)
        labels = self.scores.keys() | other.scores.keys()
        return max(abs(self.scores.get(x, 0.0) - other.scores.get(x, 0.0)) for x in labels)


class _Check:
    """Questions asked in several ways."""

    def __init__(
        self,
        few: FewShot,
        model: LanguageModel,
        task: Task | None,
        question: str,
        shots: int | None,
        shot_mode: ShotMode | None,
        seed: int,
    ) -> None:
        self._few = few
        self._model = model
        self._task = task
        self._question = question
        self._ask = AskOptions(always_answer=True, free_text=True)
        if shots is not None:
            self._ask["shots"] = shots
        if shot_mode is not None:
            self._ask["shot_mode"] = shot_mode
        self._seed = seed
        self._has_exemplars = few.index is not None or bool(task and task.examples)
        self._by_scores = bool(task and task.has_labels) and model.capabilities.logprobs
        mode = choose_shot_mode(shot_mode, model.capabilities)
        self._tells_similarities = mode == "text" or (
            self._by_scores and takes_prototypes(model, few.retriever.embedder)
        )
        retriever = few.retriever
        self._other_audio = FewShot(retriever=retriever.with_change(self._swap_audio), model=model)
        self._other_labels = FewShot(
            retriever=retriever.with_change(self._swap_labels), model=model
        )

    def run(
        self, queries: Sequence[Query], faults: Sequence[str], progress: Progress | None
    ) -> Listening:
        changes: dict[str, list[tuple[float, bool]]] = {}
        failed = list(faults)
        n_shots = 0
        for number, query in enumerate(queries):
            # What is drawn for it does not depend on where its file lies.
            query = replace(query, id=str(number))
            others = [other for other in queries if other.name != query.name]
            # Neighbours in an index often have one label.
            middle = number + len(others) // 2
            other = others[middle % len(others)] if others else None
            try:
                first = self._answer(self._few, asked_about(query, query.reference))
                found = dict(self._answers(query, other, n_shots=first.n_shots))
            except (AudioError, PromptError) as error:
                failed.append(str(error))
            else:
                n_shots = max(n_shots, first.n_shots)
                for way, answer in found.items():
                    change = first.change_to(answer), first.text != answer.text
                    changes.setdefault(way, []).append(change)
            if progress is not None:
                progress(number + 1, len(queries))
        if not changes:
            raise EvaluationError(
                "none of the recordings could be asked about; the first: "
                + next(iter(failed), "there is none")
            )
        of = {way: _change(own) for way, own in changes.items()}
        again = of["repeated"]
        queried = [_depends(again, of.get(way), self._by_scores) for way in ("silence", "other")]
        return Listening(
            model=self._model.capabilities.name,
            by="scores" if self._by_scores else "words",
            n_shots=n_shots,
            repeated=again,
            silence=of["silence"],
            other=of.get("other"),
            exemplar_audio=of.get("audio"),
            exemplar_labels=of.get("labels"),
            hears_query=min(queried, key=("yes", "barely", "no", "unknown").index),
            hears_exemplars=_depends(again, of.get("audio"), self._by_scores),
            reads_exemplars=_depends(again, of.get("labels"), self._by_scores),
            is_told=n_shots > 0 and self._tells_similarities,
            faults=tuple(failed),
        )

    def _answers(self, query: Query, other: Query | None, *, n_shots: int) -> Any:
        """Yield each way to ask, with its answer."""
        own = asked_about(query, query.reference)
        yield "repeated", self._answer(self._few, own)
        yield "silence", self._answer(self._few, silent(query, self._model))
        if other is not None:
            yield "other", self._answer(self._few, asked_about(query, other.reference))
        if n_shots:
            yield "audio", self._answer(self._other_audio, own)
            yield "labels", self._answer(self._other_labels, own)

    def _answer(self, few: FewShot, query: Query) -> _Found:
        ask = AskOptions(**self._ask)
        if self._by_scores and self._task is not None:
            # The model's own scores, without the vote's share.
            ask["arm"] = "model" if self._has_exemplars else "zero-shot"
            answer = few.classify(query, task=self._task, **ask)
            scores = {score.label: score.score for score in answer.scores}
            return _Found(answer.text, scores, len(answer.evidence))
        if self._task is None:
            answer = few.ask(query, self._question, options=_SHORT, **ask)
        else:
            question = "" if self._task.has_labels else self._task.question or self._question
            answer = few.write(query, task=self._task, question=question, options=_SHORT, **ask)
        return _Found(answer.text, {}, len(answer.evidence))

    def _swap_audio(self, query: Query, found: ShotSet) -> ShotSet:
        if found.prepared is None:
            return found
        allowed = found.prepared.candidates.allowed(query.exclusions)
        return with_other_audio(found, allowed, self._random(query))

    def _swap_labels(self, query: Query, found: ShotSet) -> ShotSet:
        return with_changed_labels(found, self._random(query))

    def _random(self, query: Query) -> np.random.Generator:
        return np.random.default_rng([self._seed, int(query.id)])


def _few_shot(
    model: LanguageModel, index: Index | FewShot | str | Path | None, task: Task | None
) -> FewShot:
    if isinstance(index, FewShot):
        return FewShot(retriever=index.retriever, model=model)
    if index is not None:
        return FewShot.open(index, model=model)
    if task is not None and task.examples:
        return FewShot.from_task(task, model=model)
    return FewShot(model=model)


def _queries(
    few: FewShot,
    model: LanguageModel,
    recordings: Sequence[Audio],
    task: Task | None,
    limit: int,
) -> tuple[list[Query], list[str]]:
    """Read recordings, or take rows of the index, as queries; and say what could not be read."""
    if recordings:
        embedder = few.retriever.embedder
        read = list(
            read_in_batches(
                to_recordings(list(recordings), None),
                embedder,
                sample_rate=model.capabilities.sample_rate,
            )
        )
        queries = [query for query in read if isinstance(query, Query)]
        return queries, [str(fault) for fault in read if not isinstance(fault, Query)]
    if few.index is None or task is None:
        raise EvaluationError("nothing to ask about; give recordings or an index")
    items = items_of_index(task, few.index.vectors(), name=str(few.index.path))
    return [item.query for item in items.limited(limit, seed=0).items], []


def _change(own: Sequence[tuple[float, bool]]) -> Change:
    sizes = [size for size, _ in own]
    return Change(
        n=len(own),
        mean=float(np.mean(sizes)),
        largest=max(sizes),
        n_other_answers=sum(is_other for _, is_other in own),
    )


def _depends(again: Change, change: Change | None, by_scores: bool) -> Depends:
    """Return whether answers changed by more than asking again changes them."""
    if change is None:
        return "unknown"
    if change.n_other_answers > again.n_other_answers:
        return "yes"
    if not by_scores or change.largest <= 2 * again.largest + _ROUNDING:
        return "no"
    return "yes" if change.mean >= _CLEAR + again.mean else "barely"
