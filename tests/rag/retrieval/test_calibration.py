import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.index.corpus import Exemplar
from earful.index.search import VectorSet
from earful.rag.arrays import Scores
from earful.rag.retrieval import MIN_CASES, Candidates
from earful.rag.retrieval.calibration import (
    fit_calibration,
    guess_calibration,
    minimise,
    simulated_calibration,
)
from earful.rag.retrieval.candidates import gather_candidates
from earful.rag.retrieval.vote import Calibration, label_prior, vote
from earful.rag.strategies import STRATEGIES, pick_shots
from earful.rag.task import Kind, Shots, Task


def candidates_of(
    vectors: NDArray[np.float32],
    labels: Sequence[Sequence[str]],
    *,
    groups: Sequence[str] = (),
    kind: Kind = "classify",
) -> Candidates:
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
    return gather_candidates(Task(name="t", kind=kind), index=vector_set, examples=None)


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
    candidates: Candidates, query: NDArray[np.float32], shots: Shots, fit: Calibration
) -> Scores:
    rows, similarities = pick_shots(candidates, query, shots=shots)
    return vote(
        similarities,
        candidates.memberships(rows),
        fit,
        prior=label_prior(candidates, exclusive=True),
        exclusive=True,
    )


@pytest.mark.parametrize("spread", [0.3, 0.8, 1.2])
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_confidence_is_how_often_an_answer_is_right(spread: float, strategy: str) -> None:
    rng = np.random.default_rng(3)
    vectors, truth = clusters(rng, 300, spread=spread)
    candidates = candidates_of(vectors, [[f"label {label}"] for label in truth])
    shots = Shots(k=8, strategy=strategy)
    fit = fit_calibration(candidates, shots, exclusive=True)
    assert fit is not None
    queries, wanted = clusters(rng, 500, spread=spread)
    scores = np.array([scores_of(candidates, query, shots, fit) for query in queries])
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
    candidates = candidates_of(vectors, [[f"label {label}"] for label in truth], groups=groups)
    shots = Shots(k=6)
    fit = fit_calibration(candidates, shots, exclusive=True)
    assert fit is not None
    assert fit.n_cases == 120

    def loss(temperature: float, background: float) -> float:
        """Ask every exemplar about itself, one by one, without its group."""
        calibration = Calibration(temperature=temperature, background=background)
        total, floors = 0.0, []
        for row in range(120):
            allowed = np.array([group != groups[row] for group in groups])
            rows, similarities = pick_shots(candidates, vectors[row], shots=shots, allowed=allowed)
            members, prior = candidates.memberships(rows), np.full(5, 0.2)
            scores = vote(similarities, members, calibration, prior=prior, exclusive=True)
            total -= math.log(scores[int(truth[row])])
            # A label that no shot has shows what the background gives.
            nobody = np.pad(members, ((0, 0), (0, 1)))
            unseen = vote(similarities, nobody, calibration, prior=np.eye(6)[5], exclusive=True)
            floors.append(unseen[5])
        return total - math.log(np.mean(floors))

    def cost(temperature: float, background: float) -> float:
        leaving = math.log(temperature / guess_calibration(candidates).temperature)
        return loss(temperature, background) + leaving**2 / 2

    assert fit.loss == pytest.approx(loss(fit.temperature, fit.background) / 120, abs=1e-9)
    least = cost(fit.temperature, fit.background)
    for factor in (0.8, 0.95, 1.05, 1.25):
        assert cost(fit.temperature * factor, fit.background) >= least - 1e-3
    for step in (-0.1, -0.02, 0.02, 0.1):
        assert cost(fit.temperature, fit.background + step) >= least - 1e-3


def test_a_few_candidates_without_mistakes_is_not_certain() -> None:
    prior = np.full(2, 0.5)
    for n in (5, 100):
        candidates = candidates_of(
            np.repeat(np.eye(2, dtype=np.float32), n, axis=0), [["a"]] * n + [["b"]] * n
        )
        fit = fit_calibration(candidates, Shots(k=3), exclusive=True)
        assert fit is not None
        scores = vote(np.ones(3), np.array([[1.0, 0]] * 3), fit, prior=prior, exclusive=True)
        # The one made-up case among 2 n + 1 is missed: about the rule of succession.
        assert 2 * scores[1] == pytest.approx(2 / (2 * n + 1), rel=0.15)


def test_cases_that_nothing_could_answer_do_not_count() -> None:
    vectors, _ = clusters(np.random.default_rng(1), 40, spread=1.0)
    one_of_each = candidates_of(vectors, [[f"label {row}"] for row in range(40)])
    assert fit_calibration(one_of_each, Shots(), exclusive=True) is None
    # Two of each, but from one recording.
    pairs = [[f"label {row // 2}"] for row in range(40)]
    same_site = candidates_of(vectors, pairs, groups=[f"g{row // 2}" for row in range(40)])
    assert fit_calibration(same_site, Shots(), exclusive=True) is None
    fitted = fit_calibration(candidates_of(vectors, pairs), Shots(), exclusive=True)
    assert fitted is not None
    assert fitted.n_cases == 40
    few = candidates_of(vectors[: MIN_CASES - 1], [["a"]] * (MIN_CASES - 1))
    assert fit_calibration(few, Shots(), exclusive=True) is None


def test_many_candidates_are_sampled_with_a_seed() -> None:
    vectors, truth = clusters(np.random.default_rng(2), 1000, spread=1.0)
    candidates = candidates_of(vectors, [[f"label {label}"] for label in truth])
    first, again = (fit_calibration(candidates, Shots(), exclusive=True, seed=1) for _ in range(2))
    assert first is not None
    assert first.n_cases == 400
    assert again == first
    assert fit_calibration(candidates, Shots(), exclusive=True, seed=2) != first


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
    fit = fit_calibration(candidates, Shots(), exclusive=False)
    assert fit is not None
    queries, wanted = draw(500)
    queries, wanted = queries[wanted.any(axis=1)], wanted[wanted.any(axis=1)]
    prior = label_prior(candidates, exclusive=False)
    scores = []
    for query in queries:
        rows, similarities = pick_shots(candidates, query, shots=Shots())
        scores.append(
            vote(similarities, candidates.memberships(rows), fit, prior=prior, exclusive=False)
        )
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
    index = candidates_of(vectors, [[f"known {label}"] for label in truth])
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
        candidates = candidates_of(
            vectors[is_example], [[f"new {label}"] for label in truth[is_example]]
        )
        for query, wanted in zip(vectors[~is_example], truth[~is_example], strict=True):
            scores = scores_of(candidates, query, shots, fit)
            confidences.append(float(scores.max()))
            rights.append(int(scores.argmax()) == wanted)
    confidence, right = np.array(confidences), np.array(rights)
    assert 0.5 < right.mean() < 0.95
    assert abs(confidence.mean() - right.mean()) < 0.06
    for third in np.array_split(np.argsort(confidence, kind="stable"), 3):
        assert abs(confidence[third].mean() - right[third].mean()) < 0.12


def test_a_simulation_makes_do_with_what_the_index_has() -> None:
    vectors, _ = clusters(np.random.default_rng(1), 40, spread=1.0)
    pairs = candidates_of(vectors, [[f"label {row // 2}"] for row in range(40)])
    # Of each pair one is the example and one the query, whatever is wished for.
    assert simulated_calibration(pairs, [1, 1], Shots()) is not None
    assert simulated_calibration(pairs, [5] * 30, Shots()) is not None
    alone = candidates_of(vectors, [[f"label {row}"] for row in range(40)])
    assert simulated_calibration(alone, [1, 1], Shots()) is None
    one_label = candidates_of(vectors, [["a"]] * 40)
    assert simulated_calibration(one_label, [1, 1], Shots()) is None
    one_site = candidates_of(vectors, [[f"{row // 2}"] for row in range(40)], groups=["site"] * 40)
    assert simulated_calibration(one_site, [1, 1], Shots()) is None


def test_a_simulation_is_the_same_for_the_same_seed() -> None:
    vectors, truth = clusters(np.random.default_rng(1), 100, spread=1.0)
    index = candidates_of(vectors, [[f"label {label}"] for label in truth])
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
    honest = simulated_calibration(candidates_of(twice, labels, groups=groups), [8] * 5, Shots(k=1))
    fooled = simulated_calibration(candidates_of(twice, labels), [8] * 5, Shots(k=1))
    assert honest is not None
    assert fooled is not None
    assert honest.loss > fooled.loss + 0.2


def test_a_guess_takes_its_scale_from_the_exemplars() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], dtype=np.float32)
    guess = guess_calibration(candidates_of(vectors, [["a"], ["b"], ["c"]]))
    # Cosines of the three pairs: 0.8, 0.6 and 0.96.
    assert guess.background == pytest.approx(np.mean([0.8, 0.6, 0.96]), abs=1e-6)
    assert guess.temperature == pytest.approx(np.std([0.8, 0.6, 0.96]), abs=1e-6)
    assert guess_calibration(candidates_of(vectors[:1], [["a"]])).n_cases == 0


@pytest.mark.parametrize("bottom", [-1.0, -0.3, 0.0, 0.9])
def test_a_valley_is_found_wherever_it_lies(bottom: float) -> None:
    assert minimise(lambda x: abs(x - bottom), -1.0, 1.0) == pytest.approx(bottom, abs=2e-4)
