"""The exemplars that may answer a task, with their labels in the task's own names."""

from __future__ import annotations

import difflib
import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earful.errors import TaskError
from earful.index.corpus import Exemplar
from earful.index.search import ClassScores, Hit, VectorSet, group_equal, labels_of_all
from earful.rag.arrays import Rows, Similarities
from earful.rag.task import Task

# An exemplar's id, the set it is of, its row there, and the positions of its labels.
_Found = tuple[str, VectorSet, int, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusions:
    """Exemplars that a query must not meet among its shots: itself, under any name.

    Attributes:
        paths: Paths of the query's recording, as given and resolved, both absolute; empty
            when it has none.
        content: ``content_sha256`` of the query; empty when unknown.
        group: Recording, site or speaker the query came from; empty when unknown.
        further_groups: Groups besides, of a recording that stands in several.
        lookalikes: ``content_sha256`` of recordings that are the query's in all but a bit,
            such as another encoding of it; found by ``leakage.py``.
    """

    paths: frozenset[str] = frozenset()
    content: str = ""
    group: str = ""
    further_groups: frozenset[str] = frozenset()
    lookalikes: frozenset[str] = frozenset()

    @property
    def groups(self) -> frozenset[str]:
        """All groups, without the empty one."""
        return (self.further_groups | {self.group}) - {""}


class Candidates:
    """Exemplars in the order of their ids, each with row numbers of the task's labels.

    For tasks with labels, rows of equal audio all have the labels of all of them, and count once:
    see ``once``.

    Attributes:
        labels: Candidate labels, in the task's order; empty for kinds without labels.
        exemplars: ``n`` exemplars with distinct ids.
        paths: Resolved audio path of each.
        content: ``content_sha256`` of each.
        vectors: float32, shape ``(n, dim)``, unit rows.
        row_labels: For each exemplar, the positions of its labels in ``labels``.
        stored_scores: Class scores of the exemplars, not read yet; ``None`` unless all have
            some.
        contested: Rows of each recording that stands in several under labels that differ.
    """

    def __init__(
        self,
        *,
        labels: Sequence[str],
        exemplars: Sequence[Exemplar],
        paths: Sequence[Path],
        content: Sequence[str],
        vectors: NDArray[np.float32],
        row_labels: Sequence[tuple[int, ...]],
        stored_scores: ClassScores | None = None,
        contested: Sequence[tuple[int, ...]] = (),
    ) -> None:
        self.labels = tuple(labels)
        self.exemplars = exemplars
        self.paths = paths
        self.content = content
        self.vectors = vectors
        self.row_labels = row_labels
        self.stored_scores = stored_scores
        self.contested = tuple(contested)
        self._path_codes, self._path_code = _codes(str(path) for path in paths)
        self._content_codes, self._content_code = _codes(content)
        self._group_codes, self._group_code = _codes(exemplar.group for exemplar in exemplars)

    def __len__(self) -> int:
        return len(self.exemplars)

    @property
    def class_scores(self) -> NDArray[np.float16] | None:
        """Logits of the classes that the embedder knows; ``None`` unless every row has them.

        float16, shape ``(n, n_classes)``, read from the disk when first asked for.
        """
        return None if self.stored_scores is None else self.stored_scores.array

    @cached_property
    def rows_of_label(self) -> tuple[Rows, ...]:
        """Rows that carry each label, ascending."""
        rows: list[list[int]] = [[] for _ in self.labels]
        for row, labels in enumerate(self.row_labels):
            for label in labels:
                rows[label].append(row)
        return tuple(np.array(found, dtype=np.intp) for found in rows)

    @cached_property
    def rows_without_label(self) -> Rows:
        """Rows that carry no label, ascending."""
        return np.array([row for row, own in enumerate(self.row_labels) if not own], dtype=np.intp)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Labels that no exemplar carries."""
        return tuple(
            label
            for label, rows in zip(self.labels, self.rows_of_label, strict=True)
            if not rows.size
        )

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over the exemplars: audio content, labels, groups, where they lie."""
        known = hashlib.sha256(json.dumps(self.labels).encode("ascii"))
        for exemplar, content, labels in zip(
            self.exemplars, self.content, self.row_labels, strict=True
        ):
            segment = [str(exemplar.audio), exemplar.start_s, exemplar.end_s]
            values = [exemplar.id, content, segment, exemplar.group, exemplar.labels, labels]
            known.update(json.dumps(values).encode("ascii"))
        return known.hexdigest()

    def allowed(self, exclusions: Exclusions) -> NDArray[np.bool_]:
        """Mark the rows that a query may see; rows of equal audio are kept from it together.

        Returns:
            bool, shape ``(n,)``.
        """
        allowed = np.ones(len(self), dtype=np.bool_)
        for value, codes, code_of in (
            *((path, self._path_codes, self._path_code) for path in exclusions.paths),
            *(
                (content, self._content_codes, self._content_code)
                for content in (exclusions.content, *exclusions.lookalikes)
            ),
            *((group, self._group_codes, self._group_code) for group in exclusions.groups),
        ):
            if value and value in code_of:
                allowed &= codes != code_of[value]
        # What is of the query's group under one name is so under every other.
        codes = self._content_codes[self._copies]
        allowed[self._copies] &= ~np.isin(codes, codes[~allowed[self._copies]])
        return allowed

    def once(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Mark each recording's first row among some, bool of shape ``(n,)``.

        Returns:
            bool, shape ``(n,)``; the same array where no audio stands twice.
        """
        copies = self._copies[rows[self._copies]]
        if not copies.size:
            return rows
        _, first = np.unique(self._content_codes[copies], return_index=True)
        found = rows.copy()
        found[np.delete(copies, first)] = False
        return found

    @cached_property
    def distinct(self) -> Rows:
        """The first row of each recording, ascending."""
        return np.flatnonzero(self.once(np.ones(len(self), dtype=np.bool_)))

    @cached_property
    def _copies(self) -> Rows:
        """Rows whose audio stands in several, ascending."""
        codes = self._content_codes
        counts = np.bincount(codes[codes >= 0], minlength=1)
        return np.flatnonzero((codes >= 0) & (counts[codes] > 1))

    def exclusions_of(self, row: int) -> Exclusions:
        """Return what a row must not meet when it is asked about itself."""
        own = self.exemplars[row].group
        copies = self._copies[self._content_codes[self._copies] == self._content_codes[row]]
        return Exclusions(
            paths=frozenset(str(self.paths[one]) for one in (row, *copies)),
            content=self.content[row],
            group=own,
            further_groups=frozenset(self.exemplars[one].group for one in copies) - {"", own},
        )

    def subset(self, rows: Rows, labels: Sequence[int]) -> Candidates:
        """Return some rows as candidates for some labels.

        Args:
            rows: Row numbers, ascending.
            labels: Positions in ``labels``; they become the subset's labels, in this order.
        """
        position_of = {label: position for position, label in enumerate(labels)}
        return Candidates(
            labels=[self.labels[label] for label in labels],
            exemplars=[self.exemplars[row] for row in rows],
            paths=[self.paths[row] for row in rows],
            content=[self.content[row] for row in rows],
            vectors=self.vectors[rows],
            row_labels=[
                tuple(position_of[x] for x in self.row_labels[row] if x in position_of)
                for row in rows
            ],
            stored_scores=self.stored_scores and self.stored_scores.subset(rows),
            contested=self._contested_of(rows),
        )

    def _contested_of(self, rows: Rows) -> list[tuple[int, ...]]:
        """Return the contested recordings of a subset, by its own row numbers."""
        place_of = {row: n for n, row in enumerate(rows.tolist())}
        found = [tuple(place_of[x] for x in own if x in place_of) for own in self.contested]
        return [own for own in found if own]

    def memberships(self, rows: Rows) -> NDArray[np.float64]:
        """Mark which labels some rows carry.

        Returns:
            float64 of zeros and ones, shape ``(len(rows), n_labels)``.
        """
        member = np.zeros((len(rows), len(self.labels)))
        for position, row in enumerate(rows):
            member[position, list(self.row_labels[row])] = 1.0
        return member

    def hits(self, rows: Rows, similarities: Similarities) -> tuple[Hit, ...]:
        """Return rows as hits, ranked in the order given."""
        return tuple(
            Hit(
                exemplar=self.exemplars[row],
                similarity=float(similarity),
                rank=rank,
                path=self.paths[row],
                content_sha256=self.content[row],
            )
            for rank, (row, similarity) in enumerate(zip(rows, similarities, strict=True))
        )


def gather_candidates(
    task: Task,
    *,
    index: VectorSet | None,
    examples: VectorSet | None,
    labels: Sequence[str] | None = None,
    need_exemplars: bool = True,
) -> Candidates:
    """Gather the candidates of a task: its own examples and the index's rows with its labels.

    A row belongs when one of its labels is a label of the task or an alias of one; for a
    task without labels, when it has an answer. Rows of equal audio get the labels of all. A
    task's example replaces an index row of the same id. In a ``multilabel`` task, an example
    with no labels says "none of these".

    Args:
        task: What is asked.
        index: Rows of an index, if there is one.
        examples: The task's own examples, embedded, if it has any.
        labels: Candidates instead of all labels of the task.
        need_exemplars: Whether a candidate without any exemplar is an error, as it is for
            a vote; a language model knows words that no exemplar has.

    Raises:
        TaskError: A candidate is not a label of a task that declares its labels, has no
            exemplar, or stands twice; or no exemplar is left for any label; or there is
            no label to choose from.
    """
    names = _candidates(task, index, examples, labels)
    position_of = _positions(task, names)
    parts = [part for part in (examples, index) if part is not None and len(part)]
    found: list[_Found] = []
    taken: set[str] = set()
    for part in parts:
        for row, exemplar in enumerate(part.exemplars):
            positions = tuple(sorted({position_of[x] for x in exemplar.labels if x in position_of}))
            if exemplar.id not in taken and _belongs(task, exemplar, positions, part is examples):
                found.append((exemplar.id, part, row, positions))
        taken = {id_ for id_, _, _, _ in found}
    found.sort(key=lambda item: item[0])
    exemplars = [part.exemplars[row] for _, part, row, _ in found]
    row_labels = [positions for _, _, _, positions in found]
    contested: list[tuple[int, ...]] = []
    if task.has_labels:
        for group in group_equal([part.content[row] for _, part, row, _ in found]):
            together = tuple(sorted({label for n in group for label in row_labels[n]}))
            if any(row_labels[n] != together for n in group):
                contested.append(group)
                labelled = labels_of_all([exemplars[n] for n in group])
                for n in group:
                    row_labels[n] = together
                    exemplars[n] = replace(exemplars[n], labels=labelled, answer="")
    candidates = Candidates(
        labels=names,
        exemplars=tuple(exemplars),
        paths=tuple(part.paths[row] for _, part, row, _ in found),
        content=tuple(part.content[row] for _, part, row, _ in found),
        vectors=_vectors(parts, found),
        row_labels=tuple(row_labels),
        stored_scores=_stored_scores(parts, found),
        contested=contested,
    )
    if need_exemplars:
        require_exemplars(
            task,
            candidates,
            silent=candidates.missing,
            index=index,
            examples=examples,
            asked_for=labels is not None,
        )
    elif task.has_labels and not names:
        raise TaskError(f"task {task.name!r} has no labels to choose from; give some")
    return candidates


def require_exemplars(
    task: Task,
    candidates: Candidates,
    *,
    silent: Sequence[str],
    index: VectorSet | None,
    examples: VectorSet | None,
    asked_for: bool,
) -> None:
    """Refuse a task that nothing can answer by a vote.

    Args:
        task: What is asked.
        candidates: From ``gather_candidates``.
        silent: Labels for which neither an exemplar nor their name speaks.
        index: As for ``gather_candidates``.
        examples: As for ``gather_candidates``.
        asked_for: Whether the labels were asked for one by one, so that something must speak
            for each.

    Raises:
        TaskError: Nothing speaks for a label, or for any.
    """
    parts = [part for part in (examples, index) if part is not None]
    if task.has_labels and silent and (asked_for or not len(candidates)):
        known = sorted({label for part in parts for e in part.exemplars for label in e.labels})
        shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
        near = difflib.get_close_matches(silent[0], known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise TaskError(
            f"no exemplar has the label {', '.join(map(repr, silent))}.{hint} There "
            f"are: {shown or 'none'}. Add examples to a task file, or recordings to the index"
        )
    if not len(candidates) and not (task.has_labels and candidates.labels):
        wanted = "labelled" if task.has_labels else "answered"
        raise TaskError(
            f"task {task.name!r}: there are no {wanted} exemplars; add examples to the task "
            "file, or recordings to the index"
        )


def _candidates(
    task: Task,
    index: VectorSet | None,
    examples: VectorSet | None,
    labels: Sequence[str] | None,
) -> tuple[str, ...]:
    if not task.has_labels:
        return ()
    if labels is None:
        if task.labels:
            return tuple(task.labels)
        source = examples or index
        return tuple(sorted({x for e in source.exemplars for x in e.labels})) if source else ()
    names = tuple(unicodedata.normalize("NFC", label) for label in labels)
    for position, name in enumerate(names):
        if name in names[:position]:
            raise TaskError(f"label {name!r} is given twice: expected each label once")
        if task.labels and name not in task.labels:
            raise TaskError(
                f"label {name!r} is none of task {task.name!r}; it has {', '.join(task.labels)}"
            )
    if not names:
        raise TaskError("no labels to choose from; give at least one, or none for all")
    return names


def _positions(task: Task, names: Sequence[str]) -> dict[str, int]:
    """Map every name and alias to its label's position."""
    position_of: dict[str, int] = {}
    for position, name in enumerate(names):
        label = task.labels.get(name)
        for text in (name, *(label.aliases if label else ())):
            position_of[unicodedata.normalize("NFC", text)] = position
    return position_of


def _belongs(task: Task, exemplar: Exemplar, positions: tuple[int, ...], own: bool) -> bool:
    if task.has_labels:
        return bool(positions) or (own and task.kind == "multilabel" and not exemplar.labels)
    return bool(exemplar.answer) and task.is_named(exemplar.task)


def _vectors(parts: Sequence[VectorSet], found: Sequence[_Found]) -> NDArray[np.float32]:
    vectors = np.empty((len(found), parts[0].vectors.shape[1] if parts else 0), dtype=np.float32)
    for part, at, rows in _shares(parts, found):
        if len(rows) == len(found) == len(part):
            # All rows of one set, in the same order: a large index is not copied.
            return part.vectors
        vectors[at] = part.vectors[rows]
    return vectors


def _stored_scores(parts: Sequence[VectorSet], found: Sequence[_Found]) -> ClassScores | None:
    known = [(part.stored_scores, at, rows) for part, at, rows in _shares(parts, found)]
    shares = [(scores, at, rows) for scores, at, rows in known if scores is not None]
    if not shares or len(shares) < len(known):
        return None
    if len(shares) == 1:
        scores, _, rows = shares[0]
        return scores.subset(rows)
    return ClassScores.gathered(len(found), shares)


def _shares(
    parts: Sequence[VectorSet], found: Sequence[_Found]
) -> Iterator[tuple[VectorSet, Rows, Rows]]:
    """Yield each set that gives rows, with their places among all and their own numbers."""
    for part in parts:
        mine = [(at, row) for at, (_, owner, row, _) in enumerate(found) if owner is part]
        if mine:
            at, rows = np.array(mine, dtype=np.intp).T
            yield part, at, rows


def _codes(values: Iterable[str]) -> tuple[NDArray[np.intp], dict[str, int]]:
    """Number distinct texts, so that comparing a column with one is fast; -1 for empty."""
    code_of: dict[str, int] = {}
    codes = [code_of.setdefault(value, len(code_of)) if value else -1 for value in values]
    return np.array(codes, dtype=np.intp), code_of
