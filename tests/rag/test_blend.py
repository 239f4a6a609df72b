"""The blend of vote and language model: worked by hand, by brute force, by its laws."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.rag import Blend
from earful.rag.blend import TEMPERATURES, UNFITTED, WEIGHTS, HeldOutScores, fit_blend


def held_out(
    votes: Sequence[Sequence[float]],
    scores: Sequence[Sequence[float]],
    right: Sequence[Sequence[int]],
    *,
    groups: Sequence[str] = (),
    exclusive: bool = True,
) -> HeldOutScores:
    return HeldOutScores(
        votes=np.array(votes, dtype=np.float64),
        scores=np.array(scores, dtype=np.float64),
        right=np.array(right, dtype=np.bool_),
        groups=tuple(groups) or ("",) * len(votes),
        exclusive=exclusive,
    )


def test_three_queries_worked_on_paper() -> None:
    """The vote tosses a coin; the model says 4 to 1 and is right each time.

    With e = weight / temperature the blend says p = 4^e / (1 + 4^e). Three cases right and a
    made-up one wrong are the most probable at p = 3/4, so e = log 3 / log 4 = 0.792; the
    nearest that can be tried is 0.8, first met at weight 0.4 and temperature 1/2. All three
    gain the same, so their standard error is 0, and the blend is kept.
    """
    blend = fit_blend(held_out([[0.5, 0.5]] * 3, [[0.8, 0.2]] * 3, [[1, 0]] * 3))
    assert (blend.weight, blend.temperature, blend.n_held_out) == (0.4, 0.5, 3)
    assert blend.model_accuracy == blend.blend_accuracy == 1.0
    mixed = blend.mix(np.array([0.5, 0.5]), np.array([0.8, 0.2]), exclusive=True)
    assert mixed[0] == pytest.approx(4**0.8 / (1 + 4**0.8))


def test_a_model_that_is_wrong_once_in_three_gains_less_than_its_error() -> None:
    """Right, wrong, right at 4 to 1: the gains are a, b, a with a small mean, so no weight.

    At e = 0.5 the blend says 2 to 1: gains log 4/3 = 0.288, log 2/3 = -0.405 and 0.288, mean
    0.057, standard deviation 0.4, standard error 0.231. The mean is below it.
    """
    cases = held_out([[0.5, 0.5]] * 3, [[0.8, 0.2]] * 3, [[1, 0], [0, 1], [1, 0]])
    likely, doubt = cases.log_likelihoods(0.5, 1.0)
    np.testing.assert_allclose(likely, np.log([2 / 3, 1 / 3, 2 / 3]))
    np.testing.assert_allclose(doubt, 1 / 3)
    assert fit_blend(cases).weight == 0.0


def test_a_group_counts_once() -> None:
    votes, scores = [[0.5, 0.5]] * 24, [[0.8, 0.2]] * 24
    right = [[1, 0]] * 18 + [[0, 1]] * 6
    assert fit_blend(held_out(votes, scores, right)).weight > 0
    # The same cases from four sites, one of which is always wrong.
    sites = [f"site {row // 6}" for row in range(24)]
    assert fit_blend(held_out(votes, scores, right, groups=sites)).weight == 0
    assert fit_blend(held_out(votes, scores, right, groups=["one"] * 24)).weight == 0


def test_flattening_an_overconfident_vote_is_no_merit_of_the_model() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 48)
    favourite = np.where(rng.random(48) < 0.7, truth, 1 - truth)
    votes = np.where(np.arange(2) == favourite[:, None], 0.999, 0.001)
    noise = rng.dirichlet([1, 1], 48)
    cases = held_out(votes.tolist(), noise.tolist(), np.eye(2)[truth].tolist())
    vote, _ = cases.log_likelihoods(0.0, 1.0)
    flattened, _ = cases.log_likelihoods(0.7, math.inf)
    assert flattened.mean() > vote.mean() + 0.5
    assert fit_blend(cases).weight == 0.0


def test_several_labels_are_each_blended_for_themselves() -> None:
    half = Blend(weight=0.5, temperature=1.0)
    mixed = half.mix(np.array([0.5, 0.9]), np.array([0.8, 0.1]), exclusive=False)
    # Odds 1 and 4 make 2; odds 9 and 1/9 make 1.
    np.testing.assert_allclose(mixed, [2 / 3, 1 / 2])
    cases = held_out([[0.5, 0.5]] * 9, [[0.8, 0.2]] * 9, [[1, 0]] * 9, exclusive=False)
    blend = fit_blend(cases)
    assert blend.weight > 0
    assert blend.blend_accuracy == 1.0
    # "Not more likely than not" is no, which is right of the second label.
    assert blend.vote_accuracy == 0.5


def test_the_json_of_a_blend() -> None:
    assert UNFITTED.to_dict() == {
        "weight": 0.5,
        "temperature": 2.0,
        "n_replayed": 0,
        "is_trained": False,
        "accuracy": None,
    }
    fitted = fit_blend(held_out([[0.5, 0.5]] * 3, [[0.8, 0.2]] * 3, [[1, 0]] * 3))
    assert fitted.to_dict()["accuracy"] == {"vote": 1.0, "model": 1.0, "blend": 1.0}


def test_extreme_scores_stay_finite() -> None:
    certain, never = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    for exclusive in (True, False):
        for weight in (0.05, 0.5, 1.0):
            mixed = Blend(weight=weight, temperature=0.5).mix(certain, never, exclusive=exclusive)
            assert np.isfinite(mixed).all()
            assert ((mixed >= 0) & (mixed <= 1)).all()
        cases = held_out([[1, 0]] * 4, [[0, 1]] * 4, [[0, 1]] * 4, exclusive=exclusive)
        assert 0 < fit_blend(cases).weight <= 1


def brute_force(cases: HeldOutScores) -> tuple[float, float]:
    """Search the grid with loops, one label that is right: before the exclusions."""
    best, found = -math.inf, (0.0, 1.0)
    by_nearness = sorted(TEMPERATURES, key=lambda t: abs(math.log(t)))
    for weight, temperature in [(0.0, 1.0), *((w, t) for w in WEIGHTS for t in by_nearness)]:
        total, doubts = 0.0, []
        for votes, scores, right in zip(cases.votes, cases.scores, cases.right, strict=True):
            raw = [v ** (1 - weight) * s ** (weight / temperature)
                   for v, s in zip(votes, scores, strict=True)]  # fmt: skip
            shares = [x / sum(raw) for x in raw]
            total += math.log(sum(x for x, ok in zip(shares, right, strict=True) if ok))
            doubts.append(1 - max(shares))
        total += math.log(sum(doubts) / len(doubts))
        if total > best + 1e-8:
            best, found = total, (weight, temperature)
    return found


@st.composite
def cases(draw: st.DrawFn, *, exclusive: bool | None = None) -> HeldOutScores:
    n, n_labels = draw(st.integers(2, 12)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = np.eye(n_labels, dtype=np.bool_)[rng.integers(0, n_labels, n)]
    help_ = rng.uniform(0, 3, 2)
    votes, scores = (np.exp(x * truth + rng.normal(size=truth.shape)) for x in help_)
    groups = tuple(draw(st.lists(st.sampled_from(["", "a", "b"]), min_size=n, max_size=n)))
    return HeldOutScores(
        votes=votes / votes.sum(axis=1, keepdims=True),
        scores=scores / scores.sum(axis=1, keepdims=True),
        right=truth,
        groups=groups,
        exclusive=draw(st.booleans()) if exclusive is None else exclusive,
    )


@settings(deadline=None, max_examples=30)
@given(cases())
def test_on_what_it_was_fitted_on_a_blend_is_never_worse_than_the_vote(
    found: HeldOutScores,
) -> None:
    blend = fit_blend(found)
    assert 0.0 <= blend.weight <= 1.0
    assert blend.weight == 0 or blend.temperature in TEMPERATURES
    fitted, _ = found.log_likelihoods(blend.weight, blend.temperature)
    vote, _ = found.log_likelihoods(0.0, 1.0)
    assert fitted.mean() >= vote.mean()
    assert blend.blend_accuracy >= blend.vote_accuracy
    for votes, scores in zip(found.votes, found.scores, strict=True):
        mixed = blend.mix(votes, scores, exclusive=found.exclusive)
        assert ((mixed >= 0) & (mixed <= 1)).all()
        if found.exclusive:
            assert mixed.sum() == pytest.approx(1.0)
        if not blend.weight:
            np.testing.assert_array_equal(mixed, votes)


@settings(deadline=None, max_examples=15)
@given(cases(exclusive=True))
def test_the_fit_is_the_best_of_the_grid_or_the_vote(found: HeldOutScores) -> None:
    blend = fit_blend(found)
    wanted = brute_force(found)
    if blend.weight:
        assert (blend.weight, blend.temperature) == wanted


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(cases())
def test_the_order_of_the_cases_does_not_matter(found: HeldOutScores) -> None:
    order = np.random.default_rng(1).permutation(len(found))
    other = HeldOutScores(
        votes=found.votes[order],
        scores=found.scores[order],
        right=found.right[order],
        groups=tuple(found.groups[row] for row in order),
        exclusive=found.exclusive,
    )
    one, two = fit_blend(found), fit_blend(other)
    assert (one.weight, one.temperature) == (two.weight, two.temperature)
