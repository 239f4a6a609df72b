"""What depends on a task only, worked out once and kept for the next query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from earful.errors import TaskError
from earful.index import Index
from earful.index.corpus import Exemplar
from earful.index.search import VectorSet
from earful.model import Embedder, LanguageModel
from earful.rag.blend import Blend
from earful.rag.retrieval.calibration import (
    ENOUGH_CASES,
    fit_calibration,
    guess_calibration,
    replay_calibration,
)
from earful.rag.retrieval.candidates import Pool, build_pool
from earful.rag.retrieval.examples import embed_examples
from earful.rag.retrieval.vote import Calibration
from earful.rag.task import STRATEGIES, Shots, Task, load_task
from earful.wording import counted, unknown_name

_ALL_LABELS = Task(name="all-labels")
_MOST_KEPT = 8

Shows = Callable[[Exemplar], bool]
"""Whether an exemplar of the index may be shown at all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A task's pool, and the calibrations fitted on it so far.

    Attributes:
        task: What is asked; its way of choosing shots left at the default.
        labels: Candidates that were asked for instead of the task's.
        need_exemplars: Whether every candidate has to have an exemplar.
        index: The index's vectors as they were.
        pool: What may answer.
        calibrations: By shots and seed, each with a note to the reader.
        blends: By all that they depend on but the language model, each with that.
    """

    task: Task
    labels: tuple[str, ...] | None
    need_exemplars: bool
    index: VectorSet | None
    pool: Pool
    calibrations: dict[tuple[Shots, int], tuple[Calibration, str]]
    blends: dict[str, tuple[LanguageModel, Blend]]


class TaskDesk:
    """Tasks read, examples embedded, pools built and votes calibrated: each once.

    Args:
        embedder: For a task's own examples.
        index: Further exemplars.
        shows: Which of the index's are used; all when ``None``.
    """

    def __init__(
        self, *, embedder: Embedder | None, index: Index | None, shows: Shows | None = None
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._shows = shows
        self._shown: tuple[VectorSet, VectorSet] | None = None
        self._tasks: dict[str, Task] = {}
        self._examples: list[tuple[Task, VectorSet]] = []
        self._prepared: list[Prepared] = []

    def task(
        self, source: Task | str | Path | None, *, shots: int | None, strategy: str | None
    ) -> Task:
        """Return a task with its shots changed as asked; ``None`` classifies all labels.

        Raises:
            TaskError: The task has mistakes, or there is no such strategy or number.
        """
        if source is None:
            task = _ALL_LABELS
        elif isinstance(source, Task):
            task = source
        else:
            if str(source) not in self._tasks:
                self._tasks[str(source)] = load_task(source)
            task = self._tasks[str(source)]
        if shots is None and strategy is None:
            return task
        return replace(task, shots=_changed(task.shots, shots, strategy))

    def prepare(
        self, task: Task, labels: Sequence[str] | None, *, need_exemplars: bool = True
    ) -> Prepared:
        """Return the pool of a task, built anew when the index was written to.

        Raises:
            TaskError: See ``build_pool`` and ``embed_examples``.
        """
        index = self._index_vectors()
        # The way shots are chosen does not change who may be chosen.
        asked = replace(task, shots=Shots())
        names = None if labels is None else tuple(labels)
        for known in self._prepared:
            key = (known.labels, known.task, known.need_exemplars)
            if known.index is index and key == (names, asked, need_exemplars):
                return known
        pool = build_pool(
            asked,
            index=index,
            examples=self._embedded(asked),
            labels=names,
            need_exemplars=need_exemplars,
        )
        prepared = Prepared(
            task=asked,
            labels=names,
            need_exemplars=need_exemplars,
            index=index,
            pool=pool,
            calibrations={},
            blends={},
        )
        self._prepared = [prepared, *self._prepared][:_MOST_KEPT]
        return prepared

    def calibration(self, prepared: Prepared, shots: Shots, seed: int) -> tuple[Calibration, str]:
        """Return how to score a task's shots, and what to tell the reader about it."""
        known = prepared.calibrations.get((shots, seed))
        if known is None:
            known = prepared.calibrations[shots, seed] = self._calibrated(prepared, shots, seed)
        return known

    def _calibrated(self, prepared: Prepared, shots: Shots, seed: int) -> tuple[Calibration, str]:
        exclusive = prepared.task.kind == "classify"
        own = fit_calibration(prepared.pool, shots, exclusive=exclusive, seed=seed)
        if own and own.n_cases >= ENOUGH_CASES:
            return own, ""
        if exclusive and prepared.index and any(e.labels for e in prepared.index.exemplars):
            everything = self.prepare(_ALL_LABELS, None).pool
            n_examples = [rows.size for rows in prepared.pool.rows_of_label]
            if replayed := replay_calibration(everything, n_examples, shots, seed=seed):
                return replayed, ""
        if own:
            n_cases = counted(own.n_cases, "exemplar")
            return own, f"confidence is calibrated on {n_cases} only"
        note = "too few exemplars to calibrate on; confidence is a rough guess"
        return guess_calibration(prepared.pool), note

    def _index_vectors(self) -> VectorSet | None:
        """Return the rows of the index that may be shown; the same object while it is unchanged."""
        if self._index is None:
            return None
        everything = self._index.vectors()
        if self._shows is None:
            return everything
        if self._shown is None or self._shown[0] is not everything:
            shows = self._shows
            rows = [row for row, exemplar in enumerate(everything.exemplars) if shows(exemplar)]
            self._shown = everything, everything.subset(np.array(rows, dtype=np.intp))
        return self._shown[1]

    def _embedded(self, task: Task) -> VectorSet | None:
        if not task.examples or self._embedder is None:
            return None
        for known, vectors in self._examples:
            if known.examples == task.examples:
                return vectors
        vectors = embed_examples(task.examples, self._embedder)
        self._examples = [(task, vectors), *self._examples][:_MOST_KEPT]
        return vectors


def _changed(shots: Shots, k: int | None, strategy: str | None) -> Shots:
    if k is not None:
        shots = replace(shots, k=k)
    if strategy is None:
        return shots
    for known in STRATEGIES:
        if known == strategy:
            return replace(shots, strategy=known)
    raise TaskError(unknown_name("strategy", strategy, STRATEGIES))
