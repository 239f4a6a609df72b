"""ScanSettings: how a scan scores windows and makes events of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from earful.errors import CorpusError
from earful.read_only import ReadOnlyDict
from earful.values import short_repr

DEFAULT_THRESHOLD: Final = 0.5
"""On scores that are 0 at a recording's background and 1 at a typical example."""

DetectorKind = Literal["neighbours", "probe", "auto"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSettings:
    """How a scan scores windows and makes events of them; none of it leads to decoding.

    Attributes:
        window_s: Length of a window in seconds, rounded to whole steps; 0.37 to 2.23.
        detector: ``"neighbours"``, ``"probe"`` or ``"auto"``.
        threshold: Events are where the score is above it.
        thresholds: By label, instead of ``threshold``.
        join_s: Gaps up to this long are closed, in seconds.
        min_s: Shorter events are dropped; ``None`` for 0.3 of the shortest example.
        max_s: Longer events are cut; ``None`` for no limit.
        n_background: Random windows of each recording that stand for its background.
        seed: Of the random windows.

    Raises:
        CorpusError: A value is outside its range; the message names it.
    """

    window_s: float = 0.56
    detector: DetectorKind = "neighbours"
    threshold: float = DEFAULT_THRESHOLD
    thresholds: Mapping[str, float] = field(default_factory=ReadOnlyDict, hash=False)
    join_s: float = 0.2
    min_s: float | None = None
    max_s: float | None = None
    n_background: int = 600
    seed: int = 0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", ReadOnlyDict(self.thresholds))
        if self.detector not in ("neighbours", "probe", "auto"):
            raise CorpusError(
                f"detector={self.detector!r}: expected 'neighbours', 'probe' or 'auto'"
            )
        if not 0.37 <= self.window_s <= 2.23:
            raise CorpusError(f"window_s={self.window_s}: expected 0.37 to 2.23 seconds")
        for name, value in {"threshold": self.threshold, **self.thresholds}.items():
            if not math.isfinite(value):
                raise CorpusError(f"threshold {name}={value}: expected a finite number")
        for name, length in (("join_s", self.join_s), ("min_s", self.min_s)):
            if length is not None and not (math.isfinite(length) and length >= 0):
                raise CorpusError(f"{name}={length}: expected 0 or more seconds")
        if self.max_s is not None and not self.max_s > 0:
            raise CorpusError(f"max_s={self.max_s}: expected more than 0 seconds")
        if self.n_background < 10:
            raise CorpusError(f"n_background={self.n_background}: expected 10 or more windows")
