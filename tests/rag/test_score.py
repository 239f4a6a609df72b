import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.index.exemplar import Exemplar
from earful.index.search import VectorSet
from earful.rag.pool import Pool, build_pool
from earful.rag.retrieve import choose_shots
from earful.rag.score import (
    MIN_CASES,
    Calibration,
    Scores,
    fit_calibration,
    label_prior,
    vote,
)
from earful.rag.task import STRATEGIES, Shots, Strategy, Task

NO_BACKGROUND = Calibration(temperature=1.0, background=-100.0)


def pool_of(
    vectors: NDArray[np.float32],
    labels: Sequence[Sequence[str]],
    *,
    groups: Sequence[str] = (),
    kind: str = "classify",
) -> Pool:
    n = len(vectors)
    vector_set = VectorSet(
        exemplars=[
            Exemplar(
                id=f"{row:05}",
                audio=PurePosixPath(f"{row}.wav"),
                labels=tuple(labels[row]),
                group=groups[row] if groups else "",
            )
            for row in range(n)
        ],
        paths=[Path(f"/sounds/{row}.wav") for row in range(n)],
        content=[f"content-{row}" for row in range(n)],
        vectors=vectors,
    )
    return build_pool(Task(name="t", kind=kind), index=vector_set, examples=None)  # type: ignore[arg-type]


def clusters(
    rng: np.random.Generator, n: int, *, n_labels: int = 5, spread: float, dim: int = 16
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Points around one centre a label; ``spread`` decides how much they overlap."""
    centres = np.random.default_rng(7).normal(size=(n_labels, dim))
    truth = rng.integers(0, n_labels, n)
    points = centres[truth] + spread * rng.normal(size=(n, dim))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), truth


def scores_of(pool: Pool, query: NDArray[np.float32], shots: Shots, fit: Calibration) -> Scores:
    rows, similarities = choose_shots(pool, query, shots=shots)
    return vote(
        similarities,
        pool.memberships(rows),
        fit,
        prior=label_prior(pool, exclusive=True),
        exclusive=True,
    )


def test_a_vote_by_hand() -> None:
    # Weights e^0.9, e^0.9 and e^0.1 over their sum: 0.408, 0.408, 0.183.
    memberships = np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, 0]])
    prior = np.full(3, 1 / 3)
    similarities = np.array([0.9, 0.9, 0.1])
    even = vote(similarities, memberships, NO_BACKGROUND, prior=prior, exclusive=True)
    np.testing.assert_allclose(even, [0.5917, 0.4083, 0.0], atol=1e-4)
    # A background of 0.1 weighs e^0.1 as well, which is 0.155 of the new sum: each label
    # gets a third of that, and what the shots said shrinks to the rest.
    known = Calibration(temperature=1.0, background=0.1)
    scores = vote(similarities, memberships, known, prior=prior, exclusive=True)
    np.testing.assert_allclose(scores, 0.845 * even + 0.155 / 3, atol=1e-3)


def test_a_query_unlike_every_shot_gets_a_flat_answer() -> None:
    known = Calibration(temperature=0.05, background=0.5)
    prior = np.full(2, 0.5)
    near = vote(np.array([0.9]), np.array([[1.0, 0.0]]), known, prior=prior, exclusive=True)
    far = vote(np.array([0.1]), np.array([[1.0, 0.0]]), known, prior=prior, exclusive=True)
    assert near[0] > 0.99
    assert far[0] < 0.51


def test_a_shot_with_two_labels_is_shared_among_them() -> None:
    memberships = np.array([[1.0, 1.0], [0.0, 1.0]])
    similarities, prior = np.zeros(2), np.full(2, 0.5)
    shared = vote(similarities, memberships, NO_BACKGROUND, prior=prior, exclusive=True)
    np.testing.assert_allclose(shared, [0.25, 0.75])
    each = vote(similarities, memberships, NO_BACKGROUND, prior=prior, exclusive=False)
    np.testing.assert_allclose(each, [0.5, 1.0])


def test_a_low_temperature_lets_the_nearest_decide() -> None:
    memberships = np.eye(2)
    cold = Calibration(temperature=1e-3, background=0.0)
    scores = vote(np.array([0.5, 0.45]), memberships, cold, prior=np.full(2, 0.5), exclusive=True)
    assert scores[0] > 1 - 1e-12


@given(
    similarities=st.lists(st.floats(-1, 1), min_size=1, max_size=8),
    temperature=st.floats(0.003, 10),
    background=st.floats(-2, 1),
    seed=st.integers(0, 100),
)
def test_scores_are_a_distribution_and_follow_similarity(
    similarities: list[float], temperature: float, background: float, seed: int
) -> None:
    n_labels = 4
    owners = np.random.default_rng(seed).integers(0, n_labels, len(similarities))
    memberships = np.eye(n_labels)[owners]
    calibration = Calibration(temperature=temperature, background=background)
    prior = np.full(n_labels, 1 / n_labels)

    def scores(values: list[float], calibration: Calibration = calibration) -> Scores:
        found = np.array(values)
        return vote(found, memberships, calibration, prior=prior, exclusive=True)

    before = scores(similarities)
    assert before.sum() == pytest.approx(1.0)
    assert (before >= 0.0).all()
    # Raising the similarity of a shot never lowers its own label.
    raised = [similarities[0] + 0.5, *similarities[1:]]
    assert scores(raised)[owners[0]] >= before[owners[0]] - 1e-12
    # Moving everything together changes nothing.
    higher = Calibration(temperature=temperature, background=background + 0.25)
    moved = scores([value + 0.25 for value in similarities], higher)
    np.testing.assert_allclose(moved, before, atol=1e-9)


@pytest.mark.parametrize("spread", [0.3, 0.8, 1.2])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_confidence_is_how_often_an_answer_is_right(spread: float, strategy: Strategy) -> None:
    rng = np.random.default_rng(3)
    vectors, truth = clusters(rng, 600, spread=spread)
    pool = pool_of(vectors, [[f"label {label}"] for label in truth])
    shots = Shots(k=8, strategy=strategy)
    fit = fit_calibration(pool, shots, exclusive=True)
    assert fit is not None
    queries, wanted = clusters(rng, 600, spread=spread)
    scores = np.array([scores_of(pool, query, shots, fit) for query in queries])
    right = scores.argmax(axis=1) == wanted
    confidence = scores.max(axis=1)
    # Overall, and in thirds from least to most confident.
    assert abs(confidence.mean() - right.mean()) < 0.05
    for third in np.array_split(np.argsort(confidence, kind="stable"), 3):
        assert abs(confidence[third].mean() - right[third].mean()) < 0.12
    # Harder data must give less confidence: at these spreads the vote is not always right.
    if strategy == "nearest" and spread == 1.2:
        assert 0.3 < right.mean() < 0.95


def test_the_fit_is_the_minimum_of_the_leave_one_out_loss() -> None:
    vectors, truth = clusters(np.random.default_rng(5), 120, spread=1.0)
    groups = [f"g{row // 2}" for row in range(120)]
    pool = pool_of(vectors, [[f"label {label}"] for label in truth], groups=groups)
    shots = Shots(k=6)
    fit = fit_calibration(pool, shots, exclusive=True)
    assert fit is not None
    assert fit.n_cases == 120

    def loss(temperature: float, background: float) -> float:
        """Ask every exemplar about itself, one by one, without its group."""
        calibration = Calibration(temperature=temperature, background=background)
        total, floors = 0.0, []
        for row in range(120):
            allowed = np.array([group != groups[row] for group in groups])
            rows, similarities = choose_shots(pool, vectors[row], shots=shots, allowed=allowed)
            members, prior = pool.memberships(rows), np.full(5, 0.2)
            scores = vote(similarities, members, calibration, prior=prior, exclusive=True)
            total -= math.log(scores[int(truth[row])])
            # A label that no shot has shows what the background gives.
            nobody = np.pad(members, ((0, 0), (0, 1)))
            unseen = vote(similarities, nobody, calibration, prior=np.eye(6)[5], exclusive=True)
            floors.append(unseen[5])
        return total - math.log(np.mean(floors))

    best = loss(fit.temperature, fit.background)
    assert fit.loss == pytest.approx(best / 120, abs=1e-9)
    for factor in (0.8, 0.95, 1.05, 1.25):
        assert loss(fit.temperature * factor, fit.background) >= best - 1e-3
    for step in (-0.1, -0.02, 0.02, 0.1):
        assert loss(fit.temperature, fit.background + step) >= best - 1e-3


def test_a_small_pool_without_mistakes_is_not_certain() -> None:
    prior = np.full(2, 0.5)
    for n in (5, 100):
        pool = pool_of(np.repeat(np.eye(2, dtype=np.float32), n, axis=0), [["a"]] * n + [["b"]] * n)
        fit = fit_calibration(pool, Shots(k=3), exclusive=True)
        assert fit is not None
        scores = vote(np.ones(3), np.array([[1.0, 0]] * 3), fit, prior=prior, exclusive=True)
        # The one made-up case among 2 n + 1 is missed: about the rule of succession.
        assert 2 * scores[1] == pytest.approx(2 / (2 * n + 1), rel=0.15)


def test_cases_that_nothing_could_answer_do_not_count() -> None:
    vectors, _ = clusters(np.random.default_rng(1), 40, spread=1.0)
    one_of_each = pool_of(vectors, [[f"label {row}"] for row in range(40)])
    assert fit_calibration(one_of_each, Shots(), exclusive=True) is None
    # Two of each, but from one recording.
    pairs = [[f"label {row // 2}"] for row in range(40)]
    same_site = pool_of(vectors, pairs, groups=[f"g{row // 2}" for row in range(40)])
    assert fit_calibration(same_site, Shots(), exclusive=True) is None
    fitted = fit_calibration(pool_of(vectors, pairs), Shots(), exclusive=True)
    assert fitted is not None
    assert fitted.n_cases == 40
    few = pool_of(vectors[: MIN_CASES - 1], [["a"]] * (MIN_CASES - 1))
    assert fit_calibration(few, Shots(), exclusive=True) is None


def test_a_large_pool_is_sampled_with_a_seed() -> None:
    vectors, truth = clusters(np.random.default_rng(2), 1000, spread=1.0)
    pool = pool_of(vectors, [[f"label {label}"] for label in truth])
    first = fit_calibration(pool, Shots(), exclusive=True, seed=1)
    assert first is not None
    assert first.n_cases == 400
    assert fit_calibration(pool, Shots(), exclusive=True, seed=1) == first
    assert fit_calibration(pool, Shots(), exclusive=True, seed=2) != first


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
    pool = pool_of(vectors[kept], [names[row] for row in has[kept]], kind="multilabel")
    fit = fit_calibration(pool, Shots(), exclusive=False)
    assert fit is not None
    queries, wanted = draw(500)
    queries, wanted = queries[wanted.any(axis=1)], wanted[wanted.any(axis=1)]
    prior = label_prior(pool, exclusive=False)
    scores = []
    for query in queries:
        rows, similarities = choose_shots(pool, query, shots=Shots())
        scores.append(vote(similarities, pool.memberships(rows), fit, prior=prior, exclusive=False))
    np.testing.assert_allclose(np.mean(scores, axis=0), wanted.mean(axis=0), atol=0.06)
    confident = np.array(scores) > 0.5
    assert (confident == wanted).mean() > 0.8


def test_the_prior_of_several_labels_is_their_frequency() -> None:
    vectors = np.eye(4, dtype=np.float32)
    pool = pool_of(vectors, [["a"], ["a"], ["a", "b"], ["b"]], kind="multilabel")
    np.testing.assert_allclose(label_prior(pool, exclusive=False), [4 / 6, 3 / 6])
    np.testing.assert_allclose(label_prior(pool, exclusive=True), [0.5, 0.5])
