"""Arm runner: asks every arm of an evaluation about items, the way users ask.

An arm is a set of options for ``FewShot``: which of model and vote answers, how many shots, by
which strategy and seed. Two controls change the input: silence in the recording's place, or
shots with other exemplars' labels. Only the baselines are computed here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from earful.errors import AudioError, EvaluationError, ModelError, PromptError
from earful.model import GenerationOptions, LanguageModel
from earful.model.chat import ChoosesAnswers
from earful.rag.answer import Answer, LabelScore, predicted_label, predicted_labels, rank_labels
from earful.rag.arrays import Scores
from earful.rag.evaluation.arms.arms import Arm
from earful.rag.evaluation.arms.baselines import (
    label_frequencies,
    most_frequent_answer,
    vote_among_answers,
)
from earful.rag.evaluation.arms.controls import asked_about, silent, with_other_labels
from earful.rag.evaluation.arms.linear_probe import probe_scores
from earful.rag.evaluation.arms.metered import MeteredModel, Spent
from earful.rag.evaluation.arms.prediction import Prediction
from earful.rag.evaluation.items import Item
from earful.rag.evaluation.metrics import match_label, split_labels
from earful.rag.few_shot import FewShot
from earful.rag.generation import is_yes_or_no
from earful.rag.retrieval import (
    AskOptions,
    LabelScoring,
    PreparedTask,
    Query,
    Retriever,
    ShotSet,
    read_clip,
)
from earful.rag.task import Answerer, Task

_TOP = 5
# Only without a language model: its answers take so long that items are saved as they are answered.
_ITEMS_AT_ONCE = 64

# The ``arm`` option of FewShot for every arm that is not a baseline.
_ANSWERERS: dict[str, Answerer] = {
    "zero-shot": "zero-shot",
    "retrieved": "model",
    "blend": "blend",
    "vote": "vote",
    "random": "model",
    "shuffled": "model",
    "silent": "model",
}
# Stages of an answer that an arm without a vote does not need.
_STAGES_OF_VOTE = ("vote_s", "blend_s")

_Result = Answer | AudioError | PromptError


class ArmRunner:
    """Asks arms about items.

    Args:
        retriever: Finds shots and lets them vote.
        model: Language model of the arms that take one.
        task: The task that arms answer.
        arms: The arms to ask.
        seeds: Seeds of arms that make random choices; all others take the first.
        scoring: How a language model's log-probabilities become scores.
        options: How a language model writes.
        counts: Whether answers say how many requests and tokens they took, of a model that is
            metered.

    Raises:
        EvaluationError: Arms take a language model, and there is none.
        ModelError: The model can neither score labels nor choose one.
    """

    def __init__(
        self,
        retriever: Retriever,
        model: LanguageModel | None,
        task: Task,
        arms: Sequence[Arm],
        *,
        seeds: Sequence[int],
        scoring: LabelScoring = LabelScoring(),
        options: GenerationOptions = GenerationOptions(),
        counts: bool = False,
    ) -> None:
        if model is None and any(arm.by_model for arm in arms):
            names = ", ".join(arm.name for arm in arms if arm.by_model)
            raise EvaluationError(f"{names}: expected a language model, got none")
        self._retriever = retriever
        self._few = FewShot(retriever=retriever, model=model)
        self._few_shuffled = FewShot(
            retriever=retriever.with_change(self._with_other_labels), model=model
        )
        self._model = model
        self._task = task
        self._arms = tuple(arms)
        self._seeds = tuple(seeds)
        self._scoring = scoring
        self._options = options
        self._counts = counts
        self._is_written = task.protocol.answers == "written" or not task.has_labels
        self._probe_scores: dict[str, Scores] = {}
        # The seed at hand, which shots with other labels are drawn by.
        self._seed = 0
        self._total = Spent()
        can_name = model is None or model.capabilities.logprobs or isinstance(model, ChoosesAnswers)
        if model is not None and not self._is_written and not can_name:
            raise ModelError(
                f"{model.capabilities.name} gives no log-probabilities, so it cannot score labels; "
                'evaluate its words: answers = "written" under [evaluation] in the task file'
            )

    @cached_property
    def prepared(self) -> PreparedTask:
        """The task with the exemplars that may answer it."""
        return self._retriever.prepare(self._task)

    def fit_probe(self, items: Sequence[Item], *, held_out: bool) -> tuple[str, ...]:
        """Fit the linear probe, if it is one of the arms, and keep its scores.

        Returns:
            Notes about it for the reader of the evaluation.
        """
        candidates = self.prepared.candidates
        if not any(arm.how == "probe" for arm in self._arms) or not len(candidates):
            return ()
        exclusive = self._task.kind == "classify"
        scores, notes = probe_scores(items, candidates, exclusive=exclusive, held_out=held_out)
        self._probe_scores = {item.id: row for item, row in zip(items, scores, strict=True)}
        return notes

    def ask(self, items: Sequence[Item]) -> Iterator[tuple[Item, tuple[Prediction, ...]]]:
        """Ask every arm about items.

        Yields:
            Each item with its predictions: one an arm, or one a seed of an arm that makes
            random choices. Where a recording cannot be read or a prompt cannot be built, the
            prediction's ``fault`` says why, and it counts as wrong.
        """
        n_at_once = self._n_at_once
        for start in range(0, len(items), n_at_once):
            yield from self._ask_at_once(items[start : start + n_at_once])

    @property
    def _n_at_once(self) -> int:
        """Number of items that are asked about before the first is handed on."""
        if self._model is None or not any(arm.by_model for arm in self._arms):
            return _ITEMS_AT_ONCE
        return self._model.capabilities.max_prompts

    def _ask_at_once(self, items: Sequence[Item]) -> Iterator[tuple[Item, tuple[Prediction, ...]]]:
        blended: dict[tuple[Arm, int], list[tuple[_Result, Spent]]] = {}
        by_arm: list[list[Prediction]] = []
        for arm in self._arms:
            for seed in self._seeds if arm.is_drawn else self._seeds[:1]:
                if arm.how in ("probe", "majority"):
                    by_arm.append([self._baseline(arm, seed, item) for item in items])
                elif self._is_written and not (arm.how == "vote" and self._task.has_labels):
                    by_arm.append([self._written(arm, seed, item) for item in items])
                else:
                    by_arm.append(self._labelled(arm, seed, items, blended))
        for item, *predictions in zip(items, *by_arm, strict=True):
            yield item, tuple(predictions)

    def _labelled(
        self,
        arm: Arm,
        seed: int,
        items: Sequence[Item],
        blended: dict[tuple[Arm, int], list[tuple[_Result, Spent]]],
    ) -> list[Prediction]:
        """Answer by labels, by the model or the vote.

        A blend's answer holds the model's own scores, so the model is asked once for both
        ``retrieved`` and ``blend``; ``blended`` caches these answers.
        """
        asked = arm
        if arm.how == "retrieved" and replace(arm, how="blend") in self._arms:
            asked = replace(arm, how="blend")
        if (asked, seed) in blended:
            results = blended[asked, seed]
        else:
            self._seed = seed
            few = self._few_shuffled if asked.how == "shuffled" else self._few
            answers = few.classify_batch(
                [self._query(asked, item) for item in items],
                task=self._task,
                scoring=self._scoring,
                **_ask_options(asked, seed),
            )
            # An item's answer comes before the next one's is asked for.
            results = [(answer, self._take_spent()) for answer in answers]
            if asked.how == "blend":
                blended[asked, seed] = results
        return [
            self._with_spent(self._prediction(arm, seed, item, result), spent)
            for item, (result, spent) in zip(items, results, strict=True)
        ]

    # --- what was spent --------------------------------------------------------------

    def _take_spent(self) -> Spent:
        """Return what a metered model has spent since this was last asked, and add it up."""
        if not isinstance(self._model, MeteredModel):
            return Spent()
        spent = self._model.take_spent()
        self._total += spent
        return spent

    def take_total(self) -> Spent:
        """Return what all answers since this was last asked have spent."""
        total, self._total = self._total, Spent()
        return total

    def _with_spent(self, found: Prediction, spent: Spent) -> Prediction:
        """Add what an answer took; an answer that was kept counts the seconds it once took."""
        found = replace(found, spent_s=found.spent_s + spent.kept_s)
        if not self._counts:
            return found
        return replace(found, requests=spent.requests, tokens=spent.tokens, cost=spent.cost)

    # --- queries and shots -----------------------------------------------------------

    def _query(self, arm: Arm, item: Item) -> Query:
        query = replace(item.query, id=item.id)
        if arm.how == "silent" and self._model is not None:
            return silent(query, self._model)
        # An item may itself be an exemplar of others; here it is the query.
        return asked_about(query, query.reference)

    def _with_other_labels(self, query: Query, found: ShotSet) -> ShotSet:
        """Relabel shots with the labels of others, drawn for each item."""
        random = np.random.default_rng([self._seed, *query.id.encode("utf-8", "surrogatepass")])
        return with_other_labels(found, random)

    # --- predictions -----------------------------------------------------------------

    def _prediction(self, arm: Arm, seed: int, item: Item, result: _Result) -> Prediction:
        if not isinstance(result, Answer):
            return Prediction(item=item.id, arm=arm.name, seed=seed, text="", fault=str(result))
        ranked = result.scores
        if arm.how == "retrieved" and result.blend is not None:
            ranked = result.model_scores
        has_vote = arm.how in ("blend", "vote")
        if ranked:
            found = self._of_labels(arm, seed, item, ranked)
        else:
            # A model that tells no probability names labels, or nothing that can be read.
            found = Prediction(
                item=item.id,
                arm=arm.name,
                seed=seed,
                text=result.unparsed or result.text,
                labels=result.labels,
                confidence=result.confidence,
                unparsed=result.unparsed,
            )
        return replace(
            found,
            abstained=has_vote and result.abstained,
            shots=tuple(hit.exemplar.id for hit in result.evidence),
            similarities=tuple(hit.similarity for hit in result.evidence),
            digest=result.prompt_digest if arm.by_model else "",
            spent_s=sum(
                spent_s
                for stage, spent_s in result.timings.items()
                if has_vote or stage not in _STAGES_OF_VOTE
            ),
        )

    def _of_labels(
        self, arm: Arm, seed: int, item: Item, ranked: tuple[LabelScore, ...]
    ) -> Prediction:
        text, confidence = predicted_label(self._task, ranked)
        kept = ranked[:_TOP] if self._task.kind == "classify" else ranked
        return Prediction(
            item=item.id,
            arm=arm.name,
            seed=seed,
            text=text,
            labels=predicted_labels(self._task, ranked),
            confidence=confidence,
            scores={score.label: score.score for score in kept},
        )

    def _baseline(self, arm: Arm, seed: int, item: Item) -> Prediction:
        started = time.perf_counter()
        labels = self.prepared.candidates.labels
        if arm.how == "probe":
            ranked = rank_labels(labels, self._probe_scores[item.id])
            found = self._of_labels(arm, seed, item, ranked)
        elif self._task.has_labels:
            found = self._of_labels(arm, seed, item, rank_labels(labels, self._frequencies))
        else:
            text, share = most_frequent_answer(self.prepared.candidates)
            found = Prediction(item=item.id, arm=arm.name, seed=seed, text=text, confidence=share)
        return replace(found, spent_s=time.perf_counter() - started)

    @cached_property
    def _frequencies(self) -> Scores:
        return label_frequencies(self.prepared.candidates)

    def _written(self, arm: Arm, seed: int, item: Item) -> Prediction:
        """Answer in words, by the model or by a vote among the shots' answers."""
        started = time.perf_counter()
        self._seed = seed
        few = self._few_shuffled if arm.how == "shuffled" else self._few
        answer = self._vote_among_answers if arm.how == "vote" else self._write
        try:
            found = answer(arm, seed, item, few)
        except (AudioError, PromptError) as error:
            found = Prediction(item=item.id, arm=arm.name, seed=seed, text="", fault=str(error))
        found = replace(found, spent_s=time.perf_counter() - started)
        return self._with_spent(found, self._take_spent())

    def _vote_among_answers(self, arm: Arm, seed: int, item: Item, few: FewShot) -> Prediction:
        query, ask = self._query(arm, item), _ask_options(arm, seed)
        hits = few.request(query, task=self._task, **ask).hits
        text, confidence = vote_among_answers(
            hits, item.question, is_caption=self._task.kind == "caption"
        )
        return Prediction(
            item=item.id,
            arm=arm.name,
            seed=seed,
            text=text,
            confidence=confidence,
            shots=tuple(hit.exemplar.id for hit in hits),
            similarities=tuple(hit.similarity for hit in hits),
        )

    def _write(self, arm: Arm, seed: int, item: Item, few: FewShot) -> Prediction:
        answer = few.write(
            self._query(arm, item),
            task=self._task,
            question=self._question(item),
            options=self._options,
            **_ask_options(arm, seed),
        )
        return Prediction(
            item=item.id,
            arm=arm.name,
            seed=seed,
            text=answer.text,
            labels=self._named(answer.text),
            confidence=answer.confidence,
            shots=tuple(hit.exemplar.id for hit in answer.evidence),
            similarities=tuple(hit.similarity for hit in answer.evidence),
            digest=answer.prompt_digest,
        )

    def _question(self, item: Item) -> str:
        if self._task.has_labels or self._model is None:
            return ""
        question = item.question or self._task.question
        if self._task.yes_no_options and all(map(is_yes_or_no, item.references)):
            question += self._model.capabilities.wording.yes_no_options
        return question

    def _named(self, text: str) -> tuple[str, ...]:
        """Return the labels that a written answer names."""
        if not self._task.has_labels:
            return ()
        label_of = {self._task.wording(label): label for label in self.prepared.candidates.labels}
        if self._task.kind == "classify":
            matched = match_label(text, tuple(label_of))
            return (label_of[matched],) if matched else ()
        return tuple(label_of[x] for x in split_labels(text, tuple(label_of)))


def embedding_seconds(retriever: Retriever, queries: Sequence[Query]) -> float:
    """Measure how long decoding and embedding a recording takes, in seconds."""
    if retriever.embedder is None or not queries:
        return 0.0
    rate = retriever.embedder.fingerprint.sample_rate
    started = time.perf_counter()
    for query in queries:
        reference = query.reference
        clip = read_clip(reference.audio, rate, reference.start_s, reference.end_s)
        retriever.embedder.embed([clip])
    return (time.perf_counter() - started) / len(queries)


def _ask_options(arm: Arm, seed: int) -> AskOptions:
    ask = AskOptions(shots=arm.k, seed=seed, arm=_ANSWERERS[arm.how])
    if arm.k:
        ask["strategy"] = arm.strategy
    if arm.shot_mode is not None:
        ask["shot_mode"] = arm.shot_mode
    return ask
