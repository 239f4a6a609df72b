"""``FewShot``: an index, an embedder, a language model and a task become answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar, Unpack, overload

from earful.errors import AudioError, PromptError, TaskError
from earful.index.search import Hits, SearchFilter
from earful.model import DEFAULT_MODEL, GenerationOptions, Prompt
from earful.rag.answer import Answer
from earful.rag.answering import ClassifyOptions, to_request
from earful.rag.asking import Asking, QuestionOptions
from earful.rag.generation import Chat, ModelRequest, describe_exemplars, takes_prototypes
from earful.rag.parts import Parts
from earful.rag.retrieval import (
    AskOptions,
    Audio,
    Calibration,
    LabelScoring,
    Query,
    SearchOptions,
    check_search,
    spells_options,
    to_one_or_several,
)
from earful.rag.task import ASK, CAPTION, Task

Given = TypeVar("Given", bound=Audio | Query)
Result = TypeVar("Result")


class FewShot(Parts):
    """Answers about recordings from the nearest labelled examples.

    With a language model, the examples become its prompt; without one they vote. What
    depends on the task only (its examples' vectors, its candidates, its calibration) is
    computed once and kept; a task given by name or path is read once.

    >>> import earful
    >>> few = earful.FewShot.open("sounds.index")
    >>> few.classify("street.wav").text
    'siren'
    >>> few.classify("street.wav", labels=["dog", "rain"]).scores[1].label
    'dog'
    >>> [answer.text for answer in few.classify(["street.wav", "sounds/dog/2.wav"])]
    ['siren', 'dog']
    >>> few.classify("street.wav", task="urban.toml", shots=2).evidence
    (Hit(id='siren/4.wav', answer='siren', ...), Hit(...))
    >>> few.search("street.wav", k=2)
    Hits(2: 'siren' 1.00, 'siren' 1.00)

    Args:
        embedder: Turns recordings into vectors; ``None`` for a language model alone.
        index: Exemplars.
        model: Language model that answers; ``None`` for the neighbour vote.
        retriever: Finds shots, in place of one made of ``embedder`` and ``index``.
    """

    # --- answers ---------------------------------------------------------------------

    @overload
    def classify(
        self, audio: list[Given], **ask: Unpack[ClassifyOptions]
    ) -> list[Answer | AudioError | PromptError]: ...
    @overload
    def classify(self, audio: Audio | Query, **ask: Unpack[ClassifyOptions]) -> Answer: ...
    @spells_options
    def classify(
        self,
        audio: Audio | Query | list[Given],
        *,
        task: Task | str | Path | None = None,
        labels: Sequence[str] | None = None,
        scoring: LabelScoring = LabelScoring(),
        progress: Callable[[int, int], None] | None = None,
        **ask: Unpack[AskOptions],
    ) -> Answer | list[Answer | AudioError | PromptError]:
        """Name the sound in a recording, or in each of a list of them.

        Args:
            audio: A path, a clip, a file's bytes, ``(samples, rate)``, samples with
                ``sample_rate=``, or a query read before; or a list of them, whose answers are a
                list in the same order, as ``classify_batch`` gives them.
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
        recordings, several = to_one_or_several(audio, ask.pop("sample_rate", None))
        answers = self.classify_batch(
            recordings, task=task, labels=labels, scoring=scoring, progress=progress, **ask
        )
        return _one_or_all(answers, several)

    def prepare(
        self,
        *,
        task: Task | str | Path | None = None,
        labels: Sequence[str] | None = None,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Calibration:
        """Fit now what the first answer to a task would fit, and keep it with the index.

        What the language model shows of labels is heard, too, where it takes prototypes.

        Args:
            task: As for ``classify``.
            labels: Candidate labels.
            seed: For random choices.
            progress: Called with how many exemplars of how many the model has heard.

        Returns:
            The calibration, with the number of exemplars it was fitted on.

        Raises:
            TaskError: As for ``classify``.
        """
        chosen = self.retriever.task(task, shots=None, strategy=None)
        fitted = self.retriever.calibrate(chosen, labels, seed=seed)
        if chosen.kind == "classify" and takes_prototypes(self.model, self.retriever.embedder):
            candidates = self.retriever.prepare(chosen, labels).candidates
            describe_exemplars(self._require_model("prepare"), candidates, progress)
        return fitted

    @spells_options
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

    @overload
    def ask(
        self, audio: list[Given], question: str = "", **ask: Unpack[QuestionOptions]
    ) -> list[Answer | AudioError | PromptError]: ...
    @overload
    def ask(
        self, audio: Audio | Query, question: str = "", **ask: Unpack[QuestionOptions]
    ) -> Answer: ...
    @spells_options
    def ask(
        self,
        audio: Audio | Query | list[Given],
        question: str = "",
        *,
        task: Task | str | Path | None = None,
        options: GenerationOptions = GenerationOptions(),
        on_text: Callable[[str], None] | None = None,
        **ask: Unpack[AskOptions],
    ) -> Answer | list[Answer | AudioError | PromptError]:
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
        recordings, several = to_one_or_several(audio, ask.pop("sample_rate", None))
        asking = Asking(self._answering, model)
        answers = asking.ask_each(recordings, chosen, question, options, ask, on_text)
        return _one_or_all(answers, several)

    @spells_options
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

    @overload
    def caption(
        self, audio: list[Given], **ask: Unpack[QuestionOptions]
    ) -> list[Answer | AudioError | PromptError]: ...
    @overload
    def caption(self, audio: Audio | Query, **ask: Unpack[QuestionOptions]) -> Answer: ...
    @spells_options
    def caption(
        self,
        audio: Audio | Query | list[Given],
        *,
        task: Task | str | Path | None = None,
        options: GenerationOptions = GenerationOptions(),
        on_text: Callable[[str], None] | None = None,
        **ask: Unpack[AskOptions],
    ) -> Answer | list[Answer | AudioError | PromptError]:
        """Describe a recording in a sentence; arguments and errors as for ``ask``."""
        return self.ask(audio, task=task or CAPTION, options=options, on_text=on_text, **ask)

    @spells_options
    def chat(
        self,
        audio: Audio | Query,
        *,
        options: GenerationOptions = GenerationOptions(),
        **ask: Unpack[AskOptions],
    ) -> Chat:
        """Begin a conversation about a recording; arguments and errors as for ``ask``.

        There are no shots unless asked for: Audio Flamingo was trained without. A model too small
        to write an answer of its own is refused, unless ``free_text`` lets it write all the same.
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
            shot_mode=ask.get("shot_mode"),
            options=options,
            seed=ask.get("seed", 0),
            notes=(*found.query.notes, *self._answering.notes(found.shots)),
            free_text=ask.get("free_text", False),
        )

    @spells_options
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

    @spells_options
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

    @overload
    def search(
        self, audio: list[Given], **options: Unpack[SearchOptions]
    ) -> list[Hits | AudioError | PromptError]: ...
    @overload
    def search(
        self,
        audio: Audio | Query | None = None,
        *,
        text: str | None = None,
        **options: Unpack[SearchOptions],
    ) -> Hits: ...
    def search(
        self,
        audio: Audio | Query | list[Given] | None = None,
        *,
        text: str | None = None,
        k: int = 10,
        filter: SearchFilter = SearchFilter(),
        backend: str = "exact",
        start_s: float = 0.0,
        end_s: float | None = None,
        sample_rate: float | None = None,
    ) -> Hits | list[Hits | AudioError | PromptError]:
        """Find the exemplars of the index nearest to a recording or a sentence.

        Args:
            audio: As for ``classify``, a list, too; or give ``text``.
            text: A sentence, for an embedder that has text; see ``Hit.similarity``.
            k: How many hits at most.
            filter: Which rows may be found.
            backend: ``"exact"``, ``"faiss"``, ``"half"`` or ``"approximate"``; see
                ``Index.search``.
            start_s: Where the stretch to search with begins in a file, in seconds.
            end_s: Where it ends (exclusive), in seconds; ``None`` for the end of the file.
            sample_rate: Rate of samples that are given as an array alone, in Hz.

        Raises:
            AudioError: The recording cannot be read.
            PromptError: The embedder knows nothing of the text.
            ModelError: The embedder has no text, or there is no such backend.
            FilterError: ``filter.where`` cannot be evaluated.
        """
        ask = AskOptions(start_s=start_s, end_s=end_s)
        check_search(audio, text, k=k, filter=filter, backend=backend, stretch=ask)
        if text is not None:
            return self.retriever.search_text(text, k=k, filter=filter, backend=backend)
        recordings, several = to_one_or_several(audio, sample_rate)
        found = self.retriever.search_each(recordings, k=k, filter=filter, backend=backend, ask=ask)
        return _one_or_all(found, several)


def _one_or_all(
    answers: Iterable[Result | AudioError | PromptError], several: bool
) -> Result | list[Result | AudioError | PromptError]:
    """Return all answers where several were asked for, else the one, or raise why there is none."""
    found = list(answers)
    if several:
        return found
    (one,) = found
    if isinstance(one, AudioError | PromptError):
        raise one
    return one


def default_model(task: Task | None) -> str | None:
    """Return the language model for whoever names none: ``None`` where a task wants the vote."""
    return None if task is not None and task.arm == "vote" else DEFAULT_MODEL
