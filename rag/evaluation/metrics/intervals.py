"""Intervals and tests: bootstrap intervals, paired differences, McNemar's test.

Rows of one group, such as clips of one recording, are not independent: with groups, whole
groups are resampled. Intervals are percentiles (Efron and Tibshirani, *An Introduction to
the Bootstrap*, 1993, chapter 13).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Picked = NDArray[np.intp]
Statistic = Callable[[Picked], float]

# With fewer discordant pairs the normal approximation is poor.
_EXACT_BELOW = 25
_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with the interval in which it would lie for other rows of the same kind."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference of two arms on the same rows, with its interval.

    Attributes:
        value: First less second.
        low: Lower end of the interval.
        high: Upper end.
        p_value: Two-sided, of no difference: twice the smaller share of resamples on one
            side of 0, and at least 2 / number of resamples.
    """

    value: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """McNemar's test of two arms on the same rows, each right or wrong.

    Attributes:
        b: Rows that only the first arm answered right.
        c: Rows that only the second arm answered right.
        p_value: Two-sided.
        is_exact: Whether it is the binomial test, as for fewer than 25 discordant rows;
            else it is the chi-square test with Edwards's continuity correction.
    """

    b: int
    c: int
    p_value: float
    is_exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """A way to resample rows, or whole groups of them.

    Attributes:
        groups: Group of each row; ``None`` when rows are independent.
        confidence: Level of the intervals, in (0, 1).
        resamples: Number of resamples.
        seed: Seed of the resampling.

    Raises:
        ValueError: An attribute is outside its range; or, in every method, there are no rows,
            or not as many as groups.

    >>> Bootstrap().mean(np.ones(3))
    Interval(value=1.0, low=1.0, high=1.0)
    """

    groups: Sequence[str] | None = None
    confidence: float = 0.95
    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.confidence < 1.0:
            raise ValueError(f"confidence={self.confidence}: expected more than 0, less than 1")
        if self.resamples < 1:
            raise ValueError(f"resamples={self.resamples}: expected 1 or more")

    def mean(self, values: Values) -> Interval:
        """Return the mean of rows, float64, shape ``(n,)``, with its interval."""
        low, high = self._percentiles(self._means(values))
        return Interval(value=float(values.mean()), low=low, high=high)

    def of(self, statistic: Statistic, n: int) -> Interval:
        """Return any statistic of ``n`` rows, a function of row numbers, with its interval."""
        drawn = np.array([statistic(picked) for picked in self._draws(n)])
        low, high = self._percentiles(drawn)
        return Interval(value=statistic(np.arange(n)), low=low, high=high)

    def mean_difference(self, first: Values, second: Values) -> Difference:
        """Return the difference of two means over the same rows, shape ``(n,)`` each."""
        _require_same_rows(first, second)
        difference = first - second
        return self._difference(float(difference.mean()), self._means(difference))

    def difference_of(self, first: Statistic, second: Statistic, n: int) -> Difference:
        """Return the difference of two statistics of the same ``n`` rows."""
        drawn = np.array([first(picked) - second(picked) for picked in self._draws(n)])
        everything = np.arange(n)
        return self._difference(first(everything) - second(everything), drawn)

    def _difference(self, value: float, drawn: Values) -> Difference:
        low, high = self._percentiles(drawn)
        smaller = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
        p_value = min(1.0, 2 * max(smaller, 1) / len(drawn))
        return Difference(value=value, low=low, high=high, p_value=p_value)

    def _percentiles(self, drawn: Values) -> tuple[float, float]:
        tail = 50.0 * (1.0 - self.confidence)
        low, high = np.percentile(drawn, [tail, 100.0 - tail])
        return float(low), float(high)

    def _means(self, values: Values) -> Values:
        """Return the mean of each resample of the rows or groups."""
        self._check(len(values))
        random = np.random.default_rng(self.seed)
        if self.groups is None:
            sums, sizes = np.asarray(values, dtype=np.float64), np.ones(len(values))
        else:
            names = np.asarray(self.groups, dtype=object).astype(str)
            _, inverse = np.unique(names, return_inverse=True)
            sums = np.asarray(np.bincount(inverse, weights=values), dtype=np.float64)
            sizes = np.bincount(inverse).astype(np.float64)
        means = np.empty(self.resamples)
        for start in range(0, self.resamples, _AT_ONCE):
            stop = min(start + _AT_ONCE, self.resamples)
            drawn = random.integers(len(sums), size=(stop - start, len(sums)))
            means[start:stop] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
        return means

    def _draws(self, n: int) -> Iterator[Picked]:
        """Yield the row numbers of each resample of the rows or groups."""
        self._check(n)
        random = np.random.default_rng(self.seed)
        if self.groups is None:
            for _ in range(self.resamples):
                yield random.integers(n, size=n)
            return
        rows_of: dict[str, list[int]] = {}
        for row, group in enumerate(self.groups):
            rows_of.setdefault(group, []).append(row)
        members = [np.array(rows_of[group], dtype=np.intp) for group in sorted(rows_of)]
        for _ in range(self.resamples):
            drawn = random.integers(len(members), size=len(members))
            yield np.concatenate([members[group] for group in drawn])

    def _check(self, n: int) -> None:
        if n < 1:
            raise ValueError("there are no rows: expected at least one")
        if self.groups is not None and len(self.groups) != n:
            raise ValueError(f"{len(self.groups)} groups for {n} rows: expected one a row")


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Test whether two arms are right equally often on the same rows (McNemar, 1947).

    Args:
        first: Whether the first arm was right, shape ``(n,)``.
        second: The same of the second.

    Raises:
        ValueError: The shapes differ.

    >>> mcnemar(np.array([True] * 5 + [False]), np.array([False] * 5 + [True])).p_value
    0.21875
    """
    _require_same_rows(first, second)
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    n = b + c
    if n < _EXACT_BELOW:
        tail = sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n
        return McNemar(b=b, c=c, p_value=min(1.0, 2 * tail), is_exact=True)
    chi_square = max(abs(b - c) - 1, 0) ** 2 / n
    # The upper tail of chi-square with one degree of freedom.
    return McNemar(b=b, c=c, p_value=math.erfc(math.sqrt(chi_square / 2)), is_exact=False)


def _require_same_rows(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} rows: expected the same rows twice")
