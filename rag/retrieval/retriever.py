"""Retriever: finds a query's shots among an index and a task's own examples, and lets them vote.

The whole of retrieval in order: ``task`` (what is asked, with its shots changed as wanted),
``retrieve`` (recordings become queries), ``find`` (candidates, exclusions and a strategy give a
query's shots), ``vote`` (calibrated scores of labels). No language model takes part.
"""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, PromptError, TaskError
from earful.index import Index
from earful.index.search import Hit, Hits, SearchFilter
from earful.model import Embedder, ExplainsTexts
from earful.rag.retrieval.arguments import to_labels, to_recordings
from earful.rag.retrieval.gathering import other_tasks
from earful.rag.retrieval.index_search import compares_scores, search_index
from earful.rag.retrieval.prepared_task import ExemplarFilter, PreparedTask, TaskCache
from earful.rag.retrieval.query import (
    READ_AT_ONCE,
    AskOptions,
    Audio,
    Query,
    Readable,
    Stopwatch,
    among_long_ones,
    read_in_batches,
    read_queries,
)
from earful.rag.retrieval.shot_set import ShotSet, find_shots, names_alone, products
from earful.rag.retrieval.vote import (
    Calibration,
    LabelVote,
    label_prior,
    vote_of_labels,
    vote_of_shots,
)
from earful.rag.strategies import STRATEGIES
from earful.rag.task import Shots, Task
from earful.values import repr_of
from earful.wording import quoted, unknown_name

_log = logging.getLogger(__name__)

# Of a text and class scores the similarity is a probability.
_BY_CHANCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """One recording's query and shots.

    Attributes:
        query: The recording.
        shots: Its shots.
        watch: Seconds spent on it so far.
    """

    query: Query
    shots: ShotSet
    watch: Stopwatch


ShotChange = Callable[[Query, ShotSet], ShotSet]
"""Makes another set of shots out of the one that was found for a query."""


class Retriever:
    """Reads queries, finds their shots and lets them vote.

    What depends on a task only (candidates, its examples' vectors, calibration) is computed
    once and kept.

    Args:
        embedder: Turns recordings into vectors; ``None`` when nothing is retrieved.
        index: Exemplars besides a task's own.
        exemplar_filter: Which exemplars of the index may become shots; all when ``None``.

    Raises:
        IndexMismatchError: The index was made by another embedder.
    """

    def __init__(
        self,
        *,
        embedder: Embedder | None,
        index: Index | None,
        exemplar_filter: ExemplarFilter | None = None,
    ) -> None:
        if embedder is not None and not hasattr(embedder, "fingerprint"):
            raise TypeError(
                f"embedder={quoted(embedder)}: expected an embedder, as load_embedder makes one of "
                "a name; FewShot.open takes names as well"
            )
        if index is not None and not isinstance(index, Index):
            raise TypeError(
                f"index={quoted(index)}: expected an Index; FewShot.open takes its path as well"
            )
        if index is not None and embedder is not None:
            index.require(embedder.fingerprint)
        self.embedder = embedder
        self.index = index
        self._change: ShotChange | None = None
        self._tasks = TaskCache(embedder=embedder, index=index, exemplar_filter=exemplar_filter)

    def __repr__(self) -> str:
        name = self.embedder.fingerprint.name if self.embedder is not None else None
        return repr_of(self, embedder=name, index=None if self.index is None else self.index.path)

    def with_change(self, change: ShotChange) -> Retriever:
        """Return a retriever like this one whose shots are changed once found, for controls."""
        other = copy.copy(self)
        other._change = change
        return other

    def task(
        self,
        source: Task | str | Path | None,
        *,
        shots: int | None,
        strategy: str | None,
        most: int | None = None,
    ) -> Task:
        """Return a task with its shots changed as wanted.

        Args:
            source: The task, its file or its name; ``None`` for plain classification.
            shots: How many; ``None`` or 0 for the task's number.
            strategy: How they are chosen; ``None`` for the task's way.
            most: How many can be shown. More are cut off with a note when they are asked
                for; the default, which nobody asked for, is lowered to this number.

        Raises:
            TaskError: The task has mistakes, or there is no such strategy or number.
        """
        task = self._tasks.load(source)
        wanted = task.shots
        if strategy is not None:
            if strategy not in STRATEGIES:
                raise TaskError(unknown_name("strategy", strategy, tuple(STRATEGIES)))
            wanted = replace(wanted, strategy=strategy)
        if shots:
            wanted = replace(wanted, k=shots)
        elif shots is None and most is not None and most < wanted.k == Shots().k:
            wanted = replace(wanted, k=most)
        return task if wanted == task.shots else replace(task, shots=wanted)

    def prepare(
        self, task: Task, labels: Sequence[str] | None = None, *, need_exemplars: bool = False
    ) -> PreparedTask:
        """Return a task with its candidates.

        Args:
            task: What is asked.
            labels: Candidate labels instead of the task's.
            need_exemplars: Whether every label must have an exemplar.

        Raises:
            TaskError: See ``gather_candidates``.
        """
        return self._tasks.prepare(task, labels, need_exemplars=need_exemplars)

    def calibrate(
        self, task: Task, labels: Sequence[str] | None = None, *, seed: int = 0
    ) -> Calibration:
        """Fit what turns similarities into scores, and keep it; raises as ``prepare``."""
        return self._tasks.calibration(self.prepare(task, labels), task.shots, seed)[0]

    def names_can_answer(self, task: Task, labels: Sequence[str] | None = None) -> bool:
        """Whether the embedder knows the names of all labels, and there is no exemplar of any.

        Raises:
            TaskError: See ``gather_candidates``.
        """
        prepared = self.prepare(task, labels)
        means = prepared.means
        return bool(means.named_only) and not (means.silent or len(prepared.candidates))

    def retrieve(
        self,
        recordings: Sequence[Audio | Query],
        task: Task,
        labels: Sequence[str] | None,
        *,
        shots: int | None,
        need_exemplars: bool,
        seed: int,
        sample_rate: int,
        start_s: float = 0.0,
        end_s: float | None = None,
        group: str = "",
        names_speak: bool = False,
    ) -> Iterator[Retrieved | AudioError | PromptError]:
        """Read recordings and find the shots of each, in batches.

        A batch is decoded side by side, embedded together and compared with all candidates in
        one product.

        Args:
            recordings: Files, clips and the like, or queries; see ``to_recording``.
            task: As for ``find``, like the four that follow.
            labels: Candidate labels.
            shots: How many were asked for.
            need_exemplars: Whether every label must have an exemplar.
            seed: For random choices.
            sample_rate: As for ``read_queries``, like the three that follow.
            start_s: In seconds.
            end_s: In seconds.
            group: The recordings' group.
            names_speak: As for ``find``.

        Yields:
            What was retrieved for each recording in order, or the error that kept it from
            that.

        Raises:
            TaskError: As for ``find``.
        """
        readable, labels = to_recordings(recordings), to_labels(labels)
        for start in range(0, len(readable), READ_AT_ONCE):
            batch = readable[start : start + READ_AT_ONCE]
            shared = Stopwatch()
            found = read_queries(
                batch,
                embedder=self.embedder,
                sample_rate=sample_rate,
                start_s=start_s,
                end_s=end_s,
                group=group,
                watch=shared,
            )
            found = [among_long_ones(query, self.index) for query in found]
            queries = [query for query in found if isinstance(query, Query)]
            rows: Iterator[NDArray[np.float32] | None] = itertools.repeat(None)
            if len(queries) > 1 and self.embedder is not None and shots != 0:
                prepared = self.prepare(task, labels, need_exemplars=need_exemplars)
                if len(prepared.candidates):
                    with shared.stage("retrieve_s"):
                        rows = iter(products(prepared.candidates, queries))
            for query in found:
                if isinstance(query, AudioError):
                    yield query
                    continue
                watch = shared.share(len(queries))
                try:
                    with watch.stage("retrieve_s"):
                        shot_set = self.find(
                            task,
                            query,
                            labels,
                            shots=shots,
                            need_exemplars=need_exemplars,
                            seed=seed,
                            float32_scores=next(rows),
                            names_speak=names_speak,
                        )
                except PromptError as error:
                    yield error
                    continue
                yield Retrieved(query=query, shots=shot_set, watch=watch)

    def find(
        self,
        task: Task,
        query: Query,
        labels: Sequence[str] | None,
        *,
        shots: int | None,
        need_exemplars: bool,
        seed: int,
        float32_scores: NDArray[np.float32] | None = None,
        names_speak: bool = False,
    ) -> ShotSet:
        """Find a query's shots.

        Args:
            task: What is asked, and how shots are chosen.
            query: From ``read``.
            labels: Candidate labels instead of the task's.
            shots: How many were asked for; 0 for none.
            need_exemplars: Whether there is no answer without an exemplar of every label, or a
                name that the embedder knows.
            seed: For random choices.
            float32_scores: float32 dot products with every candidate, if they are at hand.
            names_speak: Whether names, if all are known, speak where no exemplar does.

        Raises:
            TaskError: No exemplar answers the task, or shots are asked for where there
                are none to find.
            PromptError: Every exemplar is from the query's own recording or group.
        """
        alone = shots == 0 or self.embedder is None
        if alone and need_exemplars:
            raise TaskError(
                "0 shots leave nothing to vote: expected 1 or more, or a language model"
            )
        if alone and shots:
            raise TaskError(f"{shots} shots are asked for, but there is no index to find them in")
        prepared = self.prepare(task, labels, need_exemplars=need_exemplars)
        if names_speak and (alone or not (len(prepared.candidates) or shots)):
            names = prepared.means.names if task.kind == "classify" else None
            if names is not None and names.known.all() and query.class_scores is not None:
                return names_alone(prepared, task, query, self.embedder)
        if alone:
            # Whoever asks for 0 shots knows it.
            unasked = shots is None and task.has_labels
            notes = ("no exemplar was used: the language model alone answers",) if unasked else ()
            return ShotSet.empty(task, prepared.candidates.labels, *notes)
        if not len(prepared.candidates):
            if need_exemplars:
                if shots:
                    raise TaskError(
                        f"{shots} shots are asked for, but there is no exemplar to show"
                    )
                return names_alone(prepared, task, query, self.embedder)
            others = prepared.candidates.n_of_other_tasks
            why = self.index.why_empty() if self.index is not None else ""
            note = why or "no exemplar has an answer to this, so none is shown"
            if others:
                note = f"no exemplar is shown: {other_tasks(others)}"
            return ShotSet.empty(task, prepared.candidates.labels, note)
        found = find_shots(prepared, task, query, seed=seed, float32_scores=float32_scores)
        if self._change is None:
            return found
        changed = self._change(query, found)
        if changed.voters is None or np.array_equal(changed.rows, found.rows):
            return changed
        return replace(changed, voters=changed.voters.only(changed.rows))

    def vote(self, shots: ShotSet, *, seed: int) -> LabelVote:
        """Score labels by the vote of exemplars, and by names where the embedder knows words.

        Args:
            shots: From ``find``.
            seed: For the calibration's random choices.

        Raises:
            ValueError: Nothing was retrieved.
        """
        if shots.prepared is None:
            raise ValueError("no shots were retrieved, so there is no vote")
        prepared, candidates = shots.prepared, shots.prepared.candidates
        calibration, note = self._tasks.calibration(prepared, shots.task.shots, seed)
        evidence = None if shots.voters is None else shots.voters.weigh(prepared.means)
        if evidence is None:
            member, prior = candidates.memberships(shots.rows), label_prior(candidates)
            scores = vote_of_shots(shots.similarities, member, calibration, prior=prior)
        else:
            scores = vote_of_labels(evidence.scores, calibration)
        return LabelVote(scores=scores, evidence=evidence, calibration=calibration, note=note)

    def likeness(self, shots: ShotSet, *, seed: int, voted: LabelVote | None = None) -> float:
        """Return how far a query is like its shots, in [0, 1]; below a half, like none of them.

        Where one label is right the vote says it, else see ``TaskCache.likeness``.

        Args:
            shots: From ``find``.
            seed: For the calibration's random choices.
            voted: What ``vote`` returned for them, if it is at hand.
        """
        if shots.prepared is None or not len(shots.rows):
            return 0.0
        if shots.voters is not None:
            return (voted or self.vote(shots, seed=seed)).likeness
        return self._tasks.likeness(shots.prepared, shots.task.shots, seed, shots.similarities)

    def search_text(self, text: str, *, k: int, filter: SearchFilter, backend: str) -> Hits:
        """Find the exemplars of the index nearest to a sentence.

        What a reader should know of it is logged as a warning; see ``text_note``.

        Raises:
            ValueError: There is no index, or as ``search_index``.
        """
        found = search_index(*self._searched, text, k=k, filter=filter, backend=backend)
        if note := self.text_note(text, found):
            _log.warning("%s", note, extra={"text": text})
        return found

    def search_each(
        self,
        recordings: Sequence[Readable | Query],
        *,
        k: int,
        filter: SearchFilter,
        backend: str,
        ask: AskOptions,
    ) -> Iterator[Hits | AudioError]:
        """Find the exemplars of the index nearest to each of several recordings.

        What a reader should know of a recording is logged; not of a query, which was read before.

        Yields:
            Hits for each recording in order, or why it cannot be read.

        Raises:
            ValueError: There is no index, or as ``search_index``.
        """
        index, embedder = self._searched
        queries = read_in_batches(recordings, embedder, ask=ask)
        for given, query in zip(recordings, queries, strict=True):
            if isinstance(query, AudioError):
                yield query
                continue
            for note in query.notes if query is not given else ():
                _log.warning("%s", note, extra={"audio": query.name})
            yield search_index(index, embedder, query, k=k, filter=filter, backend=backend)

    @property
    def _searched(self) -> tuple[Index, Embedder]:
        if self.index is None or self.embedder is None:
            raise ValueError("there is no index to search")
        return self.index, self.embedder

    def text_note(self, text: str, found: Sequence[Hit] = ()) -> str:
        """Return what a reader should know of a search by a text; ``""`` for nothing.

        Args:
            text: The text.
            found: What the search found.

        Raises:
            PromptError: The embedder knows nothing of the text.
        """
        notes = (
            [self.embedder.explain_text(text)] if isinstance(self.embedder, ExplainsTexts) else []
        )
        best = max((hit.similarity for hit in found), default=1.0)
        if self.compares_scores and best < _BY_CHANCE:
            notes.append(
                f"nothing here is more likely than not what the text says: at most {best:.2f}"
            )
        return "; ".join(filter(None, notes))

    @property
    def compares_scores(self) -> bool:
        """Whether texts are compared with the index's class scores rather than its vectors."""
        return self.index is not None and compares_scores(self.embedder, self.index)
