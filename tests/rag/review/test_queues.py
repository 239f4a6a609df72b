"""Orders of a queue."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import ReviewError
from earful.rag.review import ReviewSettings
from earful.rag.review.candidates import Candidate
from earful.rag.review.queues import Queue, Standing, Strategy, in_random_order


def candidates(scores: Sequence[float], threshold: float = 0.5) -> list[Candidate]:
    """Candidates called a, b, c, … in the order of their scores."""
    return [
        Candidate(
            item=chr(ord("a") + n) if n < 26 else f"z{n:03d}",
            recording="night.wav",
            start_s=float(n),
            end_s=n + 0.5,
            guess="wren",
            score=score,
            threshold=threshold,
            kind="event" if score > threshold else "peak",
        )
        for n, score in enumerate(scores)
    ]


def dealt(queue: Queue, n: int = 1000) -> list[tuple[str, str]]:
    """What a queue gives to one who takes all."""
    taken: dict[str, str] = {}
    while len(taken) < n:
        one = queue.deal(lambda item: "gone" if item in taken else "free")
        if one is None:
            break
        taken[one.item] = one.queue
    return list(taken.items())


def order(scores: Sequence[float], strategy: str, **settings: int) -> str:
    queue = Queue(
        candidates(scores),
        Strategy.read(strategy),
        ReviewSettings(**settings),  # type: ignore[arg-type]
        likeness=lambda items: None,
    )
    return "".join(item for item, _ in dealt(queue))


@pytest.mark.parametrize(
    ("strategy", "wanted"),
    [
        ("top", "dcbae"),
        ("margin", "aebcd"),
        ("diverse", "aebcd"),
        ("target=0.7", "bcade"),
        ("target", "eabcd"),
        ("mix", "daceb"),
    ],
)
def test_orders_by_hand(strategy: str, wanted: str) -> None:
    assert order([0.52, 0.7, 0.8, 0.9, 0.4], strategy) == wanted


def test_a_random_order_depends_on_the_seed_alone() -> None:
    first = order([0.6, 0.7, 0.8, 0.9, 0.4, 0.3, 0.2], "random", seed=1)
    assert first == order([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], "random", seed=1)
    assert first != order([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], "random", seed=2)


def test_each_tenth_is_random_and_nothing_else_shows_what_is_drawn() -> None:
    own = candidates([0.55 + n / 100 for n in range(40)])
    drawn = frozenset(one.item for one in in_random_order(own, 0)[:4])
    queue = Queue(
        own, Strategy.read("mix"), ReviewSettings(), likeness=lambda _: None, reserved=drawn
    )
    found = dealt(queue)
    at_random = [n for n, (_, arm) in enumerate(found) if arm == "random"]
    assert at_random == [9, 19, 29, 39]
    assert [found[n][0] for n in at_random] == [one.item for one in in_random_order(own, 0)[:4]]
    assert {item for item, arm in found if arm != "random"} == {one.item for one in own} - drawn


def test_of_the_doubtful_the_least_like_the_labelled_comes_first() -> None:
    alike = {"a": 0.9, "b": 0.8, "c": 0.1}

    def likeness(items: Sequence[str]) -> NDArray[np.float32]:
        return np.array([alike.get(item, 1.0) for item in items], np.float32)

    own = candidates([0.51, 0.52, 0.53, 0.9])
    queue = Queue(own, Strategy.read("diverse"), ReviewSettings(diversity=2), likeness=likeness)
    # c is looked at only when one of the two before it is gone.
    assert dealt(queue) == [("b", "diverse"), ("c", "diverse"), ("a", "margin"), ("d", "margin")]


@pytest.mark.parametrize("text", ["best", "target=", "target=nan", "target=x", "target=0.4=", ""])
def test_what_is_no_strategy(text: str) -> None:
    with pytest.raises(ReviewError, match="expected one of mix, top"):
        Strategy.read(text)


scores_and_reserved = st.lists(
    st.tuples(st.integers(0, 20).map(lambda n: n / 10), st.booleans(), st.integers(0, 9)),
    max_size=40,
)


def brute_force_mix(
    own: list[Candidate], reserved: frozenset[str], alike: dict[str, float], diversity: int
) -> list[tuple[str, str]]:
    """The same order, looked up anew for each item."""
    left = {one.item: one for one in own}
    found: list[tuple[str, str]] = []
    while left:
        others = [one for one in left.values() if one.item not in reserved]
        drawn = in_random_order([one for one in left.values() if one.item in reserved], 0)
        n = len(found)
        n_others = n - n // 10
        if drawn and (n % 10 == 9 or not others):
            best, arm = drawn[0], "random"
        elif (n_others % 2 == 0 and n % 10 != 9) or n % 10 == 9:
            best, arm = min(others, key=lambda one: (-(one.score or 0), one.item)), "top"
        else:
            doubtful = sorted(others, key=lambda one: (one.doubt, one.item))[:diversity]
            best = min(doubtful, key=lambda one: alike[one.item])
            arm = "margin" if best is doubtful[0] else "diverse"
        del left[best.item]
        found.append((best.item, arm))
    return found


@settings(max_examples=50)
@given(scores_and_reserved, st.integers(1, 5))
def test_mix_is_what_brute_force_finds(rows: list[tuple[float, bool, int]], diversity: int) -> None:
    own = candidates([score for score, _, _ in rows])
    reserved = frozenset(
        one.item for one, (_, is_drawn, _) in zip(own, rows, strict=True) if is_drawn
    )
    alike = {one.item: like / 10 for one, (_, _, like) in zip(own, rows, strict=True)}
    queue = Queue(
        own,
        Strategy.read("mix"),
        ReviewSettings(diversity=diversity),
        likeness=lambda items: np.array([alike[item] for item in items], np.float32),
        reserved=reserved,
    )
    assert dealt(queue) == brute_force_mix(own, reserved, alike, diversity)


@settings(max_examples=50)
@given(
    st.integers(0, 1 << 32),
    st.lists(st.integers(0, 20), max_size=50),
    st.sampled_from(["mix", "top", "margin", "random", "target=0.6"]),
)
def test_what_is_busy_comes_later_and_nothing_comes_twice(
    seed: int, scores: list[int], name: str
) -> None:
    chance = Random(seed)
    own = candidates([score / 10 for score in scores])
    reserved = frozenset(one.item for one in own if chance.random() < 0.3)
    queue = Queue(
        own, Strategy.read(name), ReviewSettings(), likeness=lambda _: None, reserved=reserved
    )
    taken: set[str] = set()
    while len(taken) < len(own):
        left = sorted({one.item for one in own} - taken)
        busy = set(chance.sample(left, chance.randint(0, len(left) - 1)))
        standings: dict[str, Standing] = {
            **dict.fromkeys(left, "free"),
            **dict.fromkeys(busy, "busy"),
            **dict.fromkeys(taken, "gone"),
        }
        one = queue.deal(standings.__getitem__)
        assert one is not None
        assert one.item in set(left) - busy
        taken.add(one.item)
    assert queue.deal(lambda _: "gone") is None


def test_ten_thousand_items_are_not_looked_at_for_each_item() -> None:
    own = candidates([n % 997 / 500 for n in range(10_000)])
    drawn = frozenset(one.item for one in own[::10])
    queue = Queue(
        own, Strategy.read("mix"), ReviewSettings(), likeness=lambda _: None, reserved=drawn
    )
    taken: set[str] = set()
    n_asked = 0

    def standing(item: str) -> Standing:
        nonlocal n_asked
        n_asked += 1
        return "gone" if item in taken else "free"

    while (one := queue.deal(standing)) is not None:
        taken.add(one.item)
    assert len(taken) == 10_000
    assert n_asked < 60 * 10_000
