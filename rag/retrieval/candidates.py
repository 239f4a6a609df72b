"""The exemplars that may answer a task, with their labels in the task's own names."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from earful.index.corpus import Exemplar
from earful.index.search import ClassScores, Hit
from earful.rag.arrays import Rows, Similarities


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
        durations: Seconds of each; 0 where not known, which is what ``None`` stands for.
        n_of_other_tasks: Exemplars that have an answer and the name of another task, counted
            by that name; empty for kinds with labels.
        contested: Rows of each recording that stands in several under labels that differ.
        near_labels: For labels without an exemplar, the one that exemplars have and that is
            spelt nearly alike, where there is one.
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
        durations: Sequence[float] | None = None,
        n_of_other_tasks: Mapping[str, int] = MappingProxyType({}),
        contested: Sequence[tuple[int, ...]] = (),
        near_labels: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.labels = tuple(labels)
        self.n_of_other_tasks = n_of_other_tasks
        self.exemplars = exemplars
        self.paths = paths
        self.content = content
        self.vectors = vectors
        self.row_labels = row_labels
        self.stored_scores = stored_scores
        self.durations = (0.0,) * len(exemplars) if durations is None else durations
        self.contested = tuple(contested)
        self.near_labels = near_labels
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

    def with_labels(self, row_labels: Sequence[tuple[int, ...]]) -> Candidates:
        """Return the same exemplars with other labels, given for each by their positions."""
        other = copy.copy(self)
        other.row_labels = row_labels
        for kept in ("rows_of_label", "rows_without_label", "missing", "digest"):
            other.__dict__.pop(kept, None)
        return other

    def with_audio_of(self, rows: Rows) -> Candidates:
        """Return the same exemplars, each heard as another one sounds; all else stays.

        Args:
            rows: For each exemplar, the row whose audio takes the place of its own.
        """
        other = copy.copy(self)
        other.paths = [self.paths[row] for row in rows]
        other.content = [self.content[row] for row in rows]
        other.exemplars = [
            replace(own, audio=of.audio, start_s=of.start_s, end_s=of.end_s)
            for own, row in zip(self.exemplars, rows, strict=True)
            for of in [self.exemplars[row]]
        ]
        other.__dict__.pop("digest", None)
        return other

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
            durations=[self.durations[row] for row in rows],
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
                duration_s=float(self.durations[row]),
            )
            for rank, (row, similarity) in enumerate(zip(rows, similarities, strict=True))
        )


def _codes(values: Iterable[str]) -> tuple[NDArray[np.intp], dict[str, int]]:
    """Number distinct texts, so that comparing a column with one is fast; -1 for empty."""
    code_of: dict[str, int] = {}
    codes = [code_of.setdefault(value, len(code_of)) if value else -1 for value in values]
    return np.array(codes, dtype=np.intp), code_of
