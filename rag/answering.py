"""Answering: recordings retrieved for, then answered by the vote or by a language model.

``FewShot`` is the door to this; what happens between a question and its answer is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from earful.errors import AudioError, PromptError
from earful.index.cache import FeatureCacheFolder
from earful.model import GenerationOptions, KeepsFeatures, LanguageModel
from earful.model.chat import ChecksHearing
from earful.rag.answer import (
    Answer,
    decline_unheard,
    log_answer,
    predicted_label,
    predicted_labels,
    rank_labels,
    reason_to_abstain,
    weigh_hearing,
)
from earful.rag.choosing import answer_by_choice
from earful.rag.generation import (
    LabelScorer,
    ModelRequest,
    Progress,
    ask_ahead,
    generation_notes,
    takes_prototypes,
    to_answer,
    write_answer,
)
from earful.rag.montage import choose_shot_mode
from earful.rag.retrieval import (
    AskOptions,
    Audio,
    LabelScoring,
    Query,
    Readable,
    Retrieved,
    Retriever,
    ShotSet,
    check_options,
    to_labels,
    to_recording,
    to_recordings,
    to_text,
)
from earful.rag.task import Answerer, Task
from earful.wording import quoted

VOTE_NAME = "neighbour-vote"
"""Name of the model of an answer that exemplars voted for."""
NAMES_NAME = "label-names"
"""Name of the model of an answer for which the names of labels spoke alone."""


class ClassifyOptions(AskOptions, total=False):
    """Keyword arguments of ``FewShot.classify``; see there."""

    task: Task | str | Path | None
    labels: Sequence[str] | None
    scoring: LabelScoring
    progress: Progress | None


class Answering:
    """Retrieval and generation, one after the other.

    Args:
        retriever: Finds shots.
        model: Language model that answers; ``None`` for the neighbour vote.
    """

    def __init__(self, retriever: Retriever, model: LanguageModel | None) -> None:
        if model is not None and not hasattr(model, "capabilities"):
            raise TypeError(
                f"model={quoted(model)}: expected a language model, as load_language_model makes "
                "one of a name; FewShot.open takes names as well"
            )
        self.retriever = retriever
        self.model = model
        self._scorer = LabelScorer(retriever)
        self._features: FeatureCacheFolder | None = None
        if retriever.index is not None and isinstance(model, KeepsFeatures):
            self._features = FeatureCacheFolder(retriever.index.path)
            model.keep_features(self._features)

    def task(self, task: Task | str | Path | None, ask: AskOptions) -> Task:
        """Return a task with its shots changed as wanted, at most as many as the model hears.

        Raises:
            TaskError: The task has mistakes, or there is no such strategy or number.
            TypeError: There is no such option, or it is of another type.
            ValueError: A number or a choice is none of those allowed.
        """
        check_options(ask)
        most = None
        if self.model is not None:
            if isinstance(self.model, ChecksHearing) and ask.get("arm") != "vote":
                self.model.check_hearing()
            limits = self.model.capabilities
            if choose_shot_mode(ask.get("shot_mode"), limits) == "interleaved":
                most = limits.max_audios - 1
        return self.retriever.task(
            task, shots=ask.get("shots"), strategy=ask.get("strategy"), most=most
        )

    def classify(
        self,
        recordings: Sequence[Audio | Query],
        task: Task,
        labels: Sequence[str] | None,
        scoring: LabelScoring,
        ask: AskOptions,
        progress: Progress | None,
    ) -> Iterator[Answer | AudioError | PromptError]:
        """Answer a task with labels; see ``FewShot.classify_batch``."""
        # What is given wrongly is refused at once, not when the first answer is asked for.
        recordings = to_recordings(recordings, ask.get("sample_rate"))
        labels = to_labels(labels)
        return self._answer_each(recordings, task, labels, scoring, ask, progress)

    def _answer_each(
        self,
        recordings: Sequence[Readable | Query],
        task: Task,
        labels: Sequence[str] | None,
        scoring: LabelScoring,
        ask: AskOptions,
        progress: Progress | None,
    ) -> Iterator[Answer | AudioError | PromptError]:
        arm = self._arm(task, scoring, ask)
        if arm == "zero-shot" and ask.get("shots") is None:
            ask["shots"] = 0
        # First retrieval, for a batch at a time ...
        retrieved = self.retrieve(recordings, task, labels, ask, need_exemplars=arm == "vote")
        for found in self._ask_ahead(retrieved, scoring, arm, ask):
            if not isinstance(found, Retrieved):
                yield found
                continue
            # ... then the vote, or the language model with the shots in its prompt.
            try:
                if self.model is None or arm == "vote":
                    answer = self._vote(found, ask)
                else:
                    answer = self._score(self.model, found, scoring, arm, ask, progress)
            except (AudioError, PromptError) as error:
                yield error
            else:
                always = ask.get("always_answer", False)
                yield log_answer(weigh_hearing(answer, found.query, always_answer=always))

    def _ask_ahead(
        self,
        retrieved: Iterator[Retrieved | AudioError | PromptError],
        scoring: LabelScoring,
        arm: Answerer,
        ask: AskOptions,
    ) -> Iterator[Retrieved | AudioError | PromptError]:
        """Hand on what was retrieved; a model that reads several prompts at once is asked first."""
        model = self.model
        if model is None or arm == "vote" or model.capabilities.max_prompts == 1:
            yield from retrieved
            return
        while group := list(islice(retrieved, model.capabilities.max_prompts)):
            requests = [to_request(x, ask) for x in group if isinstance(x, Retrieved)]
            ask_ahead(model, requests, scoring)
            yield from group

    def write(
        self,
        model: LanguageModel,
        audio: Audio | Query,
        task: Task,
        question: str,
        options: GenerationOptions,
        ask: AskOptions,
        on_text: Callable[[str], None] | None,
    ) -> Answer:
        """Ask a language model for text; see ``FewShot.ask``."""
        found = self.retrieve_one(audio, task, None, ask)
        insists = ask.get("free_text", False) or ask.get("always_answer", False)
        unheard = None
        if not insists:
            unheard = decline_unheard(found.query, model=model.capabilities.name)
        if unheard is not None:
            if on_text is not None:
                on_text(unheard.text)
            return log_answer(unheard)
        with found.watch.stage("generate_s"):
            request = to_request(found, ask, question=question)
            generation, fitted = write_answer(model, request, options, on_text)
        answer = to_answer(
            model,
            found.query,
            generation.text,
            generation.confidence,
            fitted,
            found.watch,
            notes=(*self.notes(found.shots), *generation_notes(generation)),
        )
        return log_answer(weigh_hearing(answer, found.query, always_answer=insists))

    def retrieve(
        self,
        recordings: Sequence[Audio | Query],
        task: Task,
        labels: Sequence[str] | None,
        ask: AskOptions,
        *,
        need_exemplars: bool = False,
    ) -> Iterator[Retrieved | AudioError | PromptError]:
        """Read recordings and find their shots; see ``Retriever.retrieve``."""
        return self.retriever.retrieve(
            recordings,
            task,
            labels,
            shots=ask.get("shots"),
            need_exemplars=need_exemplars or self.model is None,
            seed=ask.get("seed", 0),
            # Without a language model there is an embedder, whose rate it is.
            sample_rate=0 if self.model is None else self.model.capabilities.sample_rate,
            start_s=ask.get("start_s", 0.0),
            end_s=ask.get("end_s"),
            group=ask.get("group", ""),
            names_speak=takes_prototypes(self.model, self.retriever.embedder),
        )

    def retrieve_one(
        self,
        audio: Audio | Query,
        task: Task,
        labels: Sequence[str] | None,
        ask: AskOptions,
    ) -> Retrieved:
        """Read one recording and find its shots.

        Raises:
            AudioError: It cannot be read.
            PromptError: Every exemplar is from its own recording or group.
        """
        (found,) = self.retrieve([to_recording(audio, ask.get("sample_rate"))], task, labels, ask)
        if not isinstance(found, Retrieved):
            raise found
        return found

    def notes(self, shots: ShotSet) -> tuple[str, ...]:
        """Return what a reader should know of the shots and of the model's cache."""
        fault = self._features.fault if self._features is not None else ""
        return (*shots.notes, fault) if fault else shots.notes

    def _arm(self, task: Task, scoring: LabelScoring, ask: AskOptions) -> Answerer:
        """Return what answers a task with labels."""
        arm = ask.get("arm")
        if self.model is None:
            return "vote"
        if arm is not None:
            return arm
        if scoring.vote_weight is not None and task.arm != "zero-shot":
            return "model"
        # Whoever gave a language model wants to hear it, whatever the task's file says.
        return "blend" if task.arm == "vote" else task.arm

    def _score(
        self,
        model: LanguageModel,
        found: Retrieved,
        scoring: LabelScoring,
        arm: Answerer,
        ask: AskOptions,
        progress: Progress | None,
    ) -> Answer:
        """Answer by the language model's scores, alone or blended with the vote, or its choice."""
        if not model.capabilities.logprobs:
            return self._choose(model, found, scoring, ask)
        scored = self._scorer.score(
            model,
            to_request(found, ask),
            found.shots,
            scoring,
            blend=arm == "blend",
            watch=found.watch,
            progress=progress,
        )
        return scored.answer(
            model,
            found.query,
            found.shots,
            found.watch,
            notes=self.notes(found.shots),
            always_answer=ask.get("always_answer", False),
        )

    def _choose(
        self, model: LanguageModel, found: Retrieved, scoring: LabelScoring, ask: AskOptions
    ) -> Answer:
        """Answer by what a language model chooses, with the vote beside it."""
        shots, vote = found.shots, None
        if shots.hits or shots.voters is not None:
            with found.watch.stage("vote_s"):
                vote = self.retriever.vote(shots, seed=ask.get("seed", 0))
        return answer_by_choice(
            model,
            to_request(found, ask),
            shots,
            vote,
            found.query,
            found.watch,
            scoring=scoring,
            notes=self.notes(shots),
            always_answer=ask.get("always_answer", False),
        )

    def _vote(self, found: Retrieved, ask: AskOptions) -> Answer:
        """Answer by the neighbour vote alone."""
        shots = found.shots
        with found.watch.stage("score_s"):
            voted = self.retriever.vote(shots, seed=ask.get("seed", 0))
        request = to_request(found, ask)
        prompt = request.build(request.hits)
        ranked = rank_labels(shots.labels, voted.scores)
        text, confidence = predicted_label(shots.task, ranked)
        doubt = "" if ask.get("always_answer") else voted.doubt(shots.labels, voted.scores)
        reason = reason_to_abstain(shots.task, confidence, doubt)
        return Answer(
            audio=found.query.name,
            text=text,
            confidence=confidence,
            abstained=bool(reason),
            reason=reason,
            scores=ranked,
            evidence=shots.hits,
            model=VOTE_NAME if shots.hits else NAMES_NAME,
            timings=found.watch.spent_s,
            prompt_digest=prompt.digest,
            notes=(*shots.notes, voted.note) if voted.note else shots.notes,
            prompt=prompt,
            labels=predicted_labels(shots.task, ranked),
            start_s=found.query.reference.start_s,
            end_s=found.query.reference.end_s,
            group=found.query.exclusions.group,
        )


def to_request(found: Retrieved, ask: AskOptions, *, question: str = "") -> ModelRequest:
    """Make a model request of what was retrieved."""
    return ModelRequest(
        task=found.shots.task,
        hits=found.shots.hits,
        query=found.query.reference,
        labels=found.shots.labels,
        question=to_text("question", question),
        shot_mode=ask.get("shot_mode"),
        seed=ask.get("seed", 0),
    )
