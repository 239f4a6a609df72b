import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.rag.evaluation.metrics import (
    balanced_accuracy,
    confusion_matrix,
    macro_f1,
    mean_average_precision,
    multilabel_f1,
    per_class,
    per_class_of_sets,
    reliability,
    risk_coverage,
)
from earful.rag.evaluation.metrics.classification import average_precision

TRUTH = np.array([0, 0, 1, 1, 2])
PREDICTED = np.array([0, 1, 1, -1, 0])


def test_a_worked_case() -> None:
    # Of two zeros one is hit; of two ones one, the other unanswered; the two is taken for a zero.
    assert confusion_matrix(TRUTH, PREDICTED, 4).tolist() == [
        [1, 1, 0, 0],
        [0, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    found = per_class(TRUTH, PREDICTED, 4)
    assert found.precision.tolist() == [0.5, 0.5, 0, 0]
    assert found.recall.tolist() == [0.5, 0.5, 0, 0]
    assert found.support.tolist() == [2, 2, 1, 0]
    assert balanced_accuracy(TRUTH, PREDICTED, 4) == pytest.approx(1 / 3)
    # Label 3 occurs nowhere and does not count.
    assert macro_f1(TRUTH, PREDICTED, 4) == pytest.approx((0.5 + 0.5 + 0) / 3)


labels = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
    )
)


@given(labels)
def test_single_labels_are_as_scikit_learn_counts_them(pair: tuple[list[int], list[int]]) -> None:
    from sklearn import metrics as oracle

    truth, predicted = map(np.array, pair)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert balanced_accuracy(truth, predicted, 5) == pytest.approx(
            oracle.balanced_accuracy_score(truth, predicted)
        )
        assert macro_f1(truth, predicted, 5) == pytest.approx(
            oracle.f1_score(truth, predicted, average="macro", zero_division=0)
        )
        ours = per_class(truth, predicted, 5)
        theirs = oracle.precision_recall_fscore_support(
            truth, predicted, labels=range(5), zero_division=0
        )
    for mine, other in zip(
        (ours.precision, ours.recall, ours.f1, ours.support), theirs, strict=True
    ):
        np.testing.assert_allclose(mine, other)
    theirs = oracle.confusion_matrix(truth, predicted, labels=range(5))
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, 5), theirs)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 6))
def test_sets_of_labels_are_as_scikit_learn_counts_them(seed: int, n: int, n_labels: int) -> None:
    from sklearn import metrics as oracle

    random = np.random.default_rng(seed)
    truth = random.random((n, n_labels)) < 0.4
    # Few distinct scores, so that there are ties.
    scores = random.integers(0, 5, (n, n_labels)) / 4
    predicted = scores > 0.5
    occurs = truth.any(axis=0)
    if occurs.any():
        assert mean_average_precision(truth, scores) == pytest.approx(
            np.mean(
                [
                    oracle.average_precision_score(truth[:, x], scores[:, x])
                    for x in np.flatnonzero(occurs)
                ]
            )
        )
    either = occurs | predicted.any(axis=0)
    f1 = oracle.f1_score(truth, predicted, average=None, zero_division=0) if n_labels > 1 else None
    if f1 is not None and either.any():
        assert multilabel_f1(truth, predicted, average="macro") == pytest.approx(f1[either].mean())
        assert multilabel_f1(truth, predicted, average="micro") == pytest.approx(
            oracle.f1_score(truth, predicted, average="micro", zero_division=0)
        )
        np.testing.assert_allclose(per_class_of_sets(truth, predicted).f1, f1)


def test_average_precision_of_a_worked_case() -> None:
    # Found first and third: (1/1 + 2/3) / 2.
    truth = np.array([True, False, True, False])
    assert average_precision(truth, np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx(5 / 6)
    assert average_precision(~np.array([True]), np.array([0.9])) == 0.0


def test_reliability_of_a_worked_case() -> None:
    confidence = np.array([0.05, 0.15, 0.2, 0.95, 1.0])
    right = np.array([False, True, False, True, True])
    found = reliability(confidence, right, n_bins=10)
    # 0.2 is the upper edge of the second bin and belongs to it.
    assert found.count.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert found.accuracy[[0, 1, 9]].tolist() == [0.0, 0.5, 1.0]
    expected = (0.05 * 1 + abs(0.175 - 0.5) * 2 + abs(0.975 - 1.0) * 2) / 5
    assert found.ece == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_calibration_error_is_as_its_definition_says(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    confidence, right = random.random(n), random.random(n) < 0.5
    found = reliability(confidence, right, n_bins=7)
    edges, total = np.linspace(0, 1, 8), 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += abs(confidence[inside].mean() - right[inside].mean()) * inside.sum() / n
    assert found.ece == pytest.approx(total)
    assert found.count.sum() == n


def test_risk_falls_when_only_the_surest_are_answered() -> None:
    found = risk_coverage(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    assert found.coverage.tolist() == [0.25, 0.75, 1.0]
    assert found.risk.tolist() == [0.0, pytest.approx(1 / 3), 0.5]
    # The two of equal confidence share their risk, whichever comes first.
    assert found.area == pytest.approx((0 + 1 / 3 + 1 / 3 + 0.5) / 4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_risk_does_not_depend_on_the_order_of_equals(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    confidence, right = random.integers(0, 4, n) / 4, random.random(n) < 0.5
    order = random.permutation(n)
    assert risk_coverage(confidence, right).area == pytest.approx(
        risk_coverage(confidence[order], right[order]).area
    )
    assert risk_coverage(confidence, right).risk[-1] == pytest.approx((~right).mean())


def test_what_cannot_be_measured_is_refused() -> None:
    none = np.array([], dtype=np.intp)
    with pytest.raises(ValueError, match="no rows"):
        macro_f1(none, none, 1)
    with pytest.raises(ValueError, match=r"labels 0 to 2: .*0 to 1"):
        macro_f1(np.array([2]), np.array([0]), 2)
    with pytest.raises(ValueError, match="outside"):
        reliability(np.array([1.5]), np.array([True]))
    with pytest.raises(ValueError, match="shapes"):
        multilabel_f1(np.ones((2, 1), bool), np.ones((1, 1), bool), average="macro")
