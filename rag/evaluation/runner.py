"""Asking every arm of an evaluation about an item."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from earful.errors import AudioError, EvaluationError, ModelError, PromptError
from earful.index.search import Hit
from earful.model import ClipRef, GenerationOptions, LanguageModel
from earful.model.audio import Clip
from earful.model.flamingo import SAMPLE_RATE
from earful.rag.answer import predicted_label, rank_labels
from earful.rag.arrays import Scores
from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.items import Item
from earful.rag.evaluation.linear_probe import probe_scores
from earful.rag.evaluation.metrics import match_label, normalise, split_labels
from earful.rag.generation import (
    YES_OR_NO,
    FittedPrompt,
    Inquiry,
    Progress,
    Replayer,
    is_yes_or_no,
    score_labels,
    write_answer,
)
from earful.rag.retrieval import LabelScoring, Pool, Prepared, Query, Retriever, ShotSet
from earful.rag.task import Task

_SILENCE_S = 7.0
_DIGITS = 6
_TOP = 5
_UNSURE = 0.0

# By shots, strategy and seed: what the model made of an item, and in how many seconds.
Heard = dict[tuple[int, str, int], tuple[Scores, FittedPrompt, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one arm said of one item.

    Attributes:
        item: Id of the item.
        arm: Name of the arm.
        seed: Of the arm's random choices.
        text: What was said; for labels the verdict, in the task's own names.
        labels: Labels that were decided on; empty for written text that names none.
        confidence: In [0, 1].
        scores: For ``classify`` of the five best labels, for ``multilabel`` of all.
        shots: Ids of the exemplars that were shown or that voted, nearest first.
        similarities: Of each to the item.
        digest: Of the prompt; empty when none was asked.
        spent_s: Seconds, the embedding of the item left out.
        fault: Why there is no answer; empty when there is one.
    """

    item: str
    arm: str
    seed: int
    text: str
    labels: tuple[str, ...] = ()
    confidence: float = 0.0
    scores: Mapping[str, float] | None = None
    shots: tuple[str, ...] = ()
    similarities: tuple[float, ...] = ()
    digest: str = ""
    spent_s: float = 0.0
    fault: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        values["labels"] = list(self.labels)
        values["shots"] = list(self.shots)
        values["similarities"] = [round(x, _DIGITS) for x in self.similarities]
        values["confidence"] = round(self.confidence, _DIGITS)
        values["spent_s"] = round(self.spent_s, _DIGITS)
        if self.scores is not None:
            values["scores"] = {x: round(score, _DIGITS) for x, score in self.scores.items()}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is unknown.
        """
        plain = dict(values)
        for name in ("labels", "shots", "similarities"):
            plain[name] = tuple(plain[name])
        return cls(**plain)


class Asker:
    """Asks arms about items.

    Args:
        retriever: Finds shots and lets them vote.
        model: Answers the arms that take a language model.
        task: What is asked.
        arms: Which ways to answer.
        seeds: For arms that draw; the first one for all others.
        scoring: How a language model's log-probabilities become scores.
        options: How it writes.
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
    ) -> None:
        if model is None and any(arm.by_model for arm in arms):
            raise EvaluationError("arms ask a language model, and there is none")
        self._retriever = retriever
        self._replayer = Replayer(retriever)
        self._model = model
        self._task = task
        self._arms = tuple(arms)
        self._seeds = tuple(seeds)
        self._scoring = scoring
        self._options = options
        self._written = task.protocol.answers == "written" or not task.has_labels
        self._probed: dict[str, Scores] = {}
        if model is not None and not self._written and not model.capabilities.logprobs:
            raise ModelError(
                f"{model.capabilities.name} gives no log-probabilities, so it cannot score labels; "
                'evaluate its words: answers = "written" under [evaluation] in the task file'
            )

    @property
    def prepared(self) -> Prepared:
        """The exemplars that may answer the task."""
        return self._retriever.prepare(self._task)

    def fit_probe(self, items: Sequence[Item], *, held_out: bool) -> tuple[str, ...]:
        """Fit the linear probe, if there is such an arm, and keep its answers.

        Returns:
            What a reader should know of it.
        """
        if not any(arm.how == "probe" for arm in self._arms) or not len(self.prepared.pool):
            return ()
        exclusive = self._task.kind == "classify"
        scores, notes = probe_scores(
            items, self.prepared.pool, exclusive=exclusive, held_out=held_out
        )
        self._probed = {item.id: row for item, row in zip(items, scores, strict=True)}
        return notes

    def ask(self, item: Item, *, progress: Progress | None = None) -> Iterator[Row]:
        """Ask every arm about an item.

        Yields:
            A row an arm, and a seed for those that draw. Where a recording cannot be read or a
            prompt cannot be built, the row says so in ``fault`` and counts as wrong.
        """
        heard: Heard = {}
        for arm in self._arms:
            for seed in self._seeds if arm.is_drawn else self._seeds[:1]:
                started = time.perf_counter()
                # What another arm heard is not asked again, but it is paid for.
                shared_s = heard[arm.k, arm.strategy, seed][2] if _shares(arm, heard, seed) else 0.0
                try:
                    row = self._answer(arm, item, seed, heard, progress)
                except (PromptError, AudioError) as error:
                    row = Row(item=item.id, arm=arm.name, seed=seed, text="", fault=str(error))
                yield replace(row, spent_s=time.perf_counter() - started + shared_s)

    def _answer(
        self, arm: Arm, item: Item, seed: int, heard: Heard, progress: Progress | None
    ) -> Row:
        if arm.how == "probe":
            return self._labelled(arm, item, seed, self._probed[item.id])
        if arm.how == "majority":
            return self._majority(arm, item, seed)
        found = self._shots(arm, item, seed)
        if arm.how == "vote":
            return self._voted(arm, item, seed, found)
        assert self._model is not None  # __init__ saw to it
        inquiry = self._inquiry(arm, item, seed, found)
        if self._written:
            return self._write(arm, item, seed, inquiry)
        if _shares(arm, heard, seed):
            scores, fitted, _ = heard[arm.k, arm.strategy, seed]
        else:
            started = time.perf_counter()
            scores, fitted = score_labels(self._model, inquiry, self._scoring)
            if arm.how == "retrieved":
                spent_s = time.perf_counter() - started
                heard[arm.k, arm.strategy, seed] = scores, fitted, spent_s
        if arm.how == "blend":
            votes, _ = self._retriever.vote(found, seed=seed)
            blend = self._replayer.fit(self._model, inquiry, self.prepared, self._scoring, progress)
            scores = blend.mix(votes, scores, exclusive=self._task.kind == "classify")
        return self._labelled(arm, item, seed, scores, fitted.shown, fitted.prompt.digest)

    def _shots(self, arm: Arm, item: Item, seed: int) -> ShotSet:
        task = self._task
        if arm.k:
            shots = replace(task.shots, k=arm.k, strategy=arm.strategy)
            task = replace(task, shots=shots)
        found = self._retriever.find(
            task, item.query, None, shots=arm.k, need_exemplars=arm.how == "vote", seed=seed
        )
        if arm.how == "shuffled":
            hits = _relabelled(found.hits, self.prepared.pool, item.id, seed)
            found = replace(found, hits=hits)
        return found

    def _inquiry(self, arm: Arm, item: Item, seed: int, found: ShotSet) -> Inquiry:
        question = item.question or self._task.question
        if self._task.yes_no_options and all(map(is_yes_or_no, item.references)):
            question += YES_OR_NO
        # An item may itself be an exemplar of others; here it is the one asked about.
        query = replace(item.query.reference, is_exemplar=False)
        return Inquiry(
            task=found.task,
            hits=found.hits,
            query=_SILENCE if arm.how == "silent" else query,
            labels=found.labels,
            question="" if self._task.has_labels else question,
            seed=seed,
        )

    # --- answers ---------------------------------------------------------------------

    def _labelled(
        self,
        arm: Arm,
        item: Item,
        seed: int,
        scores: Scores,
        shown: Sequence[Hit] = (),
        digest: str = "",
    ) -> Row:
        ranked = rank_labels(self.prepared.pool.labels, scores)
        text, confidence = predicted_label(self._task, ranked)
        exclusive = self._task.kind == "classify"
        kept = ranked[:_TOP] if exclusive else ranked
        chosen = (text,) if exclusive else tuple(x.label for x in ranked if x.score > 0.5)
        return Row(
            item=item.id,
            arm=arm.name,
            seed=seed,
            text=text,
            labels=chosen,
            confidence=confidence,
            scores={x.label: x.score for x in kept},
            shots=tuple(hit.exemplar.id for hit in shown),
            similarities=tuple(hit.similarity for hit in shown),
            digest=digest,
        )

    def _voted(self, arm: Arm, item: Item, seed: int, found: ShotSet) -> Row:
        if self._task.has_labels:
            scores, _ = self._retriever.vote(found, seed=seed)
            return self._labelled(arm, item, seed, scores, found.hits)
        # Answers in words vote when they are the same; of captions the nearest is taken.
        asked = [hit for hit in found.hits if _same_question(hit, item)] or list(found.hits)
        weights: dict[str, float] = {}
        if self._task.kind == "ask":
            for hit in asked:
                answer = normalise(hit.exemplar.answer)
                weights[answer] = weights.get(answer, 0.0) + max(hit.similarity, 0.0)
        best = max(weights, key=weights.__getitem__, default="")
        text = next(
            (x.exemplar.answer for x in asked if normalise(x.exemplar.answer) == best),
            asked[0].exemplar.answer,
        )
        total = sum(weights.values())
        return Row(
            item=item.id,
            arm=arm.name,
            seed=seed,
            text=text,
            confidence=weights[best] / total if total else _UNSURE,
            shots=tuple(hit.exemplar.id for hit in found.hits),
            similarities=tuple(hit.similarity for hit in found.hits),
        )

    def _majority(self, arm: Arm, item: Item, seed: int) -> Row:
        """Answer what most exemplars say, whoever is asked about.

        An item that is itself an exemplar counts, too: leaving it out would make its own
        label rarer, and a constant answer worse than it is.
        """
        pool = self.prepared.pool
        if self._task.has_labels:
            return self._labelled(arm, item, seed, self._shares)
        answers = Counter(normalise(exemplar.answer) for exemplar in pool.exemplars)
        text, n = answers.most_common(1)[0]
        return Row(item=item.id, arm=arm.name, seed=seed, text=text, confidence=n / len(pool))

    @cached_property
    def _shares(self) -> Scores:
        pool = self.prepared.pool
        return np.asarray(pool.memberships(np.arange(len(pool))).mean(axis=0))

    def _write(self, arm: Arm, item: Item, seed: int, inquiry: Inquiry) -> Row:
        assert self._model is not None  # __init__ saw to it
        generation, fitted = write_answer(self._model, inquiry, self._options)
        text = generation.text
        labels: tuple[str, ...] = ()
        if self._task.has_labels:
            worded = {self._task.wording(label): label for label in inquiry.labels}
            if self._task.kind == "classify":
                matched = match_label(text, tuple(worded))
                labels = (worded[matched],) if matched else ()
            else:
                labels = tuple(worded[x] for x in split_labels(text, tuple(worded)))
        return Row(
            item=item.id,
            arm=arm.name,
            seed=seed,
            text=text,
            labels=labels,
            confidence=generation.confidence,
            shots=tuple(hit.exemplar.id for hit in fitted.shown),
            similarities=tuple(hit.similarity for hit in fitted.shown),
            digest=fitted.prompt.digest,
        )


_SILENCE = ClipRef(
    audio=Clip(
        samples=np.zeros(round(_SILENCE_S * SAMPLE_RATE), dtype=np.float32),
        sample_rate=SAMPLE_RATE,
        source="silence",
    )
)


def _shares(arm: Arm, heard: Heard, seed: int) -> bool:
    return arm.how == "blend" and (arm.k, arm.strategy, seed) in heard


def _relabelled(hits: Sequence[Hit], pool: Pool, item: str, seed: int) -> tuple[Hit, ...]:
    """Give shots the labels and answers of other exemplars, drawn for each item."""
    random = np.random.default_rng([seed, *item.encode("utf-8", "surrogatepass")])
    drawn = random.integers(len(pool), size=len(hits))
    return tuple(
        replace(
            hit,
            exemplar=replace(
                hit.exemplar,
                labels=pool.exemplars[row].labels,
                answer=pool.exemplars[row].answer,
            ),
        )
        for hit, row in zip(hits, drawn.tolist(), strict=True)
    )


def _same_question(hit: Hit, item: Item) -> bool:
    return normalise(hit.exemplar.question) == normalise(item.question)


def embedding_seconds(retriever: Retriever, queries: Sequence[Query]) -> float:
    """Measure what hearing a recording costs before anything is retrieved, in seconds."""
    from earful.rag.retrieval import read_clip

    if retriever.embedder is None or not queries:
        return 0.0
    rate = retriever.embedder.fingerprint.sample_rate
    started = time.perf_counter()
    for query in queries:
        reference = query.reference
        audio = reference.audio
        clip = read_clip(audio, rate, reference.start_s, reference.end_s)
        retriever.embedder.embed([clip])
    return (time.perf_counter() - started) / len(queries)
