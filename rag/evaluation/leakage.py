"""Leakage: exemplars that are an evaluation's items under another name.

Four kinds are looked for between items and the exemplars that could answer them: equal
decoded audio, near-duplicates (cosine similarity of the embeddings at or above a
threshold), a common origin, such as one Freesound id in two datasets, and a common group,
such as a speaker or a recording. When rows of one index are asked about in turn, each query's
exclusions already cover equal audio and groups; near-duplicates they cannot know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from earful.errors import LeakageError
from earful.rag.evaluation.items import Item
from earful.rag.retrieval import Candidates
from earful.wording import counted

LeakKind = Literal["content", "near-duplicate", "origin", "group"]
OnLeaks = Literal["refuse", "exclude", "allow"]

ON_LEAKS: tuple[OnLeaks, ...] = get_args(OnLeaks)
NEAR_DUPLICATE = 0.97
"""Cosine similarity from which two recordings count as the same one.

With ``earful-tiny``, another encoding of a recording is usually above it, a shifted or
resampled one is not: embeddings find copies, but do not prove that there are none.
"""

_ITEMS_AT_ONCE = 256
_MOST_LISTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """An item and an exemplar that give each other away.

    Attributes:
        item: Id of the item.
        exemplar: Id of the exemplar.
        kind: The kind of leak.
        similarity: Cosine similarity of their embeddings.
        shared: The common group, origin or content digest; empty for a near-duplicate.
    """

    item: str
    exemplar: str
    kind: LeakKind
    similarity: float
    shared: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "item": self.item,
            "exemplar": self.exemplar,
            "kind": self.kind,
            "similarity": round(self.similarity, 6),
            "shared": self.shared,
        }

    def __str__(self) -> str:
        reason = {
            "content": "the same audio",
            "near-duplicate": f"similarity {self.similarity:.4f}",
            "origin": f"both are {self.shared!r}",
            "group": f"both of group {self.shared!r}",
        }
        return f"{self.item} and {self.exemplar}: {reason[self.kind]}"


def find_leaks(
    items: Sequence[Item],
    candidates: Candidates,
    *,
    threshold: float = NEAR_DUPLICATE,
    held_out: bool,
) -> tuple[Leak, ...]:
    """Find exemplars that give items away.

    Args:
        items: Items, with vectors.
        candidates: Exemplars that may answer.
        threshold: Cosine similarity of a near-duplicate, in (0, 1].
        held_out: Whether items and exemplars should have nothing in common. Otherwise the
            items are candidates themselves, asked about in turn, and a pair that an item's
            exclusions keep apart anyway is no leak.

    Returns:
        One leak a pair, of the first kind that holds in the order of ``LeakKind``; in
        the order of the items, the most similar first.

    Raises:
        ValueError: The threshold is outside its range.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold={threshold}: expected more than 0, at most 1")
    if not len(candidates):
        return ()
    leaks: list[Leak] = []
    content = np.array(candidates.content, dtype=object)
    origins = np.array(
        [exemplar.meta.get("origin", "") for exemplar in candidates.exemplars], object
    )
    groups = np.array([exemplar.group for exemplar in candidates.exemplars], dtype=object)
    for start in range(0, len(items), _ITEMS_AT_ONCE):
        some = items[start : start + _ITEMS_AT_ONCE]
        vectors = np.array([item.query.vector for item in some], dtype=np.float32)
        for item, scores in zip(some, vectors @ candidates.vectors.T, strict=True):
            # Each kind of leak as a mask over the candidates.
            exclusions = item.query.exclusions
            same = (content == exclusions.content) & bool(exclusions.content)
            grouped = np.isin(groups, sorted(exclusions.groups))
            near = scores >= threshold
            sourced = (origins == item.origin) & bool(item.origin)
            if not held_out:
                same[:] = grouped[:] = False
                allowed = candidates.allowed(exclusions)
                near &= allowed
                sourced &= allowed
            # One leak a row, of the first kind that holds.
            rows = np.flatnonzero(same | near | sourced | grouped)
            for row in rows[np.argsort(-scores[rows], kind="stable")].tolist():
                kind: LeakKind = "group"
                shared = str(groups[row])
                if same[row]:
                    kind, shared = "content", str(content[row])
                elif near[row]:
                    kind, shared = "near-duplicate", ""
                elif sourced[row]:
                    kind, shared = "origin", str(origins[row])
                leaks.append(
                    Leak(
                        item=item.id,
                        exemplar=candidates.exemplars[row].id,
                        kind=kind,
                        similarity=float(min(scores[row], 1.0)),
                        shared=shared,
                    )
                )
    return tuple(leaks)


def refuse_leaks(leaks: Sequence[Leak]) -> None:
    """Stop an evaluation whose items are given away.

    Raises:
        LeakageError: There are leaks; the message lists the first of them.
    """
    if not leaks:
        return
    n_of = {kind: sum(leak.kind == kind for leak in leaks) for kind in get_args(LeakKind)}
    counts = ", ".join(f"{n} by {kind}" for kind, n in n_of.items() if n)
    listed = "; ".join(map(str, leaks[:_MOST_LISTED]))
    more = f"; and {len(leaks) - _MOST_LISTED} more" if len(leaks) > _MOST_LISTED else ""
    n_items = len({leak.item for leak in leaks})
    raise LeakageError(
        f"{counted(n_items, 'item is', 'items are')} given away by exemplars ({counts}), so an "
        "evaluation would flatter; keep them apart with --leaks exclude, or give --leaks allow. "
        f"Found: {listed}{more}",
        leaks,
    )


def keep_apart(
    items: Sequence[Item], leaks: Sequence[Leak], candidates: Candidates
) -> tuple[Item, ...]:
    """Add the exemplars that give an item away to its exclusions.

    Args:
        items: Items.
        leaks: From ``find_leaks``.
        candidates: Exemplars that may answer.

    Returns:
        The items in the same order, with wider exclusions.
    """
    content_of = {
        exemplar.id: content
        for exemplar, content in zip(candidates.exemplars, candidates.content, strict=True)
    }
    lookalikes: dict[str, set[str]] = {}
    for leak in leaks:
        lookalikes.setdefault(leak.item, set()).add(content_of[leak.exemplar])
    return tuple(
        replace(
            item,
            query=replace(
                item.query,
                exclusions=replace(
                    item.query.exclusions, lookalikes=frozenset(lookalikes[item.id])
                ),
            ),
        )
        if item.id in lookalikes
        else item
        for item in items
    )
