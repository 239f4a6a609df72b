"""The shots of one query, and what they vote."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earful.errors import PromptError
from earful.index.search import Hit
from earful.rag.arrays import Rows, Scores, Similarities
from earful.rag.retrieval.candidates import Pool
from earful.rag.retrieval.desk import Prepared, TaskDesk
from earful.rag.retrieval.query import Query
from earful.rag.retrieval.strategies import choose_shots
from earful.rag.retrieval.vote import label_prior, vote
from earful.rag.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotSet:
    """Exemplars chosen for one query.

    Attributes:
        task: What is asked, and how shots are chosen.
        labels: Candidates; empty for a task without labels.
        prepared: The task's pool; ``None`` when nothing was retrieved.
        rows: Rows of the pool, nearest first.
        similarities: Of each row to the query.
        hits: The same as hits.
        notes: What a reader should know of the choice.
    """

    task: Task
    labels: tuple[str, ...]
    prepared: Prepared | None = None
    rows: Rows
    similarities: Similarities
    hits: tuple[Hit, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def none(cls, task: Task, labels: tuple[str, ...], *notes: str) -> ShotSet:
        """Ask without any exemplar."""
        empty = np.empty(0)
        return cls(
            task=task, labels=labels, rows=empty.astype(np.intp), similarities=empty, notes=notes
        )


def find_shots(prepared: Prepared, task: Task, query: Query, *, seed: int) -> ShotSet:
    """Choose a query's shots.

    Args:
        prepared: The task's pool, with at least one exemplar.
        task: What is asked, and how shots are chosen.
        query: With a vector.
        seed: For the strategy ``random``.

    Raises:
        PromptError: Every exemplar is from the query's own recording or group.
        ValueError: The query has no vector.
    """
    pool = prepared.pool
    if query.vector is None:
        raise ValueError("the query has no vector; read it with an embedder")
    allowed = pool.allowed(query.guard)
    if not allowed.any():
        raise PromptError(
            f"{query.name}: every exemplar that could answer is from the same recording, has "
            "the same content or is of the same group; add others"
        )
    rows, similarities = choose_shots(
        pool, query.vector, shots=task.shots, allowed=allowed, seed=seed
    )
    return ShotSet(
        task=task,
        labels=pool.labels,
        prepared=prepared,
        rows=rows,
        similarities=similarities,
        hits=pool.hits(rows, similarities),
        notes=_notes(pool, task, rows),
    )


def vote_of(desk: TaskDesk, shots: ShotSet, *, seed: int) -> tuple[Scores, str]:
    """Let shots vote on their task's labels.

    Args:
        desk: Calibrates the vote, once a task.
        shots: At least one.
        seed: For the calibration's random choices.

    Returns:
        float64, shape ``(n_labels,)``, each in [0, 1]; and a note, empty when there is
        nothing to say.

    Raises:
        ValueError: Nothing was retrieved.
    """
    if shots.prepared is None:
        raise ValueError("no shots were retrieved, so there is no vote")
    task, pool = shots.task, shots.prepared.pool
    calibration, note = desk.calibration(shots.prepared, task.shots, seed)
    exclusive = task.kind == "classify"
    scores = vote(
        shots.similarities,
        pool.memberships(shots.rows),
        calibration,
        prior=label_prior(pool, exclusive=exclusive),
        exclusive=exclusive,
    )
    return scores, note


def _notes(pool: Pool, task: Task, rows: Rows) -> tuple[str, ...]:
    notes: list[str] = []
    if pool.missing:
        notes.append(f"no exemplar has the label {', '.join(map(repr, pool.missing))}")
    if len(rows) < task.shots.k:
        notes.append(f"only {len(rows)} of {task.shots.k} shots could be found")
    return tuple(notes)
