"""Shot sets: the shots of a query, and what else speaks for the labels of its task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earful.errors import PromptError
from earful.index.search import Hit
from earful.model import ExplainsTexts
from earful.rag.arrays import Rows, Similarities
from earful.rag.retrieval.candidates import Candidates
from earful.rag.retrieval.label_means import LabelEvidence, LabelMeans
from earful.rag.retrieval.prepared_task import PreparedTask
from earful.rag.retrieval.query import Query
from earful.rag.strategies import STRATEGIES, pick_shots
from earful.rag.task import Task
from earful.values import short_repr
from earful.wording import counted

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voters:
    """Evidence for the labels of one query.

    Attributes:
        allowed: Exemplars whose likeness speaks for their labels, bool, shape ``(n,)``: all that
            may answer, or the shots alone where those were drawn at random or changed.
        similarities: Of every exemplar to the query, shape ``(n,)``.
        class_scores: The query's, float32, shape ``(n_classes,)``; ``None`` if unknown.
    """

    allowed: NDArray[np.bool_]
    similarities: NDArray[np.floating]
    class_scores: NDArray[np.float32] | None

    def only(self, rows: Rows) -> Voters:
        """Return some exemplars alone as voters."""
        allowed = np.zeros_like(self.allowed)
        allowed[rows] = True
        return replace(self, allowed=allowed)

    def weigh(self, means: LabelMeans) -> LabelEvidence:
        """Return what speaks for each label."""
        return means.weigh(self.similarities, self.allowed, self.class_scores)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShotSet:
    """The shots of one query.

    Attributes:
        task: What is asked, and how shots are chosen.
        labels: Candidate labels; empty for a task without labels.
        prepared: The task with its candidates; ``None`` when nothing was retrieved.
        rows: Rows of the candidates, nearest first.
        similarities: Of each row to the query.
        hits: The same rows as hits.
        voters: What speaks for the labels where one is right; ``None`` for other tasks, and when
            nothing was retrieved.
        notes: What a reader should know of the choice.
    """

    task: Task
    labels: tuple[str, ...]
    prepared: PreparedTask | None = None
    rows: Rows
    similarities: Similarities
    hits: tuple[Hit, ...] = ()
    voters: Voters | None = None
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    @classmethod
    def empty(cls, task: Task, labels: tuple[str, ...], *notes: str) -> ShotSet:
        """Make a set without any shot."""
        none = np.empty(0)
        return cls(
            task=task, labels=labels, rows=none.astype(np.intp), similarities=none, notes=notes
        )


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
    vector = vector_of(query)
    # Who may answer: nobody of the query's own recording, content or group.
    allowed = candidates.allowed(query.exclusions)
    if not allowed.any():
        raise PromptError(
            f"{query.name}: every exemplar that could answer is from the same recording, has "
            "the same content or is of the same group; add others"
        )
    # How like the query everybody is, where that speaks for labels; one pass over the vectors.
    everybody = None
    if task.kind == "classify":
        everybody = prepared.means.similarities(vector, float32_scores)
        if float32_scores is None:
            float32_scores = everybody.astype(np.float32)
    # Who does: as the task's strategy says.
    rows, exact = pick_shots(
        candidates,
        vector,
        shots=task.shots,
        allowed=allowed,
        seed=seed,
        float32_scores=float32_scores,
    )
    # Whose likeness speaks for labels: everybody who may answer, or those who were drawn.
    voters = None
    if everybody is not None:
        voters = Voters(allowed=allowed, similarities=everybody, class_scores=query.class_scores)
        voters = voters.only(rows) if STRATEGIES[task.shots.strategy].is_random else voters
    return ShotSet(
        task=task,
        labels=candidates.labels,
        prepared=prepared,
        rows=rows,
        similarities=exact,
        hits=candidates.hits(rows, exact),
        voters=voters,
        notes=_notes(prepared.means, task, rows),
    )


def names_alone(
    prepared: PreparedTask, task: Task, query: Query, embedder: object = None
) -> ShotSet:
    """Score labels by their names alone, where there is no exemplar or none is wanted.

    Args:
        prepared: The task; the embedder knows what its labels' names mean.
        task: The same.
        query: The recording.
        embedder: The embedder, which may tell names that it knows no sound of.
    """
    n = len(prepared.candidates)
    none = Voters(
        allowed=np.zeros(n, dtype=np.bool_),
        similarities=np.zeros(n),
        class_scores=query.class_scores,
    )
    note = "no exemplar was used: the names of the labels alone speak for them"
    found = ShotSet.empty(task, prepared.candidates.labels, note)
    notes = (
        *found.notes,
        *_only_label_note(found.labels, task),
        *_unknown_names_note(found.labels, task, embedder),
    )
    return replace(found, prepared=prepared, voters=none, notes=notes)


def vector_of(query: Query) -> NDArray[np.float32]:
    """Return a query's vector.

    Raises:
        ValueError: It has none.
    """
    if query.vector is None:
        raise ValueError("the query has no vector; read it with an embedder")
    return query.vector


def products(candidates: Candidates, queries: Sequence[Query]) -> NDArray[np.float32]:
    """Return float32, shape ``(n_queries, n)``: each query's product with every candidate."""
    return np.asarray(np.stack([vector_of(query) for query in queries]) @ candidates.vectors.T)


def _notes(means: LabelMeans, task: Task, rows: Rows) -> tuple[str, ...]:
    notes = list(_only_label_note(means.candidates.labels, task))
    if means.silent:
        notes.append(f"no exemplar has the label {', '.join(map(repr, means.silent))}")
    if named := ", ".join(map(repr, means.named_only)):
        note = (
            f"no exemplar has the label {named}, so only its name speaks for it"
            if len(means.named_only) == 1
            else f"no exemplar has the labels {named}, so only their names speak for them"
        )
        near = means.candidates.near_labels
        meant = [f"{near[label]!r}" for label in means.named_only if label in near]
        notes.append(f"{note}; did you mean {' and '.join(meant)}?" if meant else note)
    if means.candidates.contested:
        notes.append(_contested_note(means.candidates))
    if len(rows) < task.shots.k:
        notes.append(f"only {len(rows)} of {task.shots.k} shots could be found")
    return tuple(notes)


def _unknown_names_note(labels: Sequence[str], task: Task, embedder: object) -> tuple[str, ...]:
    """Explain the first name that says nothing of a sound, and name the others."""
    if not isinstance(embedder, ExplainsTexts):
        return ()
    first, others = "", []
    for label in labels:
        if why := embedder.explain_text(task.wording(label)):
            first = first or why
            others.append(repr(label))
    if not first:
        return ()
    others = others[1:]
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    also = f"; so it is with {', '.join(others[:_MOST_NAMED])}{more}" if others else ""
    return (f"{first}{also}",)


def _only_label_note(labels: Sequence[str], task: Task) -> tuple[str, ...]:
    if task.kind != "classify" or len(labels) != 1:
        return ()
    return (f"{labels[0]!r} is the only label, so that nothing else could be answered",)


def _contested_note(candidates: Candidates) -> str:
    """Count the recordings that stand in several rows whose labels differ."""
    first, *others = candidates.contested
    ids = ", ".join(candidates.exemplars[row].id for row in first[:_MOST_NAMED])
    names = ", ".join(repr(candidates.labels[label]) for label in candidates.row_labels[first[0]])
    return (
        f"{counted(1 + len(others), 'recording stands', 'recordings stand')} in several rows "
        f"whose labels differ ({ids}: {names}); each votes once, for all of its labels"
    )
