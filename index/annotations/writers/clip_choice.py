"""Which of a label's events become clips: the best, any, some of each score, the doubtful ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np

from earful.errors import CorpusError
from earful.index.annotations.event import Event
from earful.wording import unknown_name

ClipChoice = Literal["top", "random", "balanced", "uncertain"]

_N_BINS: Final = 10


def choose_events(
    events: Sequence[Event],
    choose: ClipChoice,
    most: int | None,
    *,
    threshold: float | None = None,
    seed: int = 0,
) -> list[Event]:
    """Return some events of one label, the first chosen first.

    Args:
        events: Of one label; the answer does not depend on their order.
        choose: ``"top"`` takes the highest scores, ``"random"`` any, ``"balanced"`` equally many
            of ten ranges of scores, ``"uncertain"`` those next to the threshold.
        most: How many at most; ``None`` for all.
        threshold: Above it are events; for ``"uncertain"``.
        seed: Of what is random.

    Raises:
        CorpusError: The choice is unknown, or ``"uncertain"`` without a threshold.
    """
    if choose not in get_args(ClipChoice):
        raise CorpusError(unknown_name("choice", choose, get_args(ClipChoice)))
    best = sorted(events, key=lambda event: (-event.score, event.event_id))
    if choose == "uncertain":
        if threshold is None:
            raise CorpusError("uncertain events: expected a threshold, got none; give the scan's")
        best.sort(key=lambda event: abs(event.score - threshold))
    elif choose == "random":
        best = _shuffled(best, np.random.default_rng(seed))
    elif choose == "balanced":
        best = _of_each_range(best, np.random.default_rng(seed))
    return best[:most]


def _of_each_range(events: list[Event], draws: np.random.Generator) -> list[Event]:
    """Return events in turns: one of each range of scores, highest first, then another one."""
    if not events:
        return []
    scores = np.array([event.score for event in events])
    lowest, highest = scores.min(), scores.max()
    width = (highest - lowest) / _N_BINS or 1.0
    numbers = np.minimum(((scores - lowest) / width).astype(int), _N_BINS - 1)
    bins = [
        _shuffled([event for event, n in zip(events, numbers, strict=True) if n == number], draws)
        for number in reversed(range(_N_BINS))
    ]
    longest = max(map(len, bins))
    return [some[turn] for turn in range(longest) for some in bins if turn < len(some)]


def _shuffled(events: list[Event], draws: np.random.Generator) -> list[Event]:
    return [events[at] for at in draws.permutation(len(events))]
