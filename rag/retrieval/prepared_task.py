"""Prepared tasks: candidates and calibrations of a task, computed once and kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError, TaskError
from earful.index import Index
from earful.index.cache import PreparedCache, key_of
from earful.index.corpus import Exemplar
from earful.index.search import ClassScores, VectorSet
from earful.model import ClassScorer, Embedder, LabelNamer, LabelWords
from earful.model.runtime import sha256_of
from earful.rag.arrays import Similarities
from earful.rag.retrieval.calibration import (
    ENOUGH_CASES,
    NAMES_ALONE,
    fit_calibration,
    guess_calibration,
    guess_likeness,
    simulated_calibration,
)
from earful.rag.retrieval.candidates import Candidates
from earful.rag.retrieval.gathering import embed_examples, gather_candidates, require_exemplars
from earful.rag.retrieval.label_means import LabelMeans, LabelNames
from earful.rag.retrieval.vote import Calibration, shot_share
from earful.rag.strategies import STRATEGIES
from earful.rag.task import Example, Shots, Task, load_task
from earful.wording import counted, quoted

ALL_LABELS = Task(name="all-labels")
"""Plain classification among all labels of an index."""
_MOST_KEPT = 8
# Raised whenever the same index and task would be fitted to other numbers.
_RECIPE = 2

ExemplarFilter = Callable[[Exemplar], bool]
"""Whether an exemplar of the index may become a shot."""


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True, eq=False)
class PreparedTask:
    """A task with its candidates, and the calibrations fitted on them so far.

    Attributes:
        task: What is asked; with the default way of choosing shots.
        labels: Candidate labels that were asked for instead of the task's.
        index: The index's vectors as they were.
        candidates: Exemplars that may answer.
        means: The means of its labels.
        calibrations: By shots and seed, each with a note to the reader.
    """

    task: Task
    labels: tuple[str, ...] | None
    index: VectorSet | None
    candidates: Candidates
    means: LabelMeans
    calibrations: dict[tuple[Shots, int], tuple[Calibration, str]]


class TaskCache:
    """Tasks loaded, examples embedded, candidates gathered and votes calibrated, each once.

    Args:
        embedder: For a task's own examples.
        index: Further exemplars.
        exemplar_filter: Which of the index's may become shots; all when ``None``.
    """

    def __init__(
        self,
        *,
        embedder: Embedder | None,
        index: Index | None,
        exemplar_filter: ExemplarFilter | None = None,
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._filter = exemplar_filter
        self._kept = None if index is None else PreparedCache(index.path)
        self._filtered: tuple[VectorSet, VectorSet] | None = None
        self._tasks: dict[str, Task] = {}
        self._examples: list[tuple[Task, VectorSet]] = []
        self._prepared: list[PreparedTask] = []

    def load(self, source: Task | str | Path | None) -> Task:
        """Return a task; ``None`` for plain classification among all labels.

        Raises:
            TaskError: The task has mistakes.
        """
        if source is None:
            return ALL_LABELS
        if isinstance(source, Task):
            return source
        if not isinstance(source, str | os.PathLike):
            raise TypeError(
                f"task={quoted(source)}: expected a Task, the path of its file or its name"
            )
        if str(source) not in self._tasks:
            self._tasks[str(source)] = load_task(source)
        return self._tasks[str(source)]

    def prepare(
        self, task: Task, labels: Sequence[str] | None, *, need_exemplars: bool
    ) -> PreparedTask:
        """Return a task with its candidates; gathered anew once the index has changed.

        Raises:
            TaskError: See ``gather_candidates``, ``require_exemplars`` and
                ``embed_examples``.
        """
        index = self._vectors()
        # The way shots are chosen does not change who may be chosen.
        plain = replace(task, shots=Shots())
        names = None if labels is None else tuple(labels)
        examples = self._embedded(plain)
        has_names = bool(task.labels or labels or examples) or not task.has_labels
        # Rows at hand are counted: a forked child cannot ask the table.
        if not has_names and self._index is not None and not self._index.vectors():
            raise TaskError(self._index.why_empty())
        prepared = self._gathered(plain, names, index, examples)
        if need_exemplars:
            require_exemplars(
                plain,
                prepared.candidates,
                silent=prepared.means.silent,
                index=index,
                examples=examples,
                asked_for=labels is not None,
            )
        return prepared

    def calibration(
        self, prepared: PreparedTask, shots: Shots, seed: int
    ) -> tuple[Calibration, str]:
        """Return how similarities become scores, with a note to the reader or ``""``."""
        if not STRATEGIES[shots.strategy].is_random and prepared.task.kind == "classify":
            # All exemplars that may answer vote, whichever are shown.
            shots = Shots()
        known = prepared.calibrations.get((shots, seed))
        if known is None:
            known = prepared.calibrations[shots, seed] = self._calibrated(prepared, shots, seed)
        return known

    def likeness(
        self, prepared: PreparedTask, shots: Shots, seed: int, similarities: Similarities
    ) -> float:
        """Return how far a query is like its shots, in [0, 1]; below a half, like none of them.

        With labels, the share of the vote's weight that the shots have. Without, the nearest is
        held against how similar exemplars are to their own nearest; see ``guess_likeness``.

        Args:
            prepared: The task, with its candidates.
            shots: How they were chosen.
            seed: For the calibration's random choices.
            similarities: float64, shape ``(n_shots,)``; at least one.
        """
        if prepared.candidates.labels:
            return shot_share(similarities, self.calibration(prepared, shots, seed)[0])
        known = prepared.calibrations.get((shots, seed))
        if known is None:
            known = guess_likeness(prepared.means, seed=seed), ""
            prepared.calibrations[shots, seed] = known
        return shot_share(similarities.max(keepdims=True), known[0])

    def _gathered(
        self,
        task: Task,
        labels: tuple[str, ...] | None,
        index: VectorSet | None,
        examples: VectorSet | None,
    ) -> PreparedTask:
        for known in self._prepared:
            if known.index is index and (known.labels, known.task) == (labels, task):
                return known
        candidates = gather_candidates(
            task, index=index, examples=examples, labels=labels, need_exemplars=False
        )
        prepared = PreparedTask(
            task=task,
            labels=labels,
            index=index,
            candidates=candidates,
            means=LabelMeans(candidates, self._names(task, candidates)),
            calibrations={},
        )
        self._prepared = [prepared, *self._prepared][:_MOST_KEPT]
        return prepared

    def _calibrated(
        self, prepared: PreparedTask, shots: Shots, seed: int
    ) -> tuple[Calibration, str]:
        """Return a calibration that was kept, or fit one and keep it."""
        key = self._key(prepared, asdict(shots), seed)
        if self._kept is None or not key:
            return self._calibrate(prepared, shots, seed)

        def fitted() -> dict[str, NDArray[Any]]:
            calibration, note = self._calibrate(prepared, shots, seed)
            values = {**asdict(calibration), "note": note}
            return {name: np.array(value) for name, value in values.items()}

        kept = self._kept.get_or_make(key, fitted)
        values = {name: value.item() for name, value in kept.items()}
        note = values.pop("note")
        return Calibration(**values), note

    def _key(self, prepared: PreparedTask, *values: object) -> str:
        """Return the key of what is fitted on a task; empty where nobody can know it again."""
        if self._index is None or self._embedder is None or self._filter is not None:
            return ""
        try:
            state = self._index.state
        except IndexFolderError:
            return ""
        if prepared.index is not self._index.vectors():
            return ""  # rows of before the last change
        examples = self._embedded(prepared.task)
        own = [] if examples is None else zip(examples.exemplars, examples.content, strict=True)
        return key_of(
            _RECIPE,
            state,
            self._embedder.fingerprint.to_dict(),
            prepared.task.to_dict(),
            prepared.labels,
            [(e.id, e.labels, e.group, content, *e.not_labels) for e, content in own],
            prepared.means.names is not None,
            prepared.candidates.stored_scores is not None,
            *values,
        )

    def _calibrate(
        self, prepared: PreparedTask, shots: Shots, seed: int
    ) -> tuple[Calibration, str]:
        if not len(prepared.candidates):
            return NAMES_ALONE, ""
        # Best: leave-one-out over the candidates themselves.
        exclusive = prepared.task.kind == "classify"
        own = fit_calibration(prepared.means, shots, exclusive=exclusive, seed=seed)
        if own and own.n_cases >= ENOUGH_CASES:
            return own, ""
        # Next best: tasks of the same size, simulated with the index's other labels.
        if exclusive and prepared.index and any(e.labels for e in prepared.index.exemplars):
            others = self.prepare(ALL_LABELS, None, need_exemplars=True).means
            if prepared.means.names is None:
                others = LabelMeans(others.candidates)
            # Where the names at hand speak and others do not, those say nothing of these.
            if (prepared.means.names is None) == (others.names is None):
                n_examples = [rows.size for rows in prepared.candidates.rows_of_label]
                if simulated := simulated_calibration(others, n_examples, shots, seed=seed):
                    return simulated, ""
        if own:
            n_cases = counted(own.n_cases, "exemplar")
            return own, f"confidence is calibrated on {n_cases} only"
        note = "too few exemplars to calibrate on; confidence is a rough guess"
        return guess_calibration(prepared.means, exclusive=exclusive), note

    def _names(self, task: Task, candidates: Candidates) -> LabelNames | None:
        """Return what the labels' names mean to the embedder.

        ``None`` where they are codes, or where what is heard in the exemplars is not known, so
        that names would count for a query and for none of the cases it is calibrated on.
        """
        if task.kind != "classify" or not isinstance(self._embedder, LabelNamer):
            return None
        if not candidates.labels or (len(candidates) and candidates.stored_scores is None):
            return None
        words = self._label_words(
            self._embedder, [task.wording(label) for label in candidates.labels]
        )
        names = LabelNames(words=words, standardise=self._embedder.standardise)
        return names if names.mean_something else None

    def _label_words(self, namer: LabelNamer, names: list[str]) -> LabelWords:
        """Return what names say, which takes the table of words to find out."""
        if self._kept is None:
            return namer.label_words(names)
        key = key_of(_RECIPE, "words", namer.fingerprint.to_dict(), names)
        kept = self._kept.get_or_make(key, lambda: asdict(namer.label_words(names)))
        return LabelWords(**kept)

    def _vectors(self) -> VectorSet | None:
        """Return the index's rows that may become shots; the same object while unchanged."""
        if self._index is None:
            return None
        everything = self._index.vectors()
        if self._filter is None:
            return everything
        if self._filtered is None or self._filtered[0] is not everything:
            keep = self._filter
            rows = [row for row, exemplar in enumerate(everything.exemplars) if keep(exemplar)]
            self._filtered = everything, everything.subset(np.array(rows, dtype=np.intp))
        return self._filtered[1]

    def _embedded(self, task: Task) -> VectorSet | None:
        if not task.examples or self._embedder is None:
            return None
        for known, vectors in self._examples:
            if known.examples == task.examples:
                return vectors
        vectors = self._embed(task.examples, self._embedder)
        self._examples = [(task, vectors), *self._examples][:_MOST_KEPT]
        return vectors

    def _embed(self, examples: Sequence[Example], embedder: Embedder) -> VectorSet:
        """Embed a task's examples, or find their vectors by the content of their files."""
        if self._kept is None:
            return embed_examples(examples, embedder)
        try:
            files = {example.path: sha256_of(example.path) for example in examples}
        except OSError:
            return embed_examples(examples, embedder)  # which names the file
        examples = sorted(examples, key=lambda example: example.exemplar.id)
        segments = [
            (files[e.path], e.exemplar.start_s, e.exemplar.end_s, e.exemplar.id) for e in examples
        ]
        scores = isinstance(embedder, ClassScorer)
        key = key_of(_RECIPE, "examples", embedder.fingerprint.to_dict(), scores, segments)
        if (found := self._kept.get(key)) is not None:
            return VectorSet(
                exemplars=[example.exemplar for example in examples],
                paths=[example.path for example in examples],
                content=found["content"].tolist(),
                vectors=found["vectors"],
                durations=found["durations"].tolist() if "durations" in found else None,
                stored_scores=ClassScores.of(found["scores"]) if "scores" in found else None,
            )
        made = embed_examples(examples, embedder)
        arrays = {
            "content": np.array(made.content),
            "vectors": made.vectors,
            "durations": np.array(made.durations),
        }
        if made.class_scores is not None:
            arrays["scores"] = made.class_scores
        self._kept.put(key, arrays)
        return made
