import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.rag.retrieval import Candidates
from earful.rag.retrieval.calibration import (
    fit_calibration,
    guess_calibration,
    likeness_bound,
    simulated_calibration,
)
from earful.rag.retrieval.label_means import LabelEvidence, LabelMeans, LabelNames
from earful.rag.retrieval.vote import vote_of_labels
from earful.rag.task import Shots
from tests.support.class_scorers import CLASSES
from tests.support.label_namers import words
from tests.support.labelled_vectors import candidates_of, unit

EAST = np.array([1, 0], dtype=np.float32)
SILENT = np.zeros(3, dtype=np.float32)


def weighed(
    means: LabelMeans,
    query: NDArray[np.float32],
    *,
    without: Sequence[int] = (),
    class_scores: NDArray[np.float32] | None = None,
) -> LabelEvidence:
    allowed = np.ones(len(means.candidates), dtype=np.bool_)
    allowed[list(without)] = False
    return means.weigh(means.similarities(query), allowed, class_scores)


def fifths(class_scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return a fifth of the logits."""
    return class_scores.astype(np.float64) / 5


def named(candidates: Candidates) -> LabelMeans:
    """Means whose labels' names speak, too."""
    names = LabelNames(words=words(candidates.labels), standardise=fifths)
    return LabelMeans(candidates, names)


# --- worked by hand ----------------------------------------------------------------------


def test_one_near_exemplar_wins_against_four_that_are_not_as_near() -> None:
    # "a" at cosines 0.6, 0.6, 0.8 and 0.8 of the query, "b" at 0.96 alone.
    vectors = np.array([[0.6, 0.8], [0.6, 0.8], [0.8, 0.6], [0.8, 0.6], [0.96, 0.28]], np.float32)
    means = LabelMeans(candidates_of(vectors, [["a"]] * 4 + [["b"]]))
    # The ten pairs: 1, 1, four of 0.96, two of 0.8 and two of 0.936. Their mean is 0.9312, that
    # of their squares 0.871859, so they deviate by the root of 0.871859 - 0.867133.
    assert means.deviation == pytest.approx(0.068744, abs=1e-5)
    # The sharpness is 0.5 / 0.068744 = 7.2733, and the mean of "a"
    # 0.8 + ln((1 + e^(-0.2 x 7.2733)) / 2) / 7.2733 = 0.8 + ln(0.61672) / 7.2733 = 0.73355.
    found = weighed(means, EAST)
    np.testing.assert_allclose(found.scores, [0.73355, 0.96], atol=1e-4)
    np.testing.assert_array_equal(found.similarities, found.scores)
    assert found.likeness == pytest.approx(0.96)
    # A sum of votes says the opposite: e^(0.73 / 0.2) four times, e^(0.96 / 0.2) once.
    assert 4 * math.exp(0.73355 / 0.2) > math.exp(0.96 / 0.2)


def test_four_exemplars_or_fewer_are_compared_by_the_usual_deviation() -> None:
    vectors = np.array([[0.6, 0.8], [0.8, 0.6], [0, 1]], np.float32)
    means = LabelMeans(candidates_of(vectors, [["a"], ["a"], ["b"]]))
    assert means.deviation == 0.15
    # 0.8 + ln((1 + e^(-0.2 / 0.3)) / 2) x 0.3 = 0.8 + ln(0.756709) x 0.3.
    np.testing.assert_allclose(weighed(means, EAST).scores, [0.716367, 0.0], atol=1e-6)


def test_a_label_whose_exemplars_are_all_excluded_has_nothing() -> None:
    vectors = np.array([[0.6, 0.8], [0.8, 0.6], [0, 1]], np.float32)
    means = LabelMeans(candidates_of(vectors, [["a"], ["b"], ["c"]]))
    found = weighed(means, EAST, without=[1])
    np.testing.assert_allclose(found.scores, [0.6, -np.inf, 0.0], atol=1e-6)
    nothing = weighed(means, EAST, without=[0, 1, 2])
    assert (nothing.scores == -np.inf).all()
    assert nothing.likeness == -np.inf


def test_one_exemplar_of_one_label_is_enough() -> None:
    means = LabelMeans(candidates_of(EAST[None], [["a"]]))
    np.testing.assert_allclose(weighed(means, EAST).scores, [1.0])
    assert (means.spread.n_pairs, means.deviation) == (0, 0.15)


def test_an_exemplar_with_two_labels_counts_for_both() -> None:
    vectors = np.array([[0.6, 0.8], [0.8, 0.6]], np.float32)
    means = LabelMeans(candidates_of(vectors, [["a", "b"], ["b"]]))
    np.testing.assert_allclose(weighed(means, EAST).scores, [0.6, 0.716367], atol=1e-6)


def test_exemplars_that_are_nearly_equal_neither_overflow_nor_vanish() -> None:
    # They do not deviate at all, so the sharpness is 500, and the query itself is excluded.
    vectors = np.array([[-1, 0]] * 6 + [[1, 0]], np.float32)
    content = [*"abcdef", "query"]
    means = LabelMeans(candidates_of(vectors[:6], [["a"]] * 3 + [["b"]] * 3, content=content[:6]))
    assert means.deviation == 1e-3
    np.testing.assert_allclose(weighed(means, EAST).scores, [-1, -1])
    far = np.zeros(7)
    far[:3], far[3:6], far[6] = 1.0, -1.0, 1e3
    with_query = LabelMeans(candidates_of(vectors, [["a"]] * 3 + [["b"]] * 3 + [["a"]]))
    found = with_query.weigh(far, np.arange(7) < 6)
    np.testing.assert_allclose(found.scores, [1, -1])


def test_the_spread_is_that_of_all_exemplars_and_of_each_sound_once() -> None:
    # 500 of one label, all alike, and 500 of another at right angles: half of the pairs are
    # of one label. The first 400 alone would say that nothing deviates.
    vectors = np.repeat(np.eye(2, dtype=np.float32), 500, axis=0)
    means = LabelMeans(candidates_of(vectors, [["a"]] * 500 + [["b"]] * 500))
    assert means.spread.n_pairs == 400 * 399 // 2
    assert means.spread.mean == pytest.approx(0.5, abs=0.01)
    assert means.deviation == pytest.approx(0.5, abs=0.01)
    copies = LabelMeans(candidates_of(vectors[::100], [["a"]] * 10, content=["x", "y"] * 5))
    assert copies.spread.n_pairs == 1


# --- properties --------------------------------------------------------------------------

SEEDS = st.integers(0, 10_000)


def drawn(seed: int, n: int = 12, dim: int = 4) -> tuple[NDArray[np.float32], list[list[str]]]:
    random = np.random.default_rng(seed)
    labels = [[f"label {label}"] for label in random.integers(0, 4, n)]
    return unit(random.normal(size=(n, dim))), labels


@given(seed=SEEDS, n=st.integers(1, 12))
def test_a_plain_formula_gives_the_same(seed: int, n: int) -> None:
    vectors, labels = drawn(seed, n)
    random = np.random.default_rng(seed + 1)
    query = unit(random.normal(size=(1, 4)))[0]
    allowed = random.random(n) < 0.8
    means = LabelMeans(candidates_of(vectors, labels))
    rows = [[float(x) for x in row] for row in vectors]
    asked = [float(x) for x in query]

    def cosine(one: list[float], other: list[float]) -> float:
        return sum(x * y for x, y in zip(one, other, strict=True))

    pairs = [cosine(rows[i], rows[j]) for i in range(n) for j in range(i)]
    deviation = 0.15
    if len(pairs) >= 10:
        mean = sum(pairs) / len(pairs)
        deviation = math.sqrt(sum((pair - mean) ** 2 for pair in pairs) / len(pairs))
    assert means.deviation == pytest.approx(deviation, abs=1e-9)
    found = means.weigh(means.similarities(query), allowed)
    for label, score in zip(means.candidates.labels, found.scores, strict=True):
        own = [
            math.exp(0.5 / deviation * cosine(rows[row], asked))
            for row in range(n)
            if labels[row] == [label] and allowed[row]
        ]
        wanted = math.log(sum(own) / len(own)) * deviation / 0.5 if own else -math.inf
        assert score == pytest.approx(wanted, abs=1e-9)


@given(seed=SEEDS, times=st.integers(2, 4))
def test_exemplars_that_are_there_twice_change_nothing(seed: int, times: int) -> None:
    vectors, labels = drawn(seed)
    query = vectors[0]
    once = LabelMeans(candidates_of(vectors, labels))
    # All exemplars of one label, so many times over.
    rows = [row for row in range(12) for _ in range(times if labels[row] == labels[0] else 1)]
    more = LabelMeans(
        candidates_of(
            vectors[rows], [labels[row] for row in rows], content=[f"content-{r}" for r in rows]
        )
    )
    np.testing.assert_allclose(weighed(more, query).scores, weighed(once, query).scores, atol=1e-9)


@given(seed=SEEDS)
def test_the_order_of_exemplars_changes_nothing(seed: int) -> None:
    vectors, labels = drawn(seed)
    order = np.random.default_rng(seed).permutation(12)
    before = weighed(LabelMeans(candidates_of(vectors, labels)), vectors[0])
    shuffled = candidates_of(vectors[order], [labels[row] for row in order])
    after = weighed(LabelMeans(shuffled), vectors[0])
    np.testing.assert_allclose(after.scores, before.scores, atol=1e-9)
    assert after.likeness == pytest.approx(before.likeness)


@given(seed=SEEDS)
def test_a_mean_lies_between_the_plain_one_and_the_nearest(seed: int) -> None:
    vectors, labels = drawn(seed)
    means = LabelMeans(candidates_of(vectors, labels))
    similarities = vectors.astype(np.float64) @ vectors[0]
    for score, rows in zip(
        weighed(means, vectors[0]).scores, means.candidates.rows_of_label, strict=True
    ):
        assert similarities[rows].mean() - 1e-9 <= score <= similarities[rows].max() + 1e-9


def test_another_label_changes_no_others_score() -> None:
    # Four exemplars at most, so that the usual deviation stays.
    vectors, _ = drawn(3, 4)
    two = weighed(LabelMeans(candidates_of(vectors[:2], [["a"], ["b"]])), vectors[3])
    three = weighed(LabelMeans(candidates_of(vectors[:3], [["a"], ["b"], ["c"]])), vectors[3])
    np.testing.assert_allclose(three.scores[:2], two.scores)


@pytest.mark.parametrize("n", [3, 700])
def test_one_query_has_the_similarities_it_has_among_others(n: int) -> None:
    vectors, labels = drawn(1, n)
    means = LabelMeans(candidates_of(vectors, labels))
    together = means.similarities(vectors[:3])
    for query, row in zip(vectors, together, strict=False):
        np.testing.assert_allclose(row, means.similarities(query), atol=1e-15, rtol=0)


# --- words -------------------------------------------------------------------------------


def test_a_name_tips_a_tie() -> None:
    vectors = np.array([[0.6, 0.8], [0.6, -0.8]], np.float32)
    means = named(candidates_of(vectors, [["first"], ["second"]]))
    even = weighed(means, EAST, class_scores=SILENT)
    np.testing.assert_allclose(even.scores, [0.6, 0.6])
    # A logit of 5 is a standard deviation, which counts for a similarity of 0.1.
    heard = np.array([0, 5, 0], np.float32)
    tipped = weighed(means, EAST, class_scores=heard)
    np.testing.assert_allclose(tipped.scores, [0.6, 0.7], atol=1e-6)
    np.testing.assert_allclose(tipped.similarities, [0.6, 0.6], atol=1e-6)
    # Asked for by what is heard best, whatever it is: the mean of 0, 1 and 0 deviations.
    assert tipped.likeness == pytest.approx(0.6 - 0.07 / 3)


def test_names_that_are_codes_mean_nothing() -> None:
    names = LabelNames(words=words(["first", "x17", "x18"]), standardise=fifths)
    assert not names.mean_something
    assert names.known.tolist() == [True, False, False]
    assert names.subset([0, 1]).mean_something
    assert not names.subset([]).mean_something


def test_a_label_without_exemplars_is_a_little_more_like_the_query_than_exemplars_are() -> None:
    vectors = np.array([[0.6, 0.8], [0.8, 0.6]], np.float32)
    labels = ["first", "second", "third", "x17"]
    means = named(candidates_of(vectors, [["first"], ["second"]], among=labels))
    assert means.named_only == ("third",)
    assert means.silent == ("x17",)
    found = weighed(means, EAST, class_scores=SILENT)
    # The mean of both exemplars, 0.716367, and half of the usual deviation of 0.15.
    np.testing.assert_allclose(found.scores, [0.6, 0.8, 0.791367, -np.inf], atol=1e-6)
    # Its name counts as all others do; nothing is known of a code without exemplars.
    heard = weighed(means, EAST, class_scores=np.array([0, 0, 5], np.float32))
    np.testing.assert_allclose(heard.scores, [0.6, 0.8, 0.891367, -np.inf], atol=1e-6)
    assert heard.likeness == pytest.approx(0.791367 - 0.07 / 3, abs=1e-6)
    # So it is with one whose exemplars may not answer.
    excluded = weighed(means, EAST, without=[0], class_scores=SILENT)
    np.testing.assert_allclose(excluded.scores[:3], [0.875, 0.8, 0.875], atol=1e-6)


def test_without_a_querys_class_scores_names_are_silent_and_nothing_is_doubted() -> None:
    vectors = np.array([[0.6, 0.8], [0.8, 0.6]], np.float32)
    means = named(candidates_of(vectors, [["first"], ["second"]]))
    found = weighed(means, EAST)
    np.testing.assert_allclose(found.scores, [0.6, 0.8], atol=1e-6)
    assert found.likeness == np.inf


# --- calibration -------------------------------------------------------------------------


def overlapping(seed: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Three labels around three directions, so far apart that about 92 % are told right."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, n)
    return unit(np.eye(3, 8)[truth] + 0.38 * random.normal(size=(n, 8))), truth


def test_confidence_is_as_high_as_answers_are_right() -> None:
    vectors, truth = overlapping(1, 150)
    means = LabelMeans(candidates_of(vectors, [[f"label {label}"] for label in truth]))
    fit = fit_calibration(means, Shots(), exclusive=True)
    assert fit is not None
    queries, wanted = overlapping(2, 400)
    scores = np.array([vote_of_labels(weighed(means, q).scores, fit) for q in queries])
    right = scores.argmax(axis=1) == wanted
    assert right.mean() == pytest.approx(0.92, abs=0.03)
    assert scores.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.05)


def test_one_in_twenty_of_those_answered_right_is_unlike_everything() -> None:
    vectors, truth = overlapping(3, 200)
    means = LabelMeans(candidates_of(vectors, [[f"label {label}"] for label in truth]))
    fit = fit_calibration(means, Shots(), exclusive=True)
    assert fit is not None
    own = [weighed(means, vectors[row], without=[row]) for row in range(200)]
    right = [
        found.likeness
        for found, label in zip(own, truth, strict=True)
        if int(found.scores.argmax()) == label
    ]
    assert 150 < len(right) < 200
    assert fit.unlike_below == pytest.approx(np.quantile(right, 0.05), abs=1e-9)
    assert sum(likeness < fit.unlike_below for likeness in right) == math.ceil(len(right) * 0.05)


def test_of_a_dozen_one_in_twenty_is_declined_too() -> None:
    random = np.random.default_rng(0)
    below = [
        float((random.normal(size=200) < likeness_bound(random.normal(size=12).tolist())).mean())
        for _ in range(400)
    ]
    assert np.mean(below) == pytest.approx(0.05, abs=0.01)
    # The quantile of the same dozens, which is near the lowest of them, declines twice as many.
    quantiles = [np.quantile(random.normal(size=12), 0.05) for _ in range(400)]
    assert np.mean([(random.normal(size=200) < one).mean() for one in quantiles]) > 0.09


def test_too_few_right_answers_say_nothing_of_what_is_unlike() -> None:
    # Nine exemplars, of which two only have another of their label.
    vectors, _ = overlapping(4, 9)
    labels = [["a"], ["a"], *([f"b{row}"] for row in range(7))]
    means = LabelMeans(candidates_of(vectors, labels))
    assert fit_calibration(means, Shots(), exclusive=True) is None
    # Ten whose labels are wrong about all of them.
    wrong = [["a"], ["b"]] * 5
    opposite = np.array([[1, 0], [-1, 0]] * 5, np.float32)
    opposite[::4] *= -1
    fit = fit_calibration(LabelMeans(candidates_of(opposite, wrong)), Shots(), exclusive=True)
    assert fit is not None
    assert fit.unlike_below == -np.inf


def test_where_names_speak_a_usual_bound_stands_for_too_few_exemplars() -> None:
    two = candidates_of(np.eye(2, dtype=np.float32), [["first"], ["second"]])
    assert guess_calibration(named(two), exclusive=True).unlike_below == 0.02
    assert guess_calibration(named(two), exclusive=False).unlike_below == -np.inf
    assert guess_calibration(LabelMeans(two), exclusive=True).unlike_below == -np.inf


def test_names_speak_in_simulated_tasks_too() -> None:
    random = np.random.default_rng(5)
    vectors = unit(random.normal(size=(60, 8)))
    truth = np.arange(60) % 3
    # Vectors say nothing, what is heard says everything.
    heard = 100 * np.eye(3)[truth]
    candidates = candidates_of(vectors, [[CLASSES[label]] for label in truth], class_scores=heard)
    by_name = simulated_calibration(named(candidates), [1, 1], Shots())
    without = simulated_calibration(LabelMeans(candidates), [1, 1], Shots())
    assert by_name is not None
    assert without is not None
    assert by_name.loss < 0.2
    assert without.loss > 0.6
