import math

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.rag.arrays import Scores
from earful.rag.retrieval import MIN_CASES
from earful.rag.retrieval.calibration import (
    fit_calibration,
    guess_calibration,
    minimise,
    simulated_calibration,
)
from earful.rag.retrieval.label_means import LabelMeans
from earful.rag.retrieval.vote import Calibration, label_prior, vote_of_labels, vote_of_shots
from earful.rag.strategies import STRATEGIES, pick_shots
from earful.rag.task import Shots
from tests.support.labelled_vectors import candidates_of, unit


def clusters(
    rng: np.random.Generator, n: int, *, n_labels: int = 5, spread: float, dim: int = 16
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Points around one centre a label; ``spread`` decides how much they overlap."""
    centres = np.random.default_rng(7).normal(size=(n_labels, dim))
    truth = rng.integers(0, n_labels, n)
    points = centres[truth] + spread * rng.normal(size=(n, dim))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), truth


def scores_of(
    means: LabelMeans, query: NDArray[np.float32], shots: Shots, fit: Calibration
) -> Scores:
    """Score one query: all exemplars vote, or those that a random strategy draws."""
    voters = np.ones(len(means.candidates), dtype=np.bool_)
    if STRATEGIES[shots.strategy].is_random:
        rows, _ = pick_shots(means.candidates, query, shots=shots)
        voters[:] = False
        voters[rows] = True
    evidence = means.weigh(means.similarities(query), voters)
    return vote_of_labels(evidence.scores, fit)


@pytest.mark.parametrize(
    "spread", [1.2, *(pytest.param(less, marks=pytest.mark.slow) for less in (0.3, 0.8))]
)
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_confidence_is_how_often_an_answer_is_right(spread: float, strategy: str) -> None:
    rng = np.random.default_rng(3)
    vectors, truth = clusters(rng, 300, spread=spread)
    means = LabelMeans(candidates_of(vectors, [[f"label {label}"] for label in truth]))
    shots = Shots(k=8, strategy=strategy)
    fit = fit_calibration(means, shots, exclusive=True)
    assert fit is not None
    queries, wanted = clusters(rng, 500, spread=spread)
    scores = np.array([scores_of(means, query, shots, fit) for query in queries])
    right = scores.argmax(axis=1) == wanted
    confidence = scores.max(axis=1)
    # Overall, and in thirds from least to most confident.
    assert abs(confidence.mean() - right.mean()) < 0.05
    for third in np.array_split(np.argsort(confidence, kind="stable"), 3):
        assert abs(confidence[third].mean() - right[third].mean()) < 0.12
    # Harder data must give less confidence: at these spreads the vote is not always right.
    if strategy == "nearest" and spread == 1.2:
        assert 0.3 < right.mean() < 0.95


@pytest.mark.parametrize("n", [6, 12, 24, 48])
@pytest.mark.parametrize("scale", [0.3, 0.03, 0.01, 0.003])
def test_confidence_keeps_its_spread_where_all_are_alike(scale: float, n: int) -> None:
    """Machines of one kind, 0.14 to 0.9994 alike: only the scale of what tells them apart differs.

    At 0.01 the vote was right in 85 of 100 cases and said 50 % of each.
    """
    truth = np.arange(n) % 2
    vectors, queries = (
        unit(
            np.eye(1, 64)
            + scale * np.random.default_rng(seed).normal(size=(len(own), 64))
            + scale * 1.4 * (2 * own[:, None] - 1) * np.eye(1, 64, 1)
        )
        for seed, own in ((0, truth), (1, np.arange(400) % 2))
    )
    means = LabelMeans(candidates_of(vectors, [[f"label {label}"] for label in truth]))
    shots = Shots(k=4)
    fit = fit_calibration(means, shots, exclusive=True) or guess_calibration(means, exclusive=True)
    scores = np.array([scores_of(means, query, shots, fit) for query in queries])
    right = scores.argmax(axis=1) == np.arange(400) % 2
    assert right.mean() > 0.6
    # From six exemplars nobody could say better than roughly.
    assert abs(scores.max(axis=1).mean() - right.mean()) < 0.1
    least, _, most = np.quantile(scores.max(axis=1), [0.1, 0.5, 0.9])
    assert most - least > 0.2


def test_the_fit_is_the_minimum_of_the_leave_one_out_loss() -> None:
    vectors, truth = clusters(np.random.default_rng(5), 120, spread=1.0)
    groups = [f"g{row // 2}" for row in range(120)]
    candidates = candidates_of(vectors, [[f"label {label}"] for label in truth], groups=groups)
    means = LabelMeans(candidates)
    fit = fit_calibration(means, Shots(k=6), exclusive=True)
    assert fit is not None
    assert fit.n_cases == 120

    def loss(temperature: float, background: float) -> float:
        """Ask every exemplar about itself, one by one, without its group."""
        total, floors = 0.0, []
        for row in range(120):
            allowed = np.array([group != groups[row] for group in groups])
            evidence = means.weigh(means.similarities(vectors[row]), allowed)
            weights = np.exp(np.append(evidence.scores, background) / temperature)
            weights /= weights.sum()
            total -= math.log(weights[int(truth[row])] + weights[-1] / 5)
            # What the made-up label has in all.
            floors.append(weights[-1])
        return total - math.log(np.mean(floors))

    def cost(temperature: float, background: float) -> float:
        typical = guess_calibration(means, exclusive=True).temperature
        return loss(temperature, background) + math.log(temperature / typical) ** 2 / 2

    assert fit.loss == pytest.approx(loss(fit.temperature, fit.background) / 120, abs=1e-9)
    least = cost(fit.temperature, fit.background)
    for factor in (0.8, 0.95, 1.05, 1.25):
        assert cost(fit.temperature * factor, fit.background) >= least - 1e-3
    for step in (-0.1, -0.02, 0.02, 0.1):
        assert cost(fit.temperature, fit.background + step) >= least - 1e-3


def test_a_few_candidates_without_mistakes_is_not_certain() -> None:
    for n in (5, 100):
        vectors = np.repeat(np.eye(2, dtype=np.float32), n, axis=0)
        means = LabelMeans(candidates_of(vectors, [["a"]] * n + [["b"]] * n))
        fit = fit_calibration(means, Shots(k=3), exclusive=True)
        assert fit is not None
        scores = scores_of(means, vectors[0], Shots(), fit)
        # The one made-up case among 2 n + 1 is missed: about the rule of succession.
        assert 2 * scores[1] == pytest.approx(2 / (2 * n + 1), rel=0.15)


def test_cases_that_nothing_could_answer_do_not_count() -> None:
    vectors, _ = clusters(np.random.default_rng(1), 40, spread=1.0)
    one_of_each = candidates_of(vectors, [[f"label {row}"] for row in range(40)])
    assert fit_calibration(LabelMeans(one_of_each), Shots(), exclusive=True) is None
    # Two of each, but from one recording.
    pairs = [[f"label {row // 2}"] for row in range(40)]
    same_site = candidates_of(vectors, pairs, groups=[f"g{row // 2}" for row in range(40)])
    assert fit_calibration(LabelMeans(same_site), Shots(), exclusive=True) is None
    fitted = fit_calibration(LabelMeans(candidates_of(vectors, pairs)), Shots(), exclusive=True)
    assert fitted is not None
    assert fitted.n_cases == 40
    few = candidates_of(vectors[: MIN_CASES - 1], [["a"]] * (MIN_CASES - 1))
    assert fit_calibration(LabelMeans(few), Shots(), exclusive=True) is None


def test_many_candidates_are_sampled_with_a_seed() -> None:
    vectors, truth = clusters(np.random.default_rng(2), 1000, spread=1.0)
    means = LabelMeans(candidates_of(vectors, [[f"label {label}"] for label in truth]))
    first, again = (fit_calibration(means, Shots(), exclusive=True, seed=1) for _ in range(2))
    assert first is not None
    assert first.n_cases == 400
    assert again == first
    assert fit_calibration(means, Shots(), exclusive=True, seed=2) != first


def test_several_labels_are_each_calibrated_for_themselves() -> None:
    rng = np.random.default_rng(11)
    axes = rng.normal(size=(3, 16))

    def draw(n: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        has = rng.random((n, 3)) < [0.5, 0.3, 0.1]
        points = has @ axes + 0.8 * rng.normal(size=(n, 16))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        return points.astype(np.float32), has

    vectors, has = draw(500)
    kept = has.any(axis=1)
    names = np.array(["x", "y", "z"])
    candidates = candidates_of(vectors[kept], [names[row] for row in has[kept]], kind="multilabel")
    fit = fit_calibration(LabelMeans(candidates), Shots(), exclusive=False)
    assert fit is not None
    queries, wanted = draw(500)
    queries, wanted = queries[wanted.any(axis=1)], wanted[wanted.any(axis=1)]
    prior = label_prior(candidates)
    scores = []
    for query in queries:
        rows, similarities = pick_shots(candidates, query, shots=Shots())
        scores.append(vote_of_shots(similarities, candidates.memberships(rows), fit, prior=prior))
    np.testing.assert_allclose(np.mean(scores, axis=0), wanted.mean(axis=0), atol=0.06)
    confident = np.array(scores) > 0.5
    assert (confident == wanted).mean() > 0.8


def test_a_few_examples_are_calibrated_by_simulating_the_task_on_an_index() -> None:
    rng = np.random.default_rng(21)

    def labelled(n_labels: int, n_each: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        centres = rng.normal(size=(n_labels, 16))
        truth = np.repeat(np.arange(n_labels), n_each)
        points = centres[truth] + 1.0 * rng.normal(size=(len(truth), 16))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        return points.astype(np.float32), truth

    vectors, truth = labelled(15, 12)
    index = LabelMeans(candidates_of(vectors, [[f"known {label}"] for label in truth]))
    shots = Shots(k=6)
    fit = simulated_calibration(index, [2, 3, 2, 1], shots)
    assert fit is not None
    assert fit.n_cases >= 300
    confidences: list[float] = []
    rights: list[bool] = []
    for _ in range(40):
        # Four labels that the index never had: some examples, the rest to be classified.
        vectors, truth = labelled(4, 8)
        is_example = np.concatenate([np.arange(8) < n for n in (2, 3, 2, 1)])
        means = LabelMeans(
            candidates_of(vectors[is_example], [[f"new {label}"] for label in truth[is_example]])
        )
        for query, wanted in zip(vectors[~is_example], truth[~is_example], strict=True):
            scores = scores_of(means, query, shots, fit)
            confidences.append(float(scores.max()))
            rights.append(int(scores.argmax()) == wanted)
    confidence, right = np.array(confidences), np.array(rights)
    assert 0.5 < right.mean() < 0.95
    assert abs(confidence.mean() - right.mean()) < 0.06
    for third in np.array_split(np.argsort(confidence, kind="stable"), 3):
        assert abs(confidence[third].mean() - right[third].mean()) < 0.12


def test_a_simulation_makes_do_with_what_the_index_has() -> None:
    vectors, _ = clusters(np.random.default_rng(1), 40, spread=1.0)
    pairs = LabelMeans(candidates_of(vectors, [[f"label {row // 2}"] for row in range(40)]))
    # Of each pair one is the example and one the query, whatever is wished for.
    assert simulated_calibration(pairs, [1, 1], Shots()) is not None
    assert simulated_calibration(pairs, [5] * 30, Shots()) is not None
    alone = candidates_of(vectors, [[f"label {row}"] for row in range(40)])
    assert simulated_calibration(LabelMeans(alone), [1, 1], Shots()) is None
    one_label = candidates_of(vectors, [["a"]] * 40)
    assert simulated_calibration(LabelMeans(one_label), [1, 1], Shots()) is None
    one_site = candidates_of(vectors, [[f"{row // 2}"] for row in range(40)], groups=["site"] * 40)
    assert simulated_calibration(LabelMeans(one_site), [1, 1], Shots()) is None


def test_a_simulation_is_the_same_for_the_same_seed() -> None:
    vectors, truth = clusters(np.random.default_rng(1), 100, spread=1.0)
    index = LabelMeans(candidates_of(vectors, [[f"label {label}"] for label in truth]))
    first = simulated_calibration(index, [2, 2], Shots(), seed=4)
    assert first is not None
    assert simulated_calibration(index, [2, 2], Shots(), seed=4) == first
    assert simulated_calibration(index, [2, 2], Shots(), seed=5) != first


def test_a_simulation_keeps_a_query_from_its_own_group() -> None:
    # Every recording is there twice; without the exclusions the copy would always decide.
    vectors, truth = clusters(np.random.default_rng(1), 60, spread=3.0)
    twice = np.repeat(vectors, 2, axis=0)
    labels = [[f"label {label}"] for label in np.repeat(truth, 2)]
    groups = [f"recording {row // 2}" for row in range(120)]
    recordings = LabelMeans(candidates_of(twice, labels, groups=groups))
    honest = simulated_calibration(recordings, [8] * 5, Shots(k=1))
    copies = LabelMeans(candidates_of(twice, labels))
    fooled = simulated_calibration(copies, [8] * 5, Shots(k=1))
    assert honest is not None
    assert fooled is not None
    assert honest.loss > fooled.loss + 0.2


def test_a_guess_takes_its_scale_from_the_exemplars() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], dtype=np.float32)
    three = LabelMeans(candidates_of(vectors, [["a"], ["b"], ["c"]]))
    # Cosines of the three pairs: 0.8, 0.6 and 0.96.
    cosines = [0.8, 0.6, 0.96]
    each = guess_calibration(three, exclusive=False)
    assert each.background == pytest.approx(np.mean(cosines), abs=1e-6)
    assert each.temperature == pytest.approx(np.std(cosines), abs=1e-6)
    # Of one label among several: three pairs are too few, so the usual 0.15 stands for them.
    one = guess_calibration(three, exclusive=True)
    assert one.background == each.background
    assert one.temperature == pytest.approx(0.6 * 0.15)
    # A single one says nothing, and nothing is then ruled out.
    alone = guess_calibration(LabelMeans(candidates_of(vectors[:1], [["a"]])), exclusive=True)
    assert (alone.n_cases, alone.unlike_below) == (0, -math.inf)  # no names speak


def test_a_guess_from_ten_pairs_takes_their_own_deviation() -> None:
    vectors, _ = clusters(np.random.default_rng(4), 5, spread=1.0)
    five = LabelMeans(candidates_of(vectors, [["a"], ["b"], ["c"], ["d"], ["e"]]))
    pairs = (vectors.astype(np.float64) @ vectors.T)[np.triu_indices(5, k=1)]
    guess = guess_calibration(five, exclusive=True)
    assert guess.temperature == pytest.approx(0.6 * pairs.std(), abs=1e-6)
    assert guess.background == pytest.approx(pairs.mean(), abs=1e-6)


@pytest.mark.parametrize("bottom", [-1.0, -0.3, 0.0, 0.9])
def test_a_valley_is_found_wherever_it_lies(bottom: float) -> None:
    assert minimise(lambda x: abs(x - bottom), -1.0, 1.0) == pytest.approx(bottom, abs=2e-4)
