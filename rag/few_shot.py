"""``FewShot``: an index, an embedder, a language model and a task become answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self, Unpack

from earful.errors import AudioError, ModelError, PromptError, TaskError
from earful.index import Index
from earful.index.search import Hit, SearchFilter
from earful.model import (
    DEFAULT_EMBEDDER,
    DEFAULT_MODEL,
    Embedder,
    GenerationOptions,
    LabelNamer,
    LanguageModel,
    Prompt,
    load_embedder,
    load_language_model,
)
from earful.rag.answer import Answer
from earful.rag.answering import Answering, to_request
from earful.rag.asking import Asking
from earful.rag.generation import Chat, ModelRequest
from earful.rag.retrieval import AskOptions, Audio, LabelScoring, Query, Retriever
from earful.rag.task import ASK, CAPTION, Task, load_task

Named = str | os.PathLike[str]  # a registered name, or a folder

_log = logging.getLogger(__name__)


class FewShot:
    """Answers about recordings from the nearest labelled examples.

    With a language model, the examples become its prompt; without one they vote. What
    depends on the task only (its examples' vectors, its candidates, its calibration) is
    computed once and kept; a task given by name or path is read once::

        few = FewShot.open("sounds.index")
        answer = few.classify("street.wav", labels=["siren", "dog bark"])
        print(answer.text, f"{answer.confidence:.0%}")
        for hit in answer.evidence:
            print(hit.exemplar.id, f"{hit.similarity:.2f}")

    Args:
        embedder: Turns recordings into vectors; ``None`` for a language model alone.
        index: Exemplars.
        model: Language model that answers; ``None`` for the neighbour vote.
        retriever: Finds shots, in place of one made of ``embedder`` and ``index``.
    """

    def __init__(
        self,
        *,
        embedder: Embedder | None = None,
        index: Index | None = None,
        model: LanguageModel | None = None,
        retriever: Retriever | None = None,
    ) -> None:
        if retriever is None:
            if embedder is None and (model is None or index is not None):
                raise ValueError("without an embedder there is only a language model, and no index")
            retriever = Retriever(embedder=embedder, index=index)
        elif embedder is not None or index is not None:
            raise ValueError("a retriever brings its own embedder and index; give one of the two")
        self._answering = Answering(retriever, model)

    @classmethod
    def open(
        cls,
        index: str | os.PathLike[str] | Index,
        *,
        embedder: Named | Embedder | None = None,
        model: Named | LanguageModel | None = None,
        device: str = "auto",
    ) -> Self:
        """Open an index together with the embedder that made it.

        Args:
            index: Index folder, or one opened already.
            embedder: In place of the one that the index names, such as a folder that moved.
            model: A language model, its name or its folder; ``None`` for the vote.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

        Raises:
            IndexFolderError: The folder is missing, damaged, or made by another embedder.
            ModelError: The embedder or the model cannot be loaded.
        """
        opened = index if isinstance(index, Index) else Index.open(index)
        stored = opened.fingerprint
        n = opened.n_rows
        _log.info(
            "opened index %s: %d rows by %s in %s",
            opened.path,
            n,
            stored.name,
            stored.dtype,
            extra={"index": str(opened.path), "n_rows": n, "fingerprint": asdict(stored)},
        )
        if embedder is None or isinstance(embedder, str | os.PathLike):
            name = os.fspath(embedder or stored.name)
            # Another name has other revisions; whether its weights are the same is checked below.
            revision = stored.revision if name == stored.name else ""
            embedder = load_embedder(name, revision=revision, device=device, dtype=stored.dtype)
        return cls(embedder=embedder, index=opened, model=_load_model(model, device))

    @classmethod
    def from_task(
        cls,
        task: Task | str | Path,
        *,
        embedder: Named | Embedder = DEFAULT_EMBEDDER,
        model: Named | LanguageModel | None = None,
        device: str = "auto",
    ) -> Self:
        """Work without an index, from a task's own examples, or by the names of its labels.

        Raises:
            TaskError: The task brings no examples and the embedder knows no names, or it has
                mistakes.
            ModelError: The embedder or the model cannot be loaded.
        """
        loaded = task if isinstance(task, Task) else load_task(task)
        if isinstance(embedder, str | os.PathLike):
            embedder = load_embedder(embedder, device=device)
        if not (loaded.examples or (loaded.labels and isinstance(embedder, LabelNamer))):
            raise TaskError(
                f"task {loaded.name!r} brings no examples; add some to its file, or give an index"
            )
        return cls(embedder=embedder, model=_load_model(model, device))

    @property
    def model(self) -> LanguageModel | None:
        """The language model that answers; ``None`` for the neighbour vote."""
        return self._answering.model

    @model.setter
    def model(self, model: LanguageModel | None) -> None:
        self._answering = Answering(self.retriever, model)

    @property
    def retriever(self) -> Retriever:
        """The retriever that finds shots."""
        return self._answering.retriever

    @property
    def embedder(self) -> Embedder:
        """The embedder that turns recordings into vectors.

        Raises:
            ValueError: It was made of a language model alone.
        """
        if self.retriever.embedder is None:
            raise ValueError("there is no embedder: this FewShot is a language model alone")
        return self.retriever.embedder

    @property
    def index(self) -> Index | None:
        """The index it was opened with; ``None`` when it was made without one."""
        return self.retriever.index

    # --- answers ---------------------------------------------------------------------

    def classify(
        self,
        audio: Audio | Query,
        *,
        task: Task | str | Path | None = None,
        labels: Sequence[str] | None = None,
        scoring: LabelScoring = LabelScoring(),
        progress: Callable[[int, int], None] | None = None,
        **ask: Unpack[AskOptions],
    ) -> Answer:
        """Name the sound in a recording.

        Args:
            audio: A path, a clip, a file's bytes, ``(samples, rate)``, a query read before.
            task: A task, its file or its built-in name; ``None`` for plain classification
                among ``labels``.
            labels: Candidate labels; ``None`` for the task's, or without a task all of the
                index.
            scoring: How a language model's log-probabilities become scores.
            progress: Called with how many exemplars of how many a blend was fitted on so far.
            **ask: See ``AskOptions``.

        Raises:
            AudioError: The recording cannot be read.
            TaskError: The task has mistakes or is of kind ``ask`` or ``caption``, or neither
                an exemplar nor a name that the embedder knows speaks for a label.
            PromptError: Every exemplar is from the query's own recording or group, or the
                question does not fit the language model.
        """
        (answer,) = self.classify_batch(
            [audio], task=task, labels=labels, scoring=scoring, progress=progress, **ask
        )
        if not isinstance(answer, Answer):
            raise answer
        return answer

    def classify_batch(
        self,
        recordings: Sequence[Audio | Query],
        *,
        task: Task | str | Path | None = None,
        labels: Sequence[str] | None = None,
        scoring: LabelScoring = LabelScoring(),
        progress: Callable[[int, int], None] | None = None,
        **ask: Unpack[AskOptions],
    ) -> Iterator[Answer | AudioError | PromptError]:
        """Name the sound in each of several recordings, one answer after the other.

        They are decoded side by side, embedded in batches, and compared with all candidates in
        one product. The answers are those of ``classify`` but for the last bits of the vectors.
        An answer's ``timings`` hold its share of the time that was spent on several.

        Args:
            recordings: A list of what ``classify`` takes.
            task: As for ``classify``, like everything that follows.
            labels: Candidate labels.
            scoring: How log-probabilities become scores.
            progress: As for ``classify``.
            **ask: See ``AskOptions``.

        Yields:
            An answer for each recording in order, or the error that kept it from having one.

        Raises:
            TaskError: As for ``classify``.
        """
        chosen = self._answering.task(task, ask)
        if not chosen.has_labels:
            raise TaskError(
                f"task {chosen.name!r} is of kind {chosen.kind!r}, which takes a language model "
                "that writes: ask or caption; classify answers classify and multilabel"
            )
        return self._answering.classify(recordings, chosen, labels, scoring, ask, progress)

    def ask(
        self,
        audio: Audio | Query,
        question: str = "",
        *,
        task: Task | str | Path | None = None,
        options: GenerationOptions = GenerationOptions(),
        on_text: Callable[[str], None] | None = None,
        **ask: Unpack[AskOptions],
    ) -> Answer:
        """Ask about a recording: yes or no, or an answer in a language model's own words.

        A yes/no question gets the scores of both, by the exemplars' vote if it is about one of
        their labels ("Do you hear rain?"), else by the model; see ``asking.py`` for the others.

        Args:
            audio: As for ``classify``.
            question: What to ask; empty for the task's question.
            task: Of kind ``ask`` or ``caption``, its file or name; ``None`` for ``question`` alone.
            options: How the answer is written.
            on_text: Called with each new piece of the answer as it is written.
            **ask: See ``AskOptions``; the shots are exemplars that have an answer.

        Raises:
            AudioError: The recording cannot be read.
            ModelError: There is no language model.
            TaskError: It has mistakes, or labels.
            PromptError: There is no question, it does not fit, or no exemplar may answer.
        """
        model = self._require_model("ask")
        chosen = self._answering.task(task or ASK, ask)
        if chosen.has_labels:
            raise TaskError(
                f"task {chosen.name!r} is of kind {chosen.kind!r}, whose answers are labels; use "
                "classify, or a task of kind ask or caption"
            )
        return Asking(self._answering, model).ask(audio, chosen, question, options, ask, on_text)

    def write(
        self,
        audio: Audio | Query,
        *,
        task: Task | str | Path,
        question: str = "",
        options: GenerationOptions = GenerationOptions(),
        on_text: Callable[[str], None] | None = None,
        **ask: Unpack[AskOptions],
    ) -> Answer:
        """Ask a language model for text whatever a task's kind: ``ask``, for labels, too.

        Arguments and errors as for ``ask``. With labels the text is not matched to any.
        """
        model = self._require_model("write")
        chosen = self._answering.task(task, ask)
        return self._answering.write(model, audio, chosen, question, options, ask, on_text)

    def caption(
        self,
        audio: Audio | Query,
        *,
        task: Task | str | Path | None = None,
        options: GenerationOptions = GenerationOptions(),
        on_text: Callable[[str], None] | None = None,
        **ask: Unpack[AskOptions],
    ) -> Answer:
        """Describe a recording in a sentence; arguments and errors as for ``ask``."""
        return self.ask(audio, task=task or CAPTION, options=options, on_text=on_text, **ask)

    def chat(
        self,
        audio: Audio | Query,
        *,
        options: GenerationOptions = GenerationOptions(),
        **ask: Unpack[AskOptions],
    ) -> Chat:
        """Begin a conversation about a recording; arguments and errors as for ``ask``.

        There are no shots unless asked for: Audio Flamingo was trained without.
        """
        model = self._require_model("chat")
        ask.setdefault("shots", 0)
        chosen = self._answering.task(ASK, ask)
        found = self._answering.retrieve_one(audio, chosen, None, ask)
        return Chat(
            model=model,
            query=found.query,
            hits=found.shots.hits,
            order=chosen.shots.order,
            shot_mode=ask.get("shot_mode", "interleaved"),
            options=options,
            seed=ask.get("seed", 0),
            notes=(*found.query.notes, *self._answering.notes(found.shots)),
        )

    def request(
        self,
        audio: Audio | Query,
        *,
        task: Task | str | Path | None = None,
        question: str = "",
        labels: Sequence[str] | None = None,
        **ask: Unpack[AskOptions],
    ) -> ModelRequest:
        """Gather a question about a recording with its shots, and ask nobody yet.

        Args:
            audio: A file, a clip, or a query that was read before.
            task: Of any kind.
            question: Asked instead of the task's question.
            labels: As for ``classify``.
            **ask: See ``AskOptions``.

        Raises:
            AudioError: The recording cannot be read.
            TaskError: The task has mistakes, or no exemplar answers it.
            PromptError: Every exemplar is from the query's own recording or group.
        """
        chosen = self._answering.task(task, ask)
        found = self._answering.retrieve_one(audio, chosen, labels, ask)
        return to_request(found, ask, question=question)

    def prompt_for(
        self,
        audio: Audio | Query,
        *,
        task: Task | str | Path | None = None,
        question: str = "",
        labels: Sequence[str] | None = None,
        **ask: Unpack[AskOptions],
    ) -> Prompt:
        """Build the prompt about a recording; arguments and errors as for ``request``.

        With a language model it is one that fits; without a question it is an error.
        """
        request = self.request(audio, task=task, question=question, labels=labels, **ask)
        if self.model is not None:
            return request.fit(self.model).prompt
        return request.build(request.hits)

    def search(
        self,
        audio: Audio | Query | None = None,
        *,
        text: str | None = None,
        k: int = 10,
        filter: SearchFilter = SearchFilter(),
        backend: str = "exact",
    ) -> list[Hit]:
        """Find the exemplars of the index nearest to a recording or a sentence.

        Args:
            audio: As for ``classify``; or give ``text``.
            text: A sentence, for an embedder that has text; see ``Hit.similarity``.
            k: How many hits at most.
            filter: Which rows may be found.
            backend: ``"exact"``, ``"faiss"``, ``"half"`` or ``"approximate"``; see
                ``Index.search``.

        Raises:
            AudioError: The recording cannot be read.
            PromptError: The embedder knows nothing of the text.
            ModelError: The embedder has no text, or there is no such backend.
            FilterError: ``filter.where`` cannot be evaluated.
        """
        return self.retriever.search(audio, text=text, k=k, filter=filter, backend=backend)

    # --- the way to an answer ----------------------------------------------------------

    def _require_model(self, what: str) -> LanguageModel:
        if self.model is None:
            raise ModelError(
                f"{what} takes a language model, and there is none; give one with model=, such as "
                "a folder made by `earful models pull` or `earful models convert`"
            )
        return self.model


def default_model(task: Task | None) -> str | None:
    """Return the language model for whoever names none: ``None`` where a task wants the vote."""
    return None if task is not None and task.arm == "vote" else DEFAULT_MODEL


def _load_model(model: Named | LanguageModel | None, device: str) -> LanguageModel | None:
    if isinstance(model, str | os.PathLike):
        return load_language_model(model, device=device)
    return model
