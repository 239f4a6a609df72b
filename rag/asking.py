"""Asking: a question is answered in the surest way at hand, and written freely as the last one.

In this order: a yes/no question about a label, and a choice between labels, by the neighbour vote;
another yes/no question, by the model's scores of the two; for a model that writes no captions,
from exemplars or not at all; else in the model's own words. ``AskOptions.free_text`` goes straight
to the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from earful.errors import AudioError, PromptError
from earful.model import GenerationOptions, LanguageModel
from earful.rag.answer import (
    Answer,
    LabelScore,
    decline_unheard,
    log_answer,
    rank_labels,
    weigh_hearing,
)
from earful.rag.answering import VOTE_NAME, Answering, to_request
from earful.rag.generation import (
    Heard,
    Said,
    affirmed,
    answer_heard,
    asks_for_a_description,
    asks_for_a_name,
    describe_heard,
    is_yes_no_question,
    judge_choice,
    judge_label,
    label_asked_about,
    labels_to_choose_from,
    name_heard,
    offers_choice,
    score_yes_no,
    to_answer,
    with_room,
)
from earful.rag.retrieval import (
    AskOptions,
    Audio,
    Query,
    Readable,
    Retrieved,
    read_in_batches,
    to_text,
)
from earful.rag.task import Task

_NEGATED = "the question is negated, and yes may mean either; ask without the negation"


class QuestionOptions(AskOptions, total=False):
    """Keyword arguments of ``FewShot.ask`` and ``FewShot.caption``; see there."""

    task: Task | str | Path | None
    options: GenerationOptions
    on_text: Callable[[str], None] | None


class Asking:
    """Questions to a language model that has exemplars beside it.

    Args:
        answering: Retrieves, and lets the model write.
        model: Language model that answers.
    """

    def __init__(self, answering: Answering, model: LanguageModel) -> None:
        self._answering = answering
        self._retriever = answering.retriever
        self._model = model

    def ask_each(
        self,
        recordings: Sequence[Readable | Query],
        task: Task,
        question: str,
        options: GenerationOptions,
        ask: AskOptions,
        on_text: Callable[[str], None] | None,
    ) -> Iterator[Answer | AudioError | PromptError]:
        """Answer a question about each of several recordings, which are read in batches.

        Yields:
            An answer for each recording in order, or the error that kept it from having one.
        """
        queries: Iterator[Readable | Query | AudioError] = iter(recordings)
        if len(recordings) > 1:
            rate = self._model.capabilities.sample_rate
            embedder = self._retriever.embedder
            queries = read_in_batches(recordings, embedder, sample_rate=rate, ask=ask)
        for query in queries:
            if isinstance(query, AudioError):
                yield query
                continue
            try:
                yield self.ask(query, task, question, options, ask, on_text)
            except (AudioError, PromptError) as error:
                yield error

    def ask(
        self,
        audio: Audio | Query,
        task: Task,
        question: str,
        options: GenerationOptions,
        ask: AskOptions,
        on_text: Callable[[str], None] | None,
    ) -> Answer:
        """Answer a question; see ``FewShot.ask``."""
        question = to_text("question", question)
        asked = question or task.question
        answer = None
        if ask.get("free_text", False):
            pass
        elif is_yes_no_question(asked):
            answer = self._yes_or_no(audio, task, asked, ask)
        elif (answer := self._choice(audio, task, asked, ask)) is not None:
            pass
        elif not self._model.capabilities.writes_captions and (asked or task.kind == "caption"):
            answer = self._from_exemplars(audio, task, asked, ask)
        if answer is None:
            return self._answering.write(self._model, audio, task, question, options, ask, on_text)
        if on_text is not None:
            on_text(answer.text)
        return log_answer(answer)

    # --- yes or no -------------------------------------------------------------------

    def _yes_or_no(
        self, audio: Audio | Query, task: Task, asked: str, ask: AskOptions
    ) -> Answer | None:
        """Answer yes or no; ``None`` where nothing at hand has scores for them."""
        plain = affirmed(asked)
        vote = self._label_task(task, ask)
        if vote is not None:
            labels = self._retriever.prepare(vote).candidates.labels
            if label := label_asked_about(plain, labels):
                return self._label_is_there(audio, vote, label, ask, is_negated=plain != asked)
        if not self._model.capabilities.logprobs:
            return None
        found = self._answering.retrieve_one(audio, task, None, ask)
        with found.watch.stage("score_s"):
            request = to_request(found, ask, question=asked)
            judged, fitted = with_room(self._model, request, partial(score_yes_no, self._model))
        if plain != asked:
            judged = replace(judged, doubt=judged.doubt or _NEGATED)
        answer = to_answer(
            self._model,
            found.query,
            judged.text,
            judged.confidence,
            fitted,
            found.watch,
            notes=(*self._answering.notes(found.shots), *_because(judged.doubt)),
        )
        answer = replace(answer, scores=judged.scores, abstained=bool(judged.doubt))
        return weigh_hearing(answer, found.query, always_answer=ask.get("always_answer", False))

    def _label_is_there(
        self, audio: Audio | Query, vote: Task, label: str, ask: AskOptions, *, is_negated: bool
    ) -> Answer:
        found = self._answering.retrieve_one(audio, vote, None, ask)
        heard, notes = self._hear_labels(found, ask)
        judged = judge_label(
            label, heard.ranked, exclusive=heard.exclusive, likeness=heard.likeness
        )
        if is_negated:
            judged = replace(judged, yes=1.0 - judged.yes, doubt=judged.doubt or _NEGATED)
        own = next(score for score in heard.ranked if score.label == label)
        rivals = [score for score in heard.ranked if score is not own][:1]
        said = Said(text=judged.text, confidence=judged.confidence, evidence=heard.labelled)
        notes = (*notes, _told_by_vote([own, *rivals]), *_because(judged.doubt))
        return self._by_vote(found, said, notes, heard, judged.scores, judged.doubt, ask)

    def _choice(
        self, audio: Audio | Query, task: Task, asked: str, ask: AskOptions
    ) -> Answer | None:
        """Answer which of several labels is there; ``None`` where another question is asked."""
        if not offers_choice(asked):
            return None
        vote = self._label_task(task, ask)
        if vote is None:
            return None
        labels = labels_to_choose_from(asked, self._retriever.prepare(vote).candidates.labels)
        if not labels:
            return None
        found = self._answering.retrieve_one(audio, vote, None, ask)
        heard, notes = self._hear_labels(found, ask)
        scores, doubt = judge_choice(
            labels, heard.ranked, exclusive=heard.exclusive, likeness=heard.likeness
        )
        best = scores[0]
        said = Said(text=best.label, confidence=best.score, evidence=heard.labelled)
        told = _told_by_vote([score for score in heard.ranked if score.label in labels])
        notes = (*notes, told, *_because(doubt))
        return self._by_vote(found, said, notes, heard, scores, doubt, ask, (best.label,))

    def _by_vote(
        self,
        found: Retrieved,
        said: Said,
        notes: tuple[str, ...],
        heard: Heard,
        scores: tuple[LabelScore, ...],
        doubt: str,
        ask: AskOptions,
        labels: tuple[str, ...] = (),
    ) -> Answer:
        answer = self._answer(
            found,
            said,
            notes=notes,
            vote=heard.ranked,
            scores=scores,
            abstained=bool(doubt),
            labels=labels,
        )
        return weigh_hearing(answer, found.query, always_answer=ask.get("always_answer", False))

    # --- captions and open questions ---------------------------------------------------

    def _from_exemplars(
        self, audio: Audio | Query, task: Task, asked: str, ask: AskOptions
    ) -> Answer:
        """Answer by the words of exemplars, or decline."""
        describes = task.kind == "caption" or asks_for_a_description(asked)
        names = asks_for_a_name(asked)
        vote = self._label_task(task, ask) if describes or names else None
        alone = self._retriever.embedder is None or ask.get("shots") == 0
        if alone:
            ask = {**ask, "shots": 0}
        found = self._answering.retrieve_one(audio, vote or task, None, ask)
        always = ask.get("always_answer", False)
        unheard = None if always else decline_unheard(found.query, model=VOTE_NAME)
        if unheard is not None:
            return unheard
        notes = found.shots.notes
        if vote is not None:
            heard, notes = self._hear_labels(found, ask)
        elif alone:
            heard = Heard()
        else:
            likeness = self._retriever.likeness(found.shots, seed=ask.get("seed", 0))
            heard = Heard(answered=found.shots.hits, likeness=likeness)
        if describes:
            said = describe_heard(heard)
        else:
            said = name_heard(heard) if names else answer_heard(heard, asked)
        name = self._model.capabilities.name
        advice = (
            f"{name} writes no sentence of its own; an index of such recordings with labels, a "
            "larger model, or free text would answer"
        )
        how = advice if said.declined else said.note
        answer = self._answer(found, said, notes=(*notes, how), vote=heard.ranked)
        return weigh_hearing(answer, found.query, always_answer=always)

    # --- exemplars -------------------------------------------------------------------

    def _label_task(self, task: Task, ask: AskOptions) -> Task | None:
        """Return the task of naming a recording by the labels at hand; ``None`` without any."""
        retriever = self._retriever
        if retriever.embedder is None or ask.get("shots") == 0:
            return None
        exemplars = [example.exemplar for example in task.examples]
        if retriever.index is not None and not any(x.labels for x in exemplars):
            exemplars = list(retriever.index.vectors().exemplars)
        if not any(exemplar.labels for exemplar in exemplars):
            return None
        several = any(len(exemplar.labels) > 1 for exemplar in exemplars)
        return Task(
            name="all-labels",
            kind="multilabel" if several else "classify",
            shots=task.shots,
            examples=tuple(x for x in task.examples if x.exemplar.labels),
        )

    def _hear_labels(self, found: Retrieved, ask: AskOptions) -> tuple[Heard, tuple[str, ...]]:
        """Return the vote of the shots, with a note for the reader."""
        shots, seed = found.shots, ask.get("seed", 0)
        with found.watch.stage("score_s"):
            voted = self._retriever.vote(shots, seed=seed)
            likeness = self._retriever.likeness(shots, seed=seed, voted=voted)
        heard = Heard(
            ranked=rank_labels(shots.labels, voted.scores),
            exclusive=shots.task.kind == "classify",
            labelled=shots.hits,
            likeness=likeness,
        )
        return heard, (*shots.notes, voted.note) if voted.note else shots.notes

    def _answer(
        self,
        found: Retrieved,
        said: Said,
        *,
        notes: tuple[str, ...],
        vote: tuple[LabelScore, ...],
        scores: tuple[LabelScore, ...] = (),
        abstained: bool = False,
        labels: tuple[str, ...] = (),
    ) -> Answer:
        return Answer(
            audio=found.query.name,
            text=said.text,
            confidence=said.confidence,
            abstained=abstained or said.declined,
            scores=scores,
            evidence=said.evidence,
            model=VOTE_NAME,
            timings=found.watch.spent_s,
            notes=notes,
            vote=vote,
            labels=labels,
            start_s=found.query.reference.start_s,
            end_s=found.query.reference.end_s,
            group=found.query.exclusions.group,
        )


def _told_by_vote(scores: Sequence[LabelScore]) -> str:
    said = " and ".join(f"{score.label!r} {score.score:.0%}" for score in scores)
    return f"answered from the exemplars: their vote gives {said}"


def _because(doubt: str) -> tuple[str, ...]:
    return (f"not sure: {doubt}",) if doubt else ()
