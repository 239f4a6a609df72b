"""A search filter as SQL over the table, for searches that do not hold all rows in RAM."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from earful.index.storage import sql_literal

if TYPE_CHECKING:
    from earful.index.search.exact import SearchFilter


def sql_of(chosen: SearchFilter, roots: Sequence[Path]) -> str:
    """Write every condition of a filter but ``min_similarity`` as one SQL condition.

    Args:
        chosen: The filter; its own ``where`` stands in brackets among the rest.
        roots: The corpus roots, by number.

    Returns:
        The condition; empty where every row passes.

    >>> from earful.index.search.exact import SearchFilter
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
