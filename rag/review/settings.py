"""ReviewSettings: how a review chooses what is shown, and when it fits again."""

from __future__ import annotations

from dataclasses import dataclass

from earful.errors import ReviewError
from earful.values import short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSettings:
    """How a review chooses what is shown, and when it fits again.

    Attributes:
        lease_s: For how long an item that was handed out is kept from others, in seconds.
        double: Percent of the items that a second reviewer is shown, too, without what the first
            one said.
        lowest_score: Peaks that are no events are shown from this score on.
        most_peaks: Peaks of a label, the highest; others are left out, and a note says so.
        refit_after: Labels of a label after which its detector should be fitted again.
        diversity: Among so many of the most doubtful, the one least like what is labelled is
            shown; 1 for the most doubtful itself.
        random_every: Each so many-th item of ``mix`` is random.
        fit_in_background: Whether the first question for items begins to look for peaks, in a
            thread of its own.
        seed: Of what is random.

    Raises:
        ReviewError: A value is outside its range.
    """

    lease_s: float = 120.0
    double: float = 0.0
    lowest_score: float = 0.3
    most_peaks: int = 2000
    refit_after: int = 10
    diversity: int = 20
    random_every: int = 10
    fit_in_background: bool = True
    seed: int = 0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not self.lease_s > 0:
            raise ReviewError(f"lease_s={self.lease_s}: expected more than 0 seconds")
        if not 0 <= self.double <= 100:
            raise ReviewError(f"double={self.double}: expected 0 to 100 percent")
        for name, least in (
            ("most_peaks", 0),
            ("refit_after", 1),
            ("diversity", 1),
            ("random_every", 2),
        ):
            if getattr(self, name) < least:
                raise ReviewError(f"{name}={getattr(self, name)}: expected {least} or more")
