import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from earful.rag.evaluation.metrics import Bootstrap, mcnemar


def test_an_interval_of_independent_rows_is_as_scipy_s() -> None:
    values = np.random.default_rng(0).random(200)
    ours = Bootstrap(resamples=20_000).mean(values)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=2e-3)


def test_any_statistic_has_the_interval_of_its_mean() -> None:
    values = np.random.default_rng(0).random(50)
    groups = [f"g{n % 10}" for n in range(50)]
    some = Bootstrap(groups=groups, resamples=4000)
    fast, slow = some.mean(values), some.of(lambda rows: float(values[rows].mean()), 50)
    assert (fast.value, fast.low, fast.high) == pytest.approx(
        (slow.value, slow.low, slow.high), abs=0.01
    )


def test_clips_of_one_recording_stand_or_fall_together() -> None:
    # Ten recordings of ten equal clips are ten pieces of evidence, not a hundred.
    values = np.repeat(np.arange(10) % 2, 10).astype(np.float64)
    groups = [str(n // 10) for n in range(100)]
    apart = Bootstrap().mean(values)
    together = Bootstrap(groups=groups).mean(values)
    assert together.high - together.low == pytest.approx(
        np.sqrt(10) * (apart.high - apart.low), rel=0.25
    )


def test_a_difference_is_taken_of_the_same_rows() -> None:
    random = np.random.default_rng(0)
    hard = random.random(100)
    first, second = hard + 0.02 + random.normal(0, 0.01, 100), hard
    found = Bootstrap().mean_difference(first, second)
    assert found.value == pytest.approx(0.02, abs=0.005)
    # Items differ far more than arms do, and all the same the difference is sure.
    assert found.low > 0
    assert found.p_value == pytest.approx(2 / 2000)
    again = Bootstrap().difference_of(
        lambda rows: float(first[rows].mean()), lambda rows: float(second[rows].mean()), 100
    )
    assert (again.low, again.high) == pytest.approx((found.low, found.high), abs=0.002)


def test_equal_arms_differ_by_nothing() -> None:
    values = np.random.default_rng(0).random(30)
    found = Bootstrap().mean_difference(values, values)
    assert (found.value, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


@given(st.integers(0, 12), st.integers(0, 12))
def test_few_discordant_rows_have_the_exact_test(b: int, c: int) -> None:
    first = np.array([True] * b + [False] * c + [True, False], dtype=np.bool_)
    second = np.array([False] * b + [True] * c + [True, False], dtype=np.bool_)
    found = mcnemar(first, second)
    assert (found.b, found.c, found.is_exact) == (b, c, True)
    expected = stats.binomtest(min(b, c), b + c).pvalue if b + c else 1.0
    assert found.p_value == pytest.approx(min(1.0, expected))


def test_many_discordant_rows_have_the_corrected_chi_square() -> None:
    # (|40 - 15| - 1)^2 / 55 = 10.47
    first = np.array([True] * 40 + [False] * 15)
    found = mcnemar(first, ~first)
    assert not found.is_exact
    assert found.p_value == pytest.approx(stats.chi2.sf(24**2 / 55, 1))


def test_equal_seeds_give_equal_intervals_and_nonsense_is_refused() -> None:
    values = np.random.default_rng(0).random(20)
    assert Bootstrap(seed=3).mean(values) == Bootstrap(seed=3).mean(values)
    assert Bootstrap(seed=3).mean(values) != Bootstrap(seed=4).mean(values)
    with pytest.raises(ValueError, match="no rows"):
        Bootstrap().mean(np.array([]))
    with pytest.raises(ValueError, match="2 groups for 20 rows"):
        Bootstrap(groups=["a", "b"]).mean(values)
    with pytest.raises(ValueError, match=r"confidence=1\.0"):
        Bootstrap(confidence=1.0)
    with pytest.raises(ValueError, match="same rows twice"):
        Bootstrap().mean_difference(values, values[:3])
