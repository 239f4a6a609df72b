"""Leakage: exemplars that are an evaluation's items under another name.

Four kinds are looked for between items and the exemplars that could answer them: equal
decoded audio, near-duplicates (one recording in another encoding, level, rate or cut), a common
origin, such as one Freesound id in two datasets, and a common group, such as a speaker or a
recording. When rows of one index are asked about in turn, each query's exclusions already cover
equal audio and groups; near-duplicates they cannot know.

Near-duplicates are told by the signals (``compare_signals``); the embeddings only propose pairs,
as stationary sounds of many machines are nearer to each other than a copy is to its original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from earful.errors import LeakageError
from earful.index.health import Segment, compare_signals, propose_pairs
from earful.plain import plain_fields
from earful.rag.evaluation.items import Item
from earful.rag.retrieval import Candidates
from earful.wording import counted

LeakKind = Literal["content", "near-duplicate", "origin", "group"]
Pairs = NDArray[np.intp]
OnLeaks = Literal["refuse", "exclude", "allow"]

ON_LEAKS: tuple[OnLeaks, ...] = get_args(OnLeaks)
NEAR_DUPLICATE = 0.97
"""Cosine similarity from which any two recordings are compared by their signals.

Of each item, the 32 nearest exemplars are, too: with ``earful-small``, a copy at another level or
rate is at 0.3 to 0.7, and its original still among them in 99 of 100 cases.
"""

_ITEMS_AT_ONCE = 256
_MOST_LISTED = 5


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
        return plain_fields(self, digits=6)

    def __str__(self) -> str:
        reason = {
            "content": "the same audio",
            "near-duplicate": "one recording in two forms, by its signal "
            f"(vectors {self.similarity:.2f} alike)",
            "origin": f"both are {self.shared!r}",
            "group": f"both of group {self.shared!r}",
        }
        return f"{self.item} and {self.exemplar}: {reason[self.kind]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakSearch:
    """Exemplars that give items away, and what could not be looked at.

    Attributes:
        leaks: One a pair, in the order of the items, the most similar first.
        unheard: Why recordings could not be compared by their signals, a line each.
    """

    leaks: tuple[Leak, ...]
    unheard: tuple[str, ...]


def find_leaks(
    items: Sequence[Item],
    candidates: Candidates,
    *,
    threshold: float = NEAR_DUPLICATE,
    held_out: bool,
) -> LeakSearch:
    """Find exemplars that give items away.

    Args:
        items: Items, with vectors.
        candidates: Exemplars that may answer.
        threshold: Cosine similarity from which an item and an exemplar are compared by their
            signals, in (0, 1], beside the 32 nearest exemplars of each; at 1 none are.
        held_out: Whether items and exemplars should have nothing in common. Otherwise the
            items are candidates themselves, asked about in turn, and a pair that an item's
            exclusions keep apart anyway is no leak.

    Returns:
        One leak a pair, of the first kind that holds in the order of ``LeakKind``.

    Raises:
        ValueError: The threshold is outside its range.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold={threshold}: expected more than 0, at most 1")
    if not len(candidates):
        return LeakSearch(leaks=(), unheard=())
    known: list[tuple[int, int, Leak]] = []
    proposed: list[Pairs] = []
    content = np.array(candidates.content, dtype=object)
    origins = np.array(
        [exemplar.meta.get("origin", "") for exemplar in candidates.exemplars], object
    )
    groups = np.array([exemplar.group for exemplar in candidates.exemplars], dtype=object)
    for start in range(0, len(items), _ITEMS_AT_ONCE):
        some = items[start : start + _ITEMS_AT_ONCE]
        vectors = np.array([item.query.vector for item in some], dtype=np.float32)
        for place, (item, scores) in enumerate(
            zip(some, vectors @ candidates.vectors.T, strict=True), start
        ):
            # Each kind of leak as a mask over the candidates.
            exclusions = item.query.exclusions
            same = (content == exclusions.content) & bool(exclusions.content)
            grouped = np.isin(groups, sorted(exclusions.groups))
            sourced = (origins == item.origin) & bool(item.origin)
            may_be_near = ~same
            if not held_out:
                may_be_near = candidates.allowed(exclusions)
                same[:] = grouped[:] = False
                sourced &= may_be_near
            for row in np.flatnonzero(same | sourced | grouped).tolist():
                kind: LeakKind = "group"
                shared = str(groups[row])
                if same[row]:
                    kind, shared = "content", str(content[row])
                elif sourced[row]:
                    kind, shared = "origin", str(origins[row])
                leak = _leak(item, candidates, row, kind, float(scores[row]), shared)
                known.append((place, row, leak))
            near = np.where(may_be_near, scores, -np.inf)[None]
            proposed.append(propose_pairs(near, threshold) + np.array([place, 0]))
    copies, unheard = _listen(items, candidates, np.concatenate(proposed))
    found = {(place, row): leak for place, row, leak in known}
    for place, row in copies:
        # One leak a pair: of the kinds, only equal audio comes before this one.
        similarity = float(items[place].query.vector @ candidates.vectors[row])
        found[place, row] = _leak(items[place], candidates, row, "near-duplicate", similarity, "")
    ranked = sorted(found, key=lambda pair: (pair[0], -found[pair].similarity, pair[1]))
    return LeakSearch(leaks=tuple(found[pair] for pair in ranked), unheard=unheard)


def _leak(
    item: Item, candidates: Candidates, row: int, kind: LeakKind, similarity: float, shared: str
) -> Leak:
    return Leak(
        item=item.id,
        exemplar=candidates.exemplars[row].id,
        kind=kind,
        similarity=min(similarity, 1.0),
        shared=shared,
    )


def _listen(
    items: Sequence[Item], candidates: Candidates, proposed: Pairs
) -> tuple[list[tuple[int, int]], tuple[str, ...]]:
    """Return which proposed pairs of an item and an exemplar are one recording, by their signals.

    Returns:
        ``(copies, unheard)``: positions of an item and an exemplar; why recordings could not be
        compared.
    """
    # An item that is an exemplar, too, is read once, and a pair asked about both ways heard once.
    position_of: dict[Segment, int] = {}
    of_item = np.array([position_of.setdefault(_heard(i), len(position_of)) for i in items])
    of_exemplar = np.array(
        [
            position_of.setdefault(
                Segment(path=path, start_s=exemplar.start_s, end_s=exemplar.end_s),
                len(position_of),
            )
            for exemplar, path in zip(candidates.exemplars, candidates.paths, strict=True)
        ]
    )
    pairs = np.sort(np.stack([of_item[proposed[:, 0]], of_exemplar[proposed[:, 1]]], axis=1))
    each, which = np.unique(pairs, axis=0, return_inverse=True)
    compared = compare_signals(list(position_of), each)
    copies = proposed[compared.same[which.reshape(-1)]]
    return [(place, row) for place, row in copies.tolist()], tuple(compared.unheard.values())


def _heard(item: Item) -> Segment:
    reference = item.query.reference
    return Segment(path=Path(item.query.name), start_s=reference.start_s, end_s=reference.end_s)


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
