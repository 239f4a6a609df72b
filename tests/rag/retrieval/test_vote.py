from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.index.corpus import Exemplar
from earful.rag.arrays import Scores
from earful.rag.retrieval import Candidates, LabelScoring, label_probabilities
from earful.rag.retrieval.vote import Calibration, label_prior, vote

NO_BACKGROUND = Calibration(temperature=1.0, background=-100.0)


def test_a_vote_by_hand() -> None:
    # Weights e^0.9, e^0.9 and e^0.1 over their sum: 0.408, 0.408, 0.183.
    memberships = np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, 0]])
    prior = np.full(3, 1 / 3)
    similarities = np.array([0.9, 0.9, 0.1])
    even = vote(similarities, memberships, NO_BACKGROUND, prior=prior, exclusive=True)
    np.testing.assert_allclose(even, [0.5917, 0.4083, 0.0], atol=1e-4)
    # A background of 0.1 weighs e^0.1 as well, which is 0.155 of the new sum: each label
    # gets a third of that, and the scores of the shots shrink to the rest.
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


def test_the_prior_of_several_labels_is_their_frequency() -> None:
    candidates = Candidates(
        labels=["a", "b"],
        exemplars=[Exemplar(id=str(row), audio=PurePosixPath("x.wav")) for row in range(4)],
        paths=[Path(f"/{row}.wav") for row in range(4)],
        content=list("wxyz"),
        vectors=np.eye(4, dtype=np.float32),
        row_labels=[(0,), (0,), (0, 1), (1,)],
    )
    np.testing.assert_allclose(label_prior(candidates, exclusive=False), [4 / 6, 3 / 6])
    np.testing.assert_allclose(label_prior(candidates, exclusive=True), [0.5, 0.5])


def test_label_probabilities_worked_by_hand() -> None:
    two = [np.log([0.2, 0.5]), np.log([0.4])]
    summed = label_probabilities(two, scoring=LabelScoring())
    np.testing.assert_allclose(summed, [0.1 / 0.5, 0.4 / 0.5])
    mean = label_probabilities(two, scoring=LabelScoring(length="mean"))
    np.testing.assert_allclose(mean[0] / mean[1], np.sqrt(0.1) / 0.4)
    prior = [np.log([0.1]), np.log([0.1])]
    np.testing.assert_allclose(
        label_probabilities(two, scoring=LabelScoring(), prior=prior), summed
    )
    with pytest.raises(ValueError, match=r"vote_weight=1.5"):
        LabelScoring(vote_weight=1.5)
    with pytest.raises(ValueError, match="length='longest'"):
        LabelScoring(length="longest")  # type: ignore[arg-type]
