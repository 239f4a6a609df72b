"""Classification metrics: F1, average precision, calibration and risk, on plain arrays.

Labels are row numbers from 0; a prediction of -1 names no label and is always wrong. A
label that occurs neither in the truth nor among the predictions does not count towards a
mean over labels, as in scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Written by hand: scikit-learn gives the same values (see the tests), but with its checks of
# arguments a bootstrap of any of them takes 6 to 60 times as long.

Labels = NDArray[np.intp]
Marks = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PerClass:
    """Precision, recall, F1 and support of every label, shape ``(n_labels,)`` each.

    The support is the number of rows that have the label; a value without a denominator is 0.
    """

    precision: Values
    recall: Values
    f1: Values
    support: Labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reliability:
    """Accuracy beside confidence, in bins of confidence.

    Attributes:
        edges: Edges of the bins, shape ``(n_bins + 1,)``, from 0 to 1.
        count: Answers in each bin, shape ``(n_bins,)``.
        confidence: Their mean confidence; NaN in empty bins.
        accuracy: Share of them that is right; NaN in empty bins.
        ece: Expected calibration error: the mean distance of the two, weighted by count
            (Naeini et al., AAAI 2015).
    """

    edges: Values
    count: Labels
    confidence: Values
    accuracy: Values
    ece: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskCoverage:
    """Share of wrong answers among the surest ones (Geifman and El-Yaniv, NeurIPS 2017).

    Attributes:
        coverage: Share of the items that are answered, one value a distinct confidence,
            ascending to 1.
        risk: Share of these answers that is wrong.
        area: Mean risk over all coverages of 1, 2, ... n items; answers of one confidence
            share their risk, so that their order does not matter.
    """

    coverage: Values
    risk: Values
    area: float


def confusion_matrix(truth: Labels, predicted: Labels, n_labels: int) -> Labels:
    """Count rows by true label (rows) and predicted label (columns).

    Predictions of -1 are in no column.

    Returns:
        Shape ``(n_labels, n_labels)``.

    Raises:
        ValueError: The shapes differ, or a number is no label.
    """
    _check(truth, predicted, n_labels)
    counted = (predicted >= 0) & (truth >= 0)
    flat = truth[counted] * n_labels + predicted[counted]
    counts = np.bincount(flat, minlength=n_labels * n_labels)
    return counts.reshape(n_labels, n_labels).astype(np.intp)


def per_class(truth: Labels, predicted: Labels, n_labels: int) -> PerClass:
    """Return every label's precision, recall, F1 and support; raises as ``confusion_matrix``."""
    hits = np.diag(confusion_matrix(truth, predicted, n_labels))
    support = np.bincount(truth[truth >= 0], minlength=n_labels)
    named = np.bincount(predicted[predicted >= 0], minlength=n_labels)
    return _per_class(hits, support, named)


def per_class_of_sets(truth: Marks, predicted: Marks) -> PerClass:
    """Return every label's precision, recall, F1 and support where a row has any number.

    Args:
        truth: Shape ``(n, n_labels)``.
        predicted: Likewise.

    Raises:
        ValueError: There are no rows, or the shapes differ.
    """
    _check_marks(truth, predicted)
    hits = (truth & predicted).sum(axis=0)
    return _per_class(hits, truth.sum(axis=0), predicted.sum(axis=0))


def balanced_accuracy(truth: Labels, predicted: Labels, n_labels: int) -> float:
    """Return the mean recall of the labels in the truth; raises as ``confusion_matrix``."""
    found = per_class(truth, predicted, n_labels)
    return _mean(found.recall[found.support > 0])


def macro_f1(truth: Labels, predicted: Labels, n_labels: int) -> float:
    """Return the mean F1 of the labels in truth or predictions; raises as ``confusion_matrix``."""
    found = per_class(truth, predicted, n_labels)
    occurs = found.support > 0
    occurs[predicted[predicted >= 0]] = True
    return _mean(found.f1[occurs])


def multilabel_f1(truth: Marks, predicted: Marks, *, average: Literal["macro", "micro"]) -> float:
    """Return the F1 where a row has any number of labels.

    Args:
        truth: Shape ``(n, n_labels)``.
        predicted: Likewise.
        average: ``macro``: the mean over the labels that occur in either. ``micro``: the F1
            of all decisions together.

    Raises:
        ValueError: There are no rows, or the shapes differ.
    """
    _check_marks(truth, predicted)
    hits, total = (truth & predicted).sum(axis=0), truth.sum(axis=0) + predicted.sum(axis=0)
    if average == "micro":
        return float(2 * hits.sum() / total.sum()) if total.sum() else 0.0
    return _mean(_ratio(2.0 * hits, total)[total > 0])


def average_precision(truth: Marks, scores: Values) -> float:
    """Return the average precision of one label: the step-wise area under its curve.

    Rows of equal score count as one step, as in scikit-learn; 0 without a true row.

    Args:
        truth: Shape ``(n,)``.
        scores: Likewise.
    """
    if not truth.any():
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits, ranked = np.cumsum(truth[order]), scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    precision = hits[last] / (last + 1.0)
    gained = np.diff(hits[last], prepend=0) / hits[-1]
    return float((precision * gained).sum())


def mean_average_precision(truth: Marks, scores: Values) -> float:
    """Return the mean average precision of the labels that some row has.

    Args:
        truth: Shape ``(n, n_labels)``.
        scores: Likewise.

    Raises:
        ValueError: There are no rows, or the shapes differ.
    """
    _check_marks(truth, scores)
    occurs = np.flatnonzero(truth.any(axis=0))
    return _mean(np.array([average_precision(truth[:, x], scores[:, x]) for x in occurs]))


def reliability(confidence: Values, right: Marks, *, n_bins: int = 10) -> Reliability:
    """Compare confidence with accuracy, in bins of equal width.

    A bin does not include its lower edge, but its upper one; the first also includes 0.

    Args:
        confidence: Shape ``(n,)``, in [0, 1].
        right: Whether each answer is right, shape ``(n,)``.
        n_bins: Number of bins.

    Raises:
        ValueError: There are no rows, the shapes differ, or a confidence is outside
            [0, 1].
    """
    _check_confidence(confidence, right)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    count = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(bins, weights=confidence, minlength=n_bins) / count
        share = np.bincount(bins, weights=right.astype(np.float64), minlength=n_bins) / count
    ece = float(np.nansum(np.abs(mean - share) * count) / len(confidence))
    return Reliability(
        edges=edges, count=count.astype(np.intp), confidence=mean, accuracy=share, ece=ece
    )


def risk_coverage(confidence: Values, right: Marks) -> RiskCoverage:
    """Return the risk of answering only the items of the highest confidence.

    Args:
        confidence: Shape ``(n,)``, in [0, 1].
        right: Whether each answer is right, shape ``(n,)``.

    Raises:
        ValueError: As for ``reliability``.
    """
    _check_confidence(confidence, right)
    order = np.argsort(-confidence, kind="stable")
    ranked, wrong = confidence[order], np.cumsum(~right[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    counts = last + 1.0
    risk = wrong[last] / counts
    sizes = np.diff(counts, prepend=0.0)
    return RiskCoverage(
        coverage=counts / len(ranked), risk=risk, area=float((risk * sizes).sum() / len(ranked))
    )


def _per_class(hits: Labels, support: Labels, named: Labels) -> PerClass:
    return PerClass(
        precision=_ratio(1.0 * hits, named),
        recall=_ratio(1.0 * hits, support),
        f1=_ratio(2.0 * hits, support + named),
        support=support.astype(np.intp),
    )


def _ratio(above: NDArray[np.floating], below: NDArray[np.integer]) -> Values:
    return np.asarray(np.divide(above, below, out=np.zeros(len(above)), where=below > 0))


def _mean(values: Values) -> float:
    return float(values.mean()) if values.size else 0.0


def _check(truth: Labels, predicted: Labels, n_labels: int) -> None:
    _check_shapes(truth, predicted, 1, "(n,)")
    low, high = min(truth.min(), predicted.min()), max(truth.max(), predicted.max())
    if low < -1 or high >= n_labels:
        raise ValueError(
            f"labels {low} to {high}: expected row numbers of 0 to {n_labels - 1}, or -1 for none"
        )


def _check_marks(truth: Marks, other: NDArray[np.generic]) -> None:
    _check_shapes(truth, other, 2, "(n, n_labels)")


def _check_confidence(confidence: Values, right: Marks) -> None:
    _check_shapes(confidence, right, 1, "(n,)")
    if not ((confidence >= 0.0) & (confidence <= 1.0)).all():
        raise ValueError("a confidence is outside [0, 1] or not a number")


def _check_shapes(
    one: NDArray[np.generic], other: NDArray[np.generic], n_axes: int, expected: str
) -> None:
    if one.shape != other.shape or one.ndim != n_axes:
        raise ValueError(f"shapes {one.shape} and {other.shape}: expected {expected} twice")
    if not one.size:
        raise ValueError("there are no rows: expected at least one")
