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


def bootstrap_mean(
    values: Values,
    *,
    groups: Sequence[str] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the mean of some rows with its interval.

    Args:
        values: float64, shape ``(n,)``.
        groups: Group of each row; ``None`` when rows are independent.
        confidence: Level of the interval, in (0, 1).
        resamples: Number of resamples.
        seed: Seed of the resampling.

    Raises:
        ValueError: There are no rows, or an argument is outside its range.

    >>> bootstrap_mean(np.ones(3))
    Interval(value=1.0, low=1.0, high=1.0)
    """
    means = _resampled_means(values, groups, resamples, seed)
    low, high = _percentiles(means, confidence)
    return Interval(value=float(values.mean()), low=low, high=high)


def bootstrap(
    statistic: Statistic,
    n: int,
    *,
    groups: Sequence[str] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return any statistic of rows with its interval.

    Args:
        statistic: Function of row numbers, which may repeat.
        n: Number of rows.
        groups: As for ``bootstrap_mean``.
        confidence: Likewise.
        resamples: Likewise.
        seed: Likewise.

    Raises:
        ValueError: There are no rows, or an argument is outside its range.
    """
    drawn = [statistic(picked) for picked in _draws(n, groups, resamples, seed)]
    low, high = _percentiles(np.array(drawn), confidence)
    return Interval(value=statistic(np.arange(n)), low=low, high=high)


def paired_difference(
    first: Values,
    second: Values,
    *,
    groups: Sequence[str] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """Return the difference of two means over the same rows.

    Args:
        first: float64, shape ``(n,)``.
        second: The same rows by another arm.
        groups: As for ``bootstrap_mean``.
        confidence: Likewise.
        resamples: Likewise.
        seed: Likewise.

    Raises:
        ValueError: The shapes differ, there are no rows, or an argument is outside its
            range.
    """
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} rows: expected the same rows twice")
    difference = first - second
    means = _resampled_means(difference, groups, resamples, seed)
    return _difference(float(difference.mean()), means, confidence)


def paired_bootstrap(
    first: Statistic,
    second: Statistic,
    n: int,
    *,
    groups: Sequence[str] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """Return the difference of two statistics of the same rows; arguments as ``bootstrap``."""
    drawn = [first(picked) - second(picked) for picked in _draws(n, groups, resamples, seed)]
    everything = np.arange(n)
    return _difference(first(everything) - second(everything), np.array(drawn), confidence)


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
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} rows: expected the same rows twice")
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    n = b + c
    if n < _EXACT_BELOW:
        tail = sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n
        return McNemar(b=b, c=c, p_value=min(1.0, 2 * tail), is_exact=True)
    chi_square = max(abs(b - c) - 1, 0) ** 2 / n
    # The upper tail of chi-square with one degree of freedom.
    return McNemar(b=b, c=c, p_value=math.erfc(math.sqrt(chi_square / 2)), is_exact=False)


def _difference(value: float, drawn: Values, confidence: float) -> Difference:
    low, high = _percentiles(drawn, confidence)
    smaller = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p_value = min(1.0, 2 * max(smaller, 1) / len(drawn))
    return Difference(value=value, low=low, high=high, p_value=p_value)


def _percentiles(drawn: Values, confidence: float) -> tuple[float, float]:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence={confidence}: expected more than 0, less than 1")
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(drawn, [tail, 100.0 - tail])
    return float(low), float(high)


def _resampled_means(
    values: Values, groups: Sequence[str] | None, resamples: int, seed: int
) -> Values:
    """Return the mean of each resample of the rows or groups."""
    _check(len(values), groups, resamples)
    random = np.random.default_rng(seed)
    if groups is None:
        sums, sizes = np.asarray(values, dtype=np.float64), np.ones(len(values))
    else:
        _, inverse = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
        sums = np.asarray(np.bincount(inverse, weights=values), dtype=np.float64)
        sizes = np.bincount(inverse).astype(np.float64)
    means = np.empty(resamples)
    for start in range(0, resamples, _AT_ONCE):
        stop = min(start + _AT_ONCE, resamples)
        drawn = random.integers(len(sums), size=(stop - start, len(sums)))
        means[start:stop] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def _draws(n: int, groups: Sequence[str] | None, resamples: int, seed: int) -> Iterator[Picked]:
    """Yield the row numbers of each resample of the rows or groups."""
    _check(n, groups, resamples)
    random = np.random.default_rng(seed)
    if groups is None:
        for _ in range(resamples):
            yield random.integers(n, size=n)
        return
    rows_of: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        rows_of.setdefault(group, []).append(row)
    members = [np.array(rows_of[group], dtype=np.intp) for group in sorted(rows_of)]
    for _ in range(resamples):
        drawn = random.integers(len(members), size=len(members))
        yield np.concatenate([members[group] for group in drawn])


def _check(n: int, groups: Sequence[str] | None, resamples: int) -> None:
    if n < 1:
        raise ValueError("there are no rows: expected at least one")
    if groups is not None and len(groups) != n:
        raise ValueError(f"{len(groups)} groups for {n} rows: expected one a row")
    if resamples < 1:
        raise ValueError(f"resamples={resamples}: expected 1 or more")
