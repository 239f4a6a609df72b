"""``FewShot``: an index, an embedder, a language model and a task become answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Self, Unpack

from earful.errors import ModelError, TaskError
from earful.index import Index
from earful.index.cache import FeatureCacheFolder
from earful.index.search import Hit, SearchFilter
from earful.model import (
    DEFAULT_EMBEDDER,
    Embedder,
    GenerationOptions,
    KeepsFeatures,
    LanguageModel,
    Prompt,
    load_embedder,
    load_language_model,
)
from earful.rag.answer import Answer, log_answer, predicted_label, rank_labels
from earful.rag.generation import Chat, Inquiry, Judge, generation_notes, tell, write_answer
from earful.rag.retrieval import Audio, Choices, LabelScoring, Query, Retriever, ShotSet, Stopwatch
from earful.rag.task import Task, load_task

_log = logging.getLogger(__name__)

MODEL_NAME = "neighbour-vote"

_ASK = Task(name="ask", kind="ask")
_CAPTION = Task(name="caption", kind="caption")


class FewShot:
    """Answers about recordings from the nearest solved examples.

    With a language model, the examples become its prompt; without one they vote. What
    depends on the task only (its examples' vectors, its pool, its calibration) is worked
    out once and kept; a task given by name or path is read once.

    Attributes:
        model: What answers; ``None`` for the neighbour vote.
    """

    def __init__(
        self,
        *,
        embedder: Embedder | None = None,
        index: Index | None = None,
        model: LanguageModel | None = None,
    ) -> None:
        if embedder is None and (model is None or index is not None):
            raise ValueError("without an embedder there is only a language model, and no index")
        self._retriever = Retriever(embedder=embedder, index=index)
        self._judge = Judge(self._retriever)
        self.model = model
        self._features: FeatureCacheFolder | None = None
        if index is not None and isinstance(model, KeepsFeatures):
            self._features = FeatureCacheFolder(index.path)
            model.keep_features(self._features)

    @classmethod
    def open(
        cls,
        index: str | os.PathLike[str] | Index,
        *,
        embedder: str | Embedder | None = None,
        model: str | LanguageModel | None = None,
        device: str = "auto",
    ) -> Self:
        """Open an index together with the embedder that made it.

        Args:
            index: Index folder, or one opened already.
            embedder: Name or embedder to use instead of the one the index names; for
                example a folder that has moved.
            model: A language model, its name or its folder; ``None`` for the vote.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

        Raises:
            IndexFolderError: The folder is missing, damaged, or made by another embedder.
            ModelError: The embedder or the model cannot be loaded.
        """
        opened = index if isinstance(index, Index) else Index.open(index)
        info = opened.info
        stored = info.fingerprint
        _log.info(
            "opened index %s: %d rows by %s in %s",
            opened.path,
            info.n,
            stored.name,
            stored.dtype,
            extra={"index": str(opened.path), "n_rows": info.n, "fingerprint": asdict(stored)},
        )
        if embedder is None or isinstance(embedder, str):
            name = embedder or stored.name
            # Another name has other revisions; whether its weights are the same is checked below.
            revision = stored.revision if name == stored.name else ""
            embedder = load_embedder(name, revision=revision, device=device, dtype=stored.dtype)
        return cls(embedder=embedder, index=opened, model=_model(model, device))

    @classmethod
    def from_task(
        cls,
        task: Task | str | Path,
        *,
        embedder: str | Embedder = DEFAULT_EMBEDDER,
        model: str | LanguageModel | None = None,
        device: str = "auto",
    ) -> Self:
        """Work without an index, from a task's own examples.

        Raises:
            TaskError: The task brings no examples, or has mistakes.
            ModelError: The embedder or the model cannot be loaded.
        """
        loaded = task if isinstance(task, Task) else load_task(task)
        if not loaded.examples:
            raise TaskError(
                f"task {loaded.name!r} brings no examples; add some to its file, or give an index"
            )
        if isinstance(embedder, str):
            embedder = load_embedder(embedder, device=device)
        return cls(embedder=embedder, model=_model(model, device))

    @property
    def embedder(self) -> Embedder:
        """What turns recordings into vectors.

        Raises:
            ValueError: It was made of a language model alone.
        """
        if self._retriever.embedder is None:
            raise ValueError("there is no embedder: this FewShot is a language model alone")
        return self._retriever.embedder

    @property
    def index(self) -> Index:
        """The index it was opened with.

        Raises:
            ValueError: It was made without one.
        """
        if self._retriever.index is None:
            raise ValueError("there is no index: this FewShot was made without one")
        return self._retriever.index

    @property
    def index_or_none(self) -> Index | None:
        """The index it was opened with; ``None`` when it was made without one."""
        return self._retriever.index

    # --- answers ---------------------------------------------------------------------

    def classify(
        self,
        audio: Audio,
        *,
        task: Task | str | Path | None = None,
        labels: Sequence[str] | None = None,
        scoring: LabelScoring = LabelScoring(),
        progress: Callable[[int, int], None] | None = None,
        **choices: Unpack[Choices],
    ) -> Answer:
        """Name the sound in a recording.

        Args:
            audio: A file or a clip.
            task: A task, its file or its built-in name; ``None`` for plain classification
                among ``labels``.
            labels: Candidates; ``None`` for the task's, or without a task all of the index.
            scoring: How a language model's log-probabilities become scores.
            progress: Called with how many exemplars are replayed, of how many, while a
                blend is fitted; see ``Choices``.
            **choices: See ``Choices``.

        Raises:
            AudioError: The recording cannot be read.
            TaskError: The task has mistakes or is of kind ``ask`` or ``caption``, or a
                label has no exemplar to vote for it.
            PromptError: Every exemplar is from the query's own recording or group, or the
                question does not fit the language model.
        """
        watch = Stopwatch()
        chosen = self._task(task, choices)
        if not chosen.has_labels:
            raise TaskError(
                f"task {chosen.name!r} is of kind {chosen.kind!r}, which takes a language model "
                "that writes: ask or caption; classify answers classify and multilabel"
            )
        blend = choices.get("blend")
        given = blend is not None or scoring.vote_weight is not None
        votes_alone = self.model is None or (chosen.arm == "vote" and not given)
        if chosen.arm == "zero-shot" and not votes_alone and choices.get("shots") is None:
            choices["shots"] = 0
        query, found = self._gather(
            audio, chosen, labels, choices, watch, need_exemplars=votes_alone
        )
        if self.model is None or votes_alone:
            return log_answer(self._voted(query, found, choices, watch))
        judged = self._judge.judge(
            self.model,
            _inquiry(query, found, choices),
            found,
            scoring,
            blend=chosen.arm == "blend" if blend is None else blend,
            watch=watch,
            progress=progress,
        )
        notes = self._notes(found)
        return log_answer(judged.answer(self.model, query, found, watch, notes=notes))

    def ask(
        self,
        audio: Audio,
        question: str = "",
        *,
        task: Task | str | Path | None = None,
        options: GenerationOptions = GenerationOptions(),
        on_text: Callable[[str], None] | None = None,
        **choices: Unpack[Choices],
    ) -> Answer:
        """Let a language model answer a question about a recording in its own words.

        Args:
            audio: A file or a clip.
            question: What to ask; empty for the task's question.
            task: A task of kind ``ask`` or ``caption``, its file or its built-in name;
                ``None`` to ask only ``question``.
            options: How the answer is written.
            on_text: Called with each new piece of the answer as it is written.
            **choices: See ``Choices``; the shots are exemplars that have an answer.

        Raises:
            AudioError: The recording cannot be read.
            ModelError: There is no language model.
            TaskError: The task has mistakes or has labels.
            PromptError: There is no question, it does not fit the model, or every exemplar
                is from the query's own recording or group.
        """
        model = self._require_model("ask")
        watch = Stopwatch()
        chosen = self._task(task or _ASK, choices)
        if chosen.has_labels:
            raise TaskError(
                f"task {chosen.name!r} is of kind {chosen.kind!r}, whose answers are labels; use "
                "classify, or a task of kind ask or caption"
            )
        query, found = self._gather(audio, chosen, None, choices, watch)
        with watch.stage("generate_s"):
            inquiry = _inquiry(query, found, choices, question=question)
            generation, fitted = write_answer(model, inquiry, options, on_text)
        notes = (*self._notes(found), *generation_notes(generation))
        return log_answer(
            tell(model, query, generation.text, generation.confidence, fitted, watch, notes=notes)
        )

    def caption(
        self,
        audio: Audio,
        *,
        options: GenerationOptions = GenerationOptions(),
        on_text: Callable[[str], None] | None = None,
        **choices: Unpack[Choices],
    ) -> Answer:
        """Let a language model describe a recording; arguments and errors as for ``ask``."""
        return self.ask(audio, task=_CAPTION, options=options, on_text=on_text, **choices)

    def chat(
        self,
        audio: Audio,
        *,
        options: GenerationOptions = GenerationOptions(),
        **choices: Unpack[Choices],
    ) -> Chat:
        """Begin a conversation about a recording; arguments and errors as for ``ask``.

        There are no shots unless asked for: Audio Flamingo's dialogues were trained
        without.
        """
        model = self._require_model("chat")
        choices.setdefault("shots", 0)
        chosen = self._task(_ASK, choices)
        query, found = self._gather(audio, chosen, None, choices, Stopwatch())
        return Chat(
            model=model,
            query=query,
            hits=found.hits,
            order=chosen.shots.order,
            shot_mode=choices.get("shot_mode", "interleaved"),
            options=options,
            seed=choices.get("seed", 0),
            notes=self._notes(found),
        )

    def inquiry(
        self,
        audio: Audio,
        *,
        task: Task | str | Path | None = None,
        question: str = "",
        labels: Sequence[str] | None = None,
        **choices: Unpack[Choices],
    ) -> Inquiry:
        """Put a question about a recording together with its shots, and ask nobody yet.

        Args:
            audio: A file or a clip.
            task: Of any kind.
            question: Asked instead of the task's question.
            labels: As for ``classify``.
            **choices: See ``Choices``.

        Raises:
            AudioError: The recording cannot be read.
            TaskError: The task has mistakes, or no exemplar answers it.
            PromptError: Every exemplar is from the query's own recording or group.
        """
        chosen = self._task(task, choices)
        query, found = self._gather(audio, chosen, labels, choices, Stopwatch())
        return _inquiry(query, found, choices, question=question)

    def prompt_for(
        self,
        audio: Audio,
        *,
        task: Task | str | Path | None = None,
        question: str = "",
        labels: Sequence[str] | None = None,
        **choices: Unpack[Choices],
    ) -> Prompt:
        """Build the prompt about a recording; arguments and errors as for ``inquiry``.

        With a language model it is one that fits; without a question it is an error.
        """
        inquiry = self.inquiry(audio, task=task, question=question, labels=labels, **choices)
        if self.model is not None:
            return inquiry.fit(self.model).prompt
        return inquiry.build(inquiry.hits)

    def search(
        self,
        audio: Audio | None = None,
        *,
        text: str | None = None,
        k: int = 10,
        filter: SearchFilter = SearchFilter(),
        backend: str = "exact",
    ) -> list[Hit]:
        """Find the exemplars of the index nearest to a recording or a sentence.

        Args:
            audio: A file or a clip; or give ``text``.
            text: A sentence, for an embedder that has text.
            k: How many hits at most.
            filter: Which rows may be found.
            backend: ``"exact"``, ``"faiss"``, ``"half"`` or ``"approximate"``; see
                ``Index.search``.

        Raises:
            AudioError: The recording cannot be read.
            ModelError: The embedder has no text, or there is no such backend.
            FilterError: ``filter.where`` cannot be evaluated.
        """
        return self._retriever.search(audio, text=text, k=k, filter=filter, backend=backend)

    # --- the way to an answer ----------------------------------------------------------

    def _require_model(self, what: str) -> LanguageModel:
        if self.model is None:
            raise ModelError(
                f"{what} takes a language model, and there is none; give one with model=, such as "
                "a folder made by `earful models pull` or `earful models convert`"
            )
        return self.model

    def _task(self, task: Task | str | Path | None, choices: Choices) -> Task:
        if unknown := sorted(choices.keys() - Choices.__annotations__.keys()):
            raise TypeError(
                f"unexpected {', '.join(unknown)}; a question may choose "
                f"{', '.join(Choices.__annotations__)}"
            )
        most = None
        if self.model is not None and choices.get("shot_mode", "interleaved") == "interleaved":
            most = max(self.model.capabilities.max_audios - 1, 1)
        return self._retriever.task(
            task, shots=choices.get("shots"), strategy=choices.get("strategy"), most=most
        )

    def _gather(
        self,
        audio: Audio,
        task: Task,
        labels: Sequence[str] | None,
        choices: Choices,
        watch: Stopwatch,
        *,
        need_exemplars: bool = False,
    ) -> tuple[Query, ShotSet]:
        """Read the recording and find its shots."""
        query = self._retriever.read(
            audio,
            choices.get("start_s", 0.0),
            choices.get("end_s"),
            choices.get("group", ""),
            watch,
        )
        with watch.stage("retrieve_s"):
            found = self._retriever.find(
                task,
                query,
                labels,
                shots=choices.get("shots"),
                need_exemplars=need_exemplars or self.model is None,
                seed=choices.get("seed", 0),
            )
        return query, found

    def _voted(self, query: Query, found: ShotSet, choices: Choices, watch: Stopwatch) -> Answer:
        """Answer by the neighbour vote alone."""
        with watch.stage("score_s"):
            scores, note = self._retriever.vote(found, seed=choices.get("seed", 0))
        inquiry = _inquiry(query, found, choices)
        prompt = inquiry.build(inquiry.hits)
        ranked = rank_labels(found.labels, scores)
        text, confidence = predicted_label(found.task, ranked)
        return Answer(
            audio=query.name,
            text=text,
            confidence=confidence,
            abstained=confidence < found.task.abstain_below,
            scores=ranked,
            evidence=found.hits,
            model=MODEL_NAME,
            timings=MappingProxyType(watch.spent_s),
            prompt_digest=prompt.digest,
            notes=(*found.notes, note) if note else found.notes,
            prompt=prompt,
        )

    def _notes(self, found: ShotSet) -> tuple[str, ...]:
        fault = self._features.fault if self._features is not None else ""
        return (*found.notes, fault) if fault else found.notes


def _model(model: str | LanguageModel | None, device: str) -> LanguageModel | None:
    return load_language_model(model, device=device) if isinstance(model, str) else model


def _inquiry(query: Query, found: ShotSet, choices: Choices, *, question: str = "") -> Inquiry:
    return Inquiry(
        task=found.task,
        hits=found.hits,
        query=query.reference,
        labels=found.labels,
        question=question,
        shot_mode=choices.get("shot_mode", "interleaved"),
        seed=choices.get("seed", 0),
    )
