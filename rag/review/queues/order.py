"""Queues: in which order a reviewer is shown the candidates of a review."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from earful.errors import ReviewError
from earful.rag.review import ReviewSettings
from earful.rag.review.candidates import Candidate
from earful.values import short_repr
from earful.wording import listed, quoted

STRATEGIES: Final = ("mix", "top", "margin", "diverse", "random", "target=0.4", "disputed")
"""Orders of a queue; the score of ``target`` may be any."""
DEFAULT_TARGET: Final = 0.4

Standing = Literal["free", "busy", "gone"]
"""Whether an item may be shown now, later, or no more."""
Likeness = Callable[[Sequence[str]], NDArray[np.float32] | None]
"""Returns for each of some items how much it resembles what is labelled; ``None`` if unknown."""

_MOST_GONE: Final = 32

_ARMS: Final = {
    "top": "one of the highest scores",
    "margin": "its score is near the threshold",
    "diverse": "its score is near the threshold, and nothing labelled is like it",
    "random": "drawn at random",
    "target": "its score is near the one that was asked for",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """An order of a queue.

    Attributes:
        name: One of ``STRATEGIES``, without a score.
        target: Score that is looked for by ``"target"``.
    """

    name: str
    target: float = DEFAULT_TARGET

    __repr__ = short_repr

    @classmethod
    def read(cls, text: str) -> Strategy:
        """Read a strategy as it is written.

        Raises:
            ReviewError: It is none.

        >>> Strategy.read("target=0.6")
        Strategy(name='target', target=0.6)
        """
        name, equals, number = text.partition("=")
        if name == "target":
            try:
                target = float(number) if equals else DEFAULT_TARGET
            except ValueError:
                target = math.nan
            if math.isfinite(target):
                return cls(name=name, target=target)
        if text not in STRATEGIES or name == "target":
            raise ReviewError(
                f"strategy={quoted(text)}: expected one of {listed(STRATEGIES)}, where 0.4 may be "
                "any score"
            )
        return cls(name=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """An item that a queue gives next.

    Attributes:
        item: Its id.
        queue: Which order it comes from.
        why: A short sentence.
    """

    item: str
    queue: str
    why: str

    __repr__ = short_repr


class Queue:
    """Order in which one reviewer is shown candidates; each is passed once.

    Half of ``mix`` are the highest scores and half the most doubtful ones, in turns, but each tenth
    is random. What will be shown at random, a tenth of the events, is drawn beforehand, and nothing
    else shows it: so it says without bias how many events are right.

    Args:
        candidates: All that may be shown, by any order.
        strategy: The order.
        settings: Of the review.
        likeness: Tells what is like the labelled.
        reserved: Items that only a random draw shows.
        n_dealt: Items that this reviewer was shown in this order before.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        strategy: Strategy,
        settings: ReviewSettings,
        *,
        likeness: Likeness,
        reserved: frozenset[str] = frozenset(),
        n_dealt: int = 0,
    ) -> None:
        self._strategy, self._settings, self._likeness = strategy, settings, likeness
        self.n_dealt = n_dealt
        arms: dict[str, list[Candidate]] = {}
        if strategy.name == "mix":
            others = [one for one in candidates if one.item not in reserved]
            arms["top"] = _by_score(others)
            arms["diverse"] = _by_doubt(others)
            drawn = [one for one in candidates if one.item in reserved]
            arms["random"] = in_random_order(drawn, settings.seed)
        elif strategy.name == "top":
            arms["top"] = _by_score(candidates)
        elif strategy.name == "random":
            arms["random"] = in_random_order(candidates, settings.seed)
        elif strategy.name == "target":
            arms["target"] = sorted(
                candidates, key=lambda one: (_distance(one, strategy.target), one.item)
            )
        else:
            arms[strategy.name] = _by_doubt(candidates)
        self._arms = {name: _Arm([one.item for one in own]) for name, own in arms.items()}

    def deal(self, standing: Callable[[str], Standing]) -> Dealt | None:
        """Return the next item that is free; ``None`` if none is.

        Args:
            standing: Of an item for this reviewer. What is gone once is gone.
        """
        for arm in self._order_of_arms():
            n_wanted = self._settings.diversity if arm == "diverse" else 1
            free = self._arms[arm].free(standing, n_wanted)
            if free:
                item, queue = free[0], arm
                if arm == "diverse":
                    item, queue = self._least_like(free)
                self.n_dealt += 1
                return Dealt(item=item, queue=queue, why=_ARMS[queue])
        return None

    def _order_of_arms(self) -> tuple[str, ...]:
        """Return the arms to ask, that whose turn it is first."""
        if self._strategy.name != "mix":
            return tuple(self._arms)
        every, n = self._settings.random_every, self.n_dealt
        if n % every == every - 1:
            return ("random", "top", "diverse")
        if (n - n // every) % 2 == 0:
            return ("top", "diverse", "random")
        return ("diverse", "top", "random")

    def _least_like(self, free: Sequence[str]) -> tuple[str, str]:
        """Return the item that is least like what is labelled, and the name of this order."""
        similar = self._likeness(free) if len(free) > 1 else None
        if similar is None:
            return free[0], "margin"
        row = int(np.argmin(similar))
        return free[row], "diverse" if row else "margin"


class _Arm:
    """Items in one order; those that are gone are passed for good when they are many."""

    def __init__(self, items: list[str]) -> None:
        self._items, self._first = items, 0

    def free(self, standing: Callable[[str], Standing], n: int) -> list[str]:
        """Return the first ``n`` items that are free."""
        found: list[str] = []
        left: list[str] = []
        at = self._first
        while at < len(self._items) and len(found) < n:
            item = self._items[at]
            stands = standing(item)
            at += 1
            if stands != "gone":
                left.append(item)
            if stands == "free":
                found.append(item)
        if not left:
            self._first = at
        elif at - self._first - len(left) > _MOST_GONE:
            self._first = at - len(left)
            self._items[self._first : at] = left
        return found


def in_random_order(candidates: Sequence[Candidate], seed: int) -> list[Candidate]:
    """Return candidates in an order that depends on nothing but their ids and the seed."""
    return sorted(candidates, key=lambda one: (random_number(one.item, seed), one.item))


def random_number(item: str, seed: int) -> float:
    """Return a number in [0, 1) that an item always has.

    >>> 0 <= random_number("9f3a01c2d4e5b6a7", 0) < 1
    True
    """
    digest = hashlib.sha256(f"{seed}\n{item}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _by_score(candidates: Sequence[Candidate]) -> list[Candidate]:
    return sorted(
        candidates,
        key=lambda one: (math.inf if one.score is None else -one.score, one.item),
    )


def _by_doubt(candidates: Sequence[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda one: (one.doubt, one.item))


def _distance(one: Candidate, target: float) -> float:
    return math.inf if one.score is None else abs(one.score - target)
