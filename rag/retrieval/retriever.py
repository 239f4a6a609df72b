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
from earful.index.search import Hit, SearchFilter
from earful.model import Embedder, ExplainsTexts
from earful.rag.arrays import Rows, Similarities
from earful.rag.retrieval.candidates import Candidates
from earful.rag.retrieval.index_search import compares_scores, search_index
from earful.rag.retrieval.prepared_task import ExemplarFilter, PreparedTask, TaskCache
from earful.rag.retrieval.query import Audio, Query, Stopwatch, read_queries
from earful.rag.retrieval.vote import LabelVote, label_prior, vote
from earful.rag.strategies import STRATEGIES, pick_shots
from earful.rag.task import Shots, Task
from earful.wording import unknown_name

_log = logging.getLogger(__name__)

_READ_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotSet:
    """The shots of one query.

    Attributes:
        task: What is asked, and how shots are chosen.
        labels: Candidate labels; empty for a task without labels.
        prepared: The task with its candidates; ``None`` when nothing was retrieved.
        rows: Rows of the candidates, nearest first.
        similarities: Of each row to the query.
        hits: The same rows as hits.
        query: What they were found for; ``None`` when nothing was retrieved.
        voters: Exemplars whose likeness speaks for their labels, bool, shape ``(n,)``: all that
            may answer, or the shots alone where those were drawn at random or changed.
        all_similarities: Of every exemplar to the query, float64, shape ``(n,)``.
        notes: What a reader should know of the choice.
    """

    task: Task
    labels: tuple[str, ...]
    prepared: PreparedTask | None = None
    rows: Rows
    similarities: Similarities
    hits: tuple[Hit, ...] = ()
    query: Query | None = None
    voters: NDArray[np.bool_] | None = None
    all_similarities: Similarities | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def empty(cls, task: Task, labels: tuple[str, ...], *notes: str) -> ShotSet:
        """Make a set without any shot."""
        none = np.empty(0)
        return cls(
            task=task, labels=labels, rows=none.astype(np.intp), similarities=none, notes=notes
        )


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
        if index is not None and embedder is not None:
            index.require(embedder.fingerprint)
        self.embedder = embedder
        self.index = index
        self._change: ShotChange | None = None
        self._tasks = TaskCache(embedder=embedder, index=index, exemplar_filter=exemplar_filter)

    def with_change(self, change: ShotChange) -> Retriever:
        """Return a retriever like this one whose shots are changed after they are found.

        For controls, such as shots with other exemplars' labels.
        """
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
    ) -> Iterator[Retrieved | AudioError | PromptError]:
        """Read recordings and find the shots of each, in batches.

        A batch is decoded side by side, embedded together and compared with all candidates in
        one product.

        Args:
            recordings: Files, clips, or queries that were read before.
            task: As for ``find``, like the four that follow.
            labels: Candidate labels.
            shots: How many were asked for.
            need_exemplars: Whether every label must have an exemplar.
            seed: For random choices.
            sample_rate: As for ``read_queries``, like the three that follow.
            start_s: In seconds.
            end_s: In seconds.
            group: The recordings' group.

        Yields:
            What was retrieved for each recording in order, or the error that kept it from
            that.

        Raises:
            TaskError: As for ``find``.
        """
        for start in range(0, len(recordings), _READ_AT_ONCE):
            batch = recordings[start : start + _READ_AT_ONCE]
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
            queries = [query for query in found if isinstance(query, Query)]
            rows: Iterator[NDArray[np.float32] | None] = itertools.repeat(None)
            if len(queries) > 1 and self.embedder is not None and shots != 0:
                prepared = self.prepare(task, labels, need_exemplars=need_exemplars)
                if len(prepared.candidates):
                    with shared.stage("retrieve_s"):
                        rows = iter(_float32_scores(prepared.candidates, queries))
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
    ) -> ShotSet:
        """Find a query's shots.

        Args:
            task: What is asked, and how shots are chosen.
            query: From ``read``.
            labels: Candidate labels instead of the task's.
            shots: How many were asked for; 0 for none.
            need_exemplars: Whether there is no answer without an exemplar of every label.
            seed: For random choices.
            float32_scores: float32 dot products with every candidate, if they are at hand.

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
        if alone:
            return ShotSet.empty(task, prepared.candidates.labels)
        if not len(prepared.candidates):
            note = "no exemplar has an answer to this, so none is shown"
            return ShotSet.empty(task, prepared.candidates.labels, note)
        found = find_shots(prepared, task, query, seed=seed, float32_scores=float32_scores)
        if self._change is None:
            return found
        changed = self._change(query, found)
        if np.array_equal(changed.rows, found.rows):
            return changed
        return replace(changed, voters=_marked(changed.rows, len(prepared.candidates)))

    def vote(self, shots: ShotSet, *, seed: int) -> LabelVote:
        """Let exemplars vote on their task's labels.

        Args:
            shots: At least one.
            seed: For the calibration's random choices.

        Raises:
            ValueError: Nothing was retrieved.
        """
        if shots.prepared is None or shots.query is None:
            raise ValueError("no shots were retrieved, so there is no vote")
        task, candidates = shots.task, shots.prepared.candidates
        calibration, note = self._tasks.calibration(shots.prepared, task.shots, seed)
        exclusive = task.kind == "classify"
        evidence = None
        voters, memberships = shots.similarities, candidates.memberships(shots.rows)
        if exclusive and shots.all_similarities is not None and shots.voters is not None:
            evidence = shots.prepared.means.weigh(
                shots.all_similarities, shots.voters, shots.query.class_scores
            )
            voters, memberships = evidence.scores, np.eye(len(candidates.labels))
        scores = vote(
            voters,
            memberships,
            calibration,
            prior=label_prior(candidates, exclusive=exclusive),
        )
        return LabelVote(scores=scores, evidence=evidence, calibration=calibration, note=note)

    def search(
        self,
        audio: Audio | None,
        *,
        text: str | None,
        k: int,
        filter: SearchFilter,
        backend: str,
    ) -> list[Hit]:
        """Find the exemplars of the index nearest to a recording or a sentence.

        A text that the embedder hardly knows is logged as a warning, see ``text_note``.

        Raises:
            ValueError: There is no index, or as ``search_index``.
        """
        if self.index is None or self.embedder is None:
            raise ValueError("there is no index to search")
        found = search_index(
            self.index, self.embedder, audio, text, k=k, filter=filter, backend=backend
        )
        if text is not None and (note := self.text_note(text)):
            _log.warning("%s", note, extra={"text": text})
        return found

    def text_note(self, text: str) -> str:
        """Return what a reader should know of a search by a text; ``""`` for nothing.

        Raises:
            PromptError: The embedder knows nothing of the text.
        """
        return self.embedder.explain_text(text) if isinstance(self.embedder, ExplainsTexts) else ""

    @property
    def compares_scores(self) -> bool:
        """Whether texts are compared with the index's class scores rather than its vectors."""
        return self.index is not None and compares_scores(self.embedder, self.index)


def find_shots(
    prepared: PreparedTask,
    task: Task,
    query: Query,
    *,
    seed: int,
    float32_scores: NDArray[np.float32] | None = None,
) -> ShotSet:
    """Choose a query's shots among a task's candidates.

    Args:
        prepared: The task, with at least one candidate.
        task: The same, with its way of choosing shots.
        query: With a vector.
        seed: For a random strategy.
        float32_scores: float32 dot products with every candidate, if they are at hand.

    Raises:
        PromptError: Every exemplar is from the query's own recording or group.
        ValueError: The query has no vector.
    """
    candidates = prepared.candidates
    vector = _vector(query)
    # Who may answer: nobody of the query's own recording, content or group.
    allowed = candidates.allowed(query.exclusions)
    if not allowed.any():
        raise PromptError(
            f"{query.name}: every exemplar that could answer is from the same recording, has "
            "the same content or is of the same group; add others"
        )
    # Who does: as the task's strategy says.
    rows, exact = pick_shots(
        candidates,
        vector,
        shots=task.shots,
        allowed=allowed,
        seed=seed,
        float32_scores=float32_scores,
    )
    means = prepared.means
    drawn = STRATEGIES[task.shots.strategy].is_random
    return ShotSet(
        task=task,
        labels=candidates.labels,
        prepared=prepared,
        rows=rows,
        similarities=exact,
        hits=candidates.hits(rows, exact),
        query=query,
        voters=_marked(rows, len(candidates)) if drawn else allowed,
        all_similarities=means.similarities(vector, float32_scores),
        notes=_notes(candidates, task, rows),
    )


def _marked(rows: Rows, n: int) -> NDArray[np.bool_]:
    marked = np.zeros(n, dtype=np.bool_)
    marked[rows] = True
    return marked


def _notes(candidates: Candidates, task: Task, rows: Rows) -> tuple[str, ...]:
    notes: list[str] = []
    if candidates.missing:
        notes.append(f"no exemplar has the label {', '.join(map(repr, candidates.missing))}")
    if len(rows) < task.shots.k:
        notes.append(f"only {len(rows)} of {task.shots.k} shots could be found")
    return tuple(notes)


def _float32_scores(candidates: Candidates, queries: Sequence[Query]) -> NDArray[np.float32]:
    """Return float32, shape ``(n_queries, n)``: each query's product with every candidate."""
    return np.asarray(np.stack([_vector(query) for query in queries]) @ candidates.vectors.T)


def _vector(query: Query) -> NDArray[np.float32]:
    if query.vector is None:
        raise ValueError("the query has no vector; read it with an embedder")
    return query.vector
