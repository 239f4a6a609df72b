"""Numbers from labels and scores, on plain arrays.

Labels are row numbers from 0; a prediction of -1 names no label and is always wrong. A
label that occurs neither in the truth nor among the predictions does not count towards a
mean over labels, as in scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.intp]
Marks = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerClass:
    """Precision, recall, F1 and number of true rows of every label, shape ``(n_labels,)`` each.

    What has no denominator is 0.
    """

    precision: Values
    recall: Values
    f1: Values
    support: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How often answers are right at each confidence.

    Attributes:
        edges: Of the bins, shape ``(n_bins + 1,)``, from 0 to 1.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskCoverage:
    """Share of wrong answers among the surest ones (Geifman and El-Yaniv, NeurIPS 2017).

    Attributes:
        coverage: Share of items that are answered, one value a distinct confidence,
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
    said = (predicted >= 0) & (truth >= 0)
    flat = truth[said] * n_labels + predicted[said]
    counts = np.bincount(flat, minlength=n_labels * n_labels)
    return counts.reshape(n_labels, n_labels).astype(np.intp)


def per_class(truth: Labels, predicted: Labels, n_labels: int) -> PerClass:
    """Return precision, recall, F1 and support of every label; raises as ``confusion_matrix``."""
    confusion = confusion_matrix(truth, predicted, n_labels)
    hits = np.diag(confusion).astype(np.float64)
    support = np.bincount(truth[truth >= 0], minlength=n_labels)
    named = np.bincount(predicted[predicted >= 0], minlength=n_labels)
    return PerClass(
        precision=_ratio(hits, named),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + named),
        support=support.astype(np.intp),
    )


def per_class_of_sets(truth: Marks, predicted: Marks) -> PerClass:
    """Return the same where rows have any number of labels.

    Args:
        truth: Shape ``(n, n_labels)``.
        predicted: Likewise.

    Raises:
        ValueError: There are no rows, or the shapes differ.
    """
    _check_marks(truth, predicted)
    hits = (truth & predicted).sum(axis=0).astype(np.float64)
    support, named = truth.sum(axis=0), predicted.sum(axis=0)
    return PerClass(
        precision=_ratio(hits, named),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + named),
        support=support.astype(np.intp),
    )


def accuracy(truth: Labels, predicted: Labels) -> float:
    """Return the share of rows whose label is right.

    Raises:
        ValueError: There are no rows, or the shapes differ.
    """
    _check(truth, predicted, None)
    return float(((truth == predicted) & (truth >= 0)).mean())


def balanced_accuracy(truth: Labels, predicted: Labels, n_labels: int) -> float:
    """Return the mean recall of the labels that occur in the truth."""
    found = per_class(truth, predicted, n_labels)
    return _mean(found.recall[found.support > 0])


def macro_f1(truth: Labels, predicted: Labels, n_labels: int) -> float:
    """Return the mean F1 of the labels that occur in truth or predictions."""
    found = per_class(truth, predicted, n_labels)
    occurs = found.support > 0
    occurs[predicted[predicted >= 0]] = True
    return _mean(found.f1[occurs])


def multilabel_f1(truth: Marks, predicted: Marks, *, average: Literal["macro", "micro"]) -> float:
    """Return F1 of any number of labels a row.

    Args:
        truth: Shape ``(n, n_labels)``.
        predicted: Likewise.
        average: ``macro``: over the labels that occur in either. ``micro``: over decisions.

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

    Rows of equal score come together, as in scikit-learn; 0 without a true row.

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
    """Compare confidence with how often answers are right, in bins of equal width.

    A bin holds what is above its lower and up to its upper edge; the first also holds 0.

    Args:
        confidence: Shape ``(n,)``, in [0, 1].
        right: Shape ``(n,)``.
        n_bins: How many bins.

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
    """Return the risk of answering only what is surest.

    Args:
        confidence: Shape ``(n,)``, in [0, 1].
        right: Shape ``(n,)``.

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


def _ratio(above: NDArray[np.floating], below: NDArray[np.integer]) -> Values:
    return np.asarray(np.divide(above, below, out=np.zeros(len(above)), where=below > 0))


def _mean(values: Values) -> float:
    return float(values.mean()) if values.size else 0.0


def _check(truth: Labels, predicted: Labels, n_labels: int | None) -> None:
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise ValueError(f"shapes {truth.shape} and {predicted.shape}; want (n,) twice")
    if not truth.size:
        raise ValueError("there are no rows; want at least one")
    if n_labels is not None and not (
        min(truth.min(), predicted.min()) >= -1 and max(truth.max(), predicted.max()) < n_labels
    ):
        raise ValueError(f"labels outside 0 to {n_labels - 1}; want row numbers, or -1 for none")


def _check_marks(truth: Marks, other: NDArray[np.generic]) -> None:
    if truth.shape != other.shape or truth.ndim != 2:
        raise ValueError(f"shapes {truth.shape} and {other.shape}; want (n, n_labels) twice")
    if not truth.size:
        raise ValueError("there are no rows; want at least one")


def _check_confidence(confidence: Values, right: Marks) -> None:
    if confidence.shape != right.shape or confidence.ndim != 1:
        raise ValueError(f"shapes {confidence.shape} and {right.shape}; want (n,) twice")
    if not confidence.size:
        raise ValueError("there are no rows; want at least one")
    if not ((confidence >= 0.0) & (confidence <= 1.0)).all():
        raise ValueError("a confidence is outside [0, 1] or not a number")
