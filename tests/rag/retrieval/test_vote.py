from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.index.corpus import Exemplar
from earful.rag.arrays import Scores
from earful.rag.retrieval import Candidates, LabelScoring, LabelVote, label_probabilities
from earful.rag.retrieval.label_means import LabelEvidence
from earful.rag.retrieval.vote import Calibration, label_prior, vote_of_labels, vote_of_shots

NO_BACKGROUND = Calibration(temperature=1.0, background=-100.0)


def test_a_vote_by_hand() -> None:
    # Weights e^0.9, e^0.9 and e^0.1 over their sum: 0.408, 0.408, 0.183.
    scores = np.array([0.9, 0.9, 0.1])
    even = vote_of_labels(scores, NO_BACKGROUND)
    np.testing.assert_allclose(even, [0.4083, 0.4083, 0.1835], atol=1e-4)
    # A background of 0.1 weighs e^0.1 as well, which is 0.155 of the new sum: each label
    # gets a third of that, and the scores of the labels shrink to the rest.
    known = Calibration(temperature=1.0, background=0.1)
    np.testing.assert_allclose(vote_of_labels(scores, known), 0.845 * even + 0.155 / 3, atol=1e-3)


def test_a_label_of_which_nothing_is_known_has_its_part_of_the_background() -> None:
    # e^0.5 twice, for a label and for the made-up one, which two labels share.
    known = Calibration(temperature=1.0, background=0.5)
    scores = vote_of_labels(np.array([0.5, -np.inf]), known)
    np.testing.assert_allclose(scores, [0.75, 0.25])


def test_names_alone_have_no_background() -> None:
    known = Calibration(temperature=0.1, background=-np.inf)
    scores = vote_of_labels(np.array([0.2, 0.1]), known)
    np.testing.assert_allclose(scores, [np.e / (1 + np.e), 1 / (1 + np.e)])


def test_a_query_unlike_every_exemplar_gets_a_flat_answer() -> None:
    known = Calibration(temperature=0.05, background=0.5)
    assert vote_of_labels(np.array([0.9, -np.inf]), known)[0] > 0.99
    assert vote_of_labels(np.array([0.1, -np.inf]), known)[0] < 0.51


def test_a_shot_with_two_labels_speaks_for_each() -> None:
    memberships = np.array([[1.0, 1.0], [0.0, 1.0]])
    each = vote_of_shots(np.zeros(2), memberships, NO_BACKGROUND, prior=np.full(2, 0.5))
    np.testing.assert_allclose(each, [0.5, 1.0])


def test_a_low_temperature_lets_the_highest_decide() -> None:
    cold = Calibration(temperature=1e-3, background=0.0)
    assert vote_of_labels(np.array([0.5, 0.45]), cold)[0] > 1 - 1e-12


def test_thousands_of_labels_take_no_square_of_them() -> None:
    # A square of these would be 320 GB.
    scores = vote_of_labels(np.linspace(0, 1, 200_000), Calibration(temperature=0.1, background=0))
    assert scores.argmax() == 199_999
    assert scores.sum() == pytest.approx(1.0)


def doubt(
    scores: list[float],
    *,
    likeness: float = 1.0,
    speaks: list[float] | None = None,
    shown: list[bool] | None = None,
) -> str:
    spoken = np.array(scores if speaks is None else speaks)
    evidence = LabelEvidence(
        scores=spoken,
        alike=spoken,
        heard=None,
        similarities=spoken if shown is None else np.where(shown, spoken, -np.inf),
        likeness=likeness,
    )
    calibration = Calibration(temperature=0.1, background=0.0, unlike_below=0.3)
    voted = LabelVote(scores=np.array(scores), evidence=evidence, calibration=calibration)
    return voted.doubt(["bird", "drum", "rain"][: len(scores)], np.array(scores))


def test_two_labels_cannot_be_told_apart_at_fifty_one_to_forty_nine() -> None:
    assert doubt([0.5, 0.5]) == "'bird' and 'drum' cannot be told apart"
    assert doubt([0.495, 0.505]) == "'drum' and 'bird' cannot be told apart"
    assert doubt([0.511, 0.489]) == ""
    # What others have does not matter: 0.12 against 0.11 is 52 to 48.
    assert doubt([0.12, 0.77, 0.11]) == ""
    assert doubt([0.012, 0.011, 0.001]) == ""
    assert doubt([1.0]) == ""


def test_labels_that_are_alike_for_being_unlike_the_query_are_told_so() -> None:
    # The made-up label, at 0, has e^5 times the weight of either: both get half of it.
    assert doubt([0.5, 0.5], speaks=[-0.5, -0.5]) == ("nothing here is like it")
    # Of three equal weights it has a third only.
    assert doubt([0.5, 0.5], speaks=[0.0, 0.0]).endswith("cannot be told apart")


def test_a_query_that_nothing_is_like_is_doubted_whatever_the_scores() -> None:
    assert doubt([0.9, 0.1], likeness=0.29) == ("nothing here is like it")
    assert doubt([0.9, 0.1], likeness=0.3) == ""
    assert doubt([1.0], likeness=-np.inf) == "nothing here is like it"


def test_where_nothing_was_compared_the_doubt_speaks_of_names() -> None:
    names = "none of these names is clearly heard in it"
    assert doubt([0.9, 0.1], likeness=0.29, shown=[False, False]) == names
    assert doubt([0.5, 0.5], speaks=[-0.5, -0.5], shown=[False, False]) == names
    # The other label has exemplars, and they may well be like the query.
    assert doubt([0.9, 0.1], likeness=0.29, shown=[False, True]) == (
        "'bird' has no exemplar, and its name is not clearly heard"
    )
    assert doubt([0.1, 0.9], likeness=0.29, shown=[False, True]) == "nothing here is like it"


@given(
    scores=st.lists(st.floats(-1, 1), min_size=1, max_size=8),
    temperature=st.floats(0.003, 10),
    background=st.floats(-2, 1),
)
def test_scores_are_a_distribution_and_follow_similarity(
    scores: list[float], temperature: float, background: float
) -> None:
    calibration = Calibration(temperature=temperature, background=background)
    before = vote_of_labels(np.array(scores), calibration)
    assert before.sum() == pytest.approx(1.0)
    assert (before >= 0.0).all()
    # Raising what speaks for a label never lowers it.
    raised = [scores[0] + 0.5, *scores[1:]]
    assert vote_of_labels(np.array(raised), calibration)[0] >= before[0] - 1e-12
    # Moving everything together changes nothing.
    higher = Calibration(temperature=temperature, background=background + 0.25)
    moved = vote_of_labels(np.array(scores) + 0.25, higher)
    np.testing.assert_allclose(moved, before, atol=1e-9)


@given(
    similarities=st.lists(st.floats(-1, 1), min_size=1, max_size=8),
    temperature=st.floats(0.003, 10),
    background=st.floats(-2, 1),
    seed=st.integers(0, 100),
)
def test_one_label_a_shot_and_an_even_prior_make_a_distribution_of_shots_too(
    similarities: list[float], temperature: float, background: float, seed: int
) -> None:
    n_labels = 4
    owners = np.random.default_rng(seed).integers(0, n_labels, len(similarities))
    memberships = np.eye(n_labels)[owners]
    calibration = Calibration(temperature=temperature, background=background)
    prior = np.full(n_labels, 1 / n_labels)

    def scores(values: list[float], calibration: Calibration = calibration) -> Scores:
        return vote_of_shots(np.array(values), memberships, calibration, prior=prior)

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
    np.testing.assert_allclose(label_prior(candidates), [4 / 6, 3 / 6])


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
