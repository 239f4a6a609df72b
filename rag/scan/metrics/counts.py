"""Counts of right and wrong events, and what is computed from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from earful.values import short_repr

FLOOR: Final = 1e-5
"""Least value in a harmonic mean, as in task 5 of DCASE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Events, or segments, that were found, invented and missed.

    >>> Counts(found=3, false=1, missed=2).f1
    0.6666666666666666

    Attributes:
        found: True ones that were found.
        false: Found ones that are not there.
        missed: True ones that were not found.
    """

    found: int = 0
    false: int = 0
    missed: int = 0

    __repr__ = short_repr

    def __add__(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(
            found=self.found + other.found,
            false=self.false + other.false,
            missed=self.missed + other.missed,
        )

    @property
    def n_true(self) -> int:
        """Number of true ones."""
        return self.found + self.missed

    @property
    def precision(self) -> float:
        """Share of what was found that is there; 0 where nothing was found."""
        return self.found / (self.found + self.false) if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of what is there that was found; 0 where nothing was."""
        return self.found / self.n_true if self.found else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where nothing was found."""
        return 2 * self.found / (2 * self.found + self.false + self.missed) if self.found else 0.0


def harmonic_mean(values: Iterable[float]) -> float:
    """Return the harmonic mean, no value counted as less than 1e-5; 0 of nothing.

    >>> round(harmonic_mean([1.0, 0.5]), 4)
    0.6667
    """
    raised = [max(value, FLOOR) for value in values]
    return len(raised) / sum(1 / value for value in raised) if raised else 0.0
