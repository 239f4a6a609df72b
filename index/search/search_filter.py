"""Search filters: which rows may be found, and the same conditions as SQL over the table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from earful.index.storage import sql_literal
from earful.values import short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """Conditions on the rows that may be found. All must hold; an empty one always does.

    >>> import earful
    >>> few = earful.FewShot.open("sounds.index")
    >>> [hit.exemplar.answer for hit in few.search("street.wav", k=3)]
    ['siren', 'siren', 'siren']
    >>> chosen = SearchFilter(labels={"dog", "rain"}, where="duration_s < 5")
    >>> sorted({hit.exemplar.answer for hit in few.search("street.wav", k=9, filter=chosen)})
    ['dog', 'rain']

    Attributes:
        labels: At least one of the row's labels is among these.
        splits: The row's split is among these.
        exclude_ids: Ids left out.
        exclude_groups: Groups left out. The empty group never matches.
        exclude_content: ``content_sha256`` digests left out.
        exclude_paths: Resolved audio paths left out.
        where: SQL over the index's columns; only ``Index.search`` evaluates it.
        min_similarity: Least cosine similarity, in [-1, 1].

    Raises:
        TypeError: A field that must be a set is a string.
        ValueError: ``min_similarity`` is outside [-1, 1].
    """

    labels: frozenset[str] = frozenset()
    splits: frozenset[str] = frozenset()
    exclude_ids: frozenset[str] = frozenset()
    exclude_groups: frozenset[str] = frozenset()
    exclude_content: frozenset[str] = frozenset()
    exclude_paths: frozenset[str] = frozenset()
    where: str = ""
    min_similarity: float | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name in _SETS:
            if isinstance(value := getattr(self, name), str):
                raise TypeError(f"{name}={value!r}: expected a set such as {{{value!r}}}, got text")
            if other := [item for item in value if not isinstance(item, str)]:
                raise TypeError(f"{name} holds {other[0]!r}: expected text")
            object.__setattr__(self, name, frozenset(value))
        if not isinstance(self.where, str):
            raise TypeError(f"where={self.where!r}: expected an SQL condition as text")
        if self.min_similarity is not None and not -1.0 <= self.min_similarity <= 1.0:
            raise ValueError(f"min_similarity={self.min_similarity}: expected a number in [-1, 1]")


_SETS = ("labels", "splits", "exclude_ids", "exclude_groups", "exclude_content", "exclude_paths")


def sql_of(chosen: SearchFilter, roots: Sequence[Path]) -> str:
    """Write all conditions of a filter, except ``min_similarity``, as one SQL condition.

    Args:
        chosen: The filter; its own ``where`` becomes one part, in brackets.
        roots: The corpus roots, by number.

    Returns:
        The condition; empty where every row passes.

    >>> sql_of(SearchFilter(labels=frozenset({"it's"}), exclude_groups=frozenset({"a"})), [])
    "array_has_any(labels, ['it''s']) AND NOT `group` IN ('a')"
    """
    parts = []
    if chosen.where:
        # The line end closes a comment.
        parts.append(f"(\n{chosen.where}\n)")
    if chosen.labels:
        parts.append(f"array_has_any(labels, [{_listed(chosen.labels)}])")
    if chosen.splits:
        parts.append(f"split IN ({_listed(chosen.splits)})")
    for column, values in (
        ("id", chosen.exclude_ids),
        ("`group`", chosen.exclude_groups - {""}),
        ("content_sha256", chosen.exclude_content - {""}),
    ):
        if values:
            parts.append(f"NOT {column} IN ({_listed(values)})")
    for path in sorted(chosen.exclude_paths):
        for number, root in enumerate(roots):
            if Path(path).is_relative_to(root):
                audio = sql_literal(Path(path).relative_to(root).as_posix())
                parts.append(f"NOT (root = {number} AND audio = {audio})")
    return " AND ".join(parts)


def _listed(values: Collection[str]) -> str:
    return ", ".join(sql_literal(value) for value in sorted(values))
