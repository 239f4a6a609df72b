"""Fit heads and word maps of ``earful-small`` on what its networks put out, in closed form.

The heads are within-class covariance normalisation (Hatch et al., Interspeech 2006), as that of
``earful-tiny``: what varies among recordings of one label is shrunk, then the space is turned to
its principal axes and cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earful.errors import PromptError
from earful.model.small import Head, Heads, Heard, WordMaps, plain_name, unit
from earful.model.yamnet import ClassWords

Numbers = NDArray[np.float64]
N_AXES = (128, 256)
SHRINKAGE = 2.0
"""Added to every within-class variance, against their mean."""
FEWEST = 3
"""A label with fewer rows says too little of what varies within it."""
_TEXT_RIDGE = 1.0
_LEAST_DEVIATION = 0.5
"""Added to a class's deviation: one that hardly moves would become loud else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A linear head.

    Attributes:
        shift: Shape ``(n_inputs,)``.
        project: Shape ``(dim, n_inputs)``.
    """

    shift: Numbers
    project: Numbers


def fit_projection(
    rows: NDArray[np.floating],
    labels: Sequence[str],
    n_axes: int,
    *,
    standardise: bool,
    shrinkage: float = SHRINKAGE,
) -> Projection:
    """Normalise what varies within labels.

    Args:
        rows: Shape ``(n, n_inputs)``.
        labels: Of each row; a label counts by the root of its size.
        n_axes: Axes to keep; fewer are kept of fewer rows.
        standardise: Whether every number is brought to unit variance first.
        shrinkage: Added to every within-class variance, against their mean.

    Raises:
        SystemExit: No label has enough rows.
    """
    exact = rows.astype(np.float64)
    shift = exact.mean(axis=0)
    scale = 1.0 / (exact.std(axis=0) + 1e-2) if standardise else np.ones(exact.shape[1])
    standard = (exact - shift) * scale
    named = np.asarray(labels)
    within = np.zeros((exact.shape[1],) * 2)
    total = 0.0
    for label in np.unique(named):
        own = standard[named == label]
        if len(own) >= FEWEST:
            weight = 1.0 / np.sqrt(len(own))
            apart = own - own.mean(axis=0)
            within += weight * apart.T @ apart
            total += weight * len(own)
    if not total:
        raise SystemExit(f"no label has {FEWEST} clips in split 'train': expected one or more")
    variances, axes = np.linalg.eigh(within / total)
    whiten = (axes / np.sqrt(variances + shrinkage * variances.mean())) @ axes.T
    directions = np.linalg.svd(standard @ whiten, full_matrices=False)[2][:n_axes]
    return Projection(shift=shift, project=directions @ whiten * scale)


def fit_heads(heard: Heard, labels: Sequence[str]) -> Heads:
    """Fit both heads, rounded to float16 as they are stored.

    Args:
        heard: Of the training clips.
        labels: Of each clip.
    """
    of_windows = [
        label for label, count in zip(labels, heard.counts, strict=True) for _ in range(count)
    ]
    narrow = fit_projection(heard.outputs, of_windows, N_AXES[0], standardise=True)
    roots = np.sqrt(heard.pooled.astype(np.float64))
    yamnet = fit_projection(roots, labels, N_AXES[1], standardise=False)
    heads = Heads(
        narrow=_rounded(narrow), narrow_mean=np.zeros(len(narrow.project)), yamnet=_rounded(yamnet)
    )
    means = heads.window_means(heard.outputs, heard.counts)
    return replace(heads, narrow_mean=_stored(means.mean(axis=0)))


def fit_words(
    vectors: NDArray[np.floating],
    scores: NDArray[np.floating],
    labels: Sequence[str],
    class_words: ClassWords,
) -> WordMaps:
    """Fit what names tell of recordings.

    Args:
        vectors: Of the training clips, shape ``(n, dim)``.
        scores: Their class scores, shape ``(n, n_classes)``.
        labels: Their labels. One of which the table of words knows nothing teaches nothing.
        class_words: The table, and the names of the classes.

    Raises:
        SystemExit: The table knows none of the labels.
    """
    exact, logits = vectors.astype(np.float64), scores.astype(np.float64)
    mean, scale = logits.mean(axis=0), logits.std(axis=0) + _LEAST_DEVIATION
    standard = (logits - mean) / scale
    n, dim = exact.shape
    ridge = exact.var(axis=0).mean() * np.eye(dim)
    directions = np.linalg.solve(exact.T @ exact / n + ridge, exact.T @ standard / n).T
    named = np.asarray(labels)
    words, centres = [], []
    for label in np.unique(named):
        try:
            words.append(class_words.table.vectors([plain_name(str(label))])[0].astype(np.float64))
        except PromptError:
            continue
        centres.append(unit(exact[named == label].mean(axis=0)))
    if not words:
        raise SystemExit("the table of words knows none of the labels: expected English words")
    text_mean = np.mean(words, axis=0)
    apart = np.stack(words) - text_mean
    kernel = apart @ apart.T + _TEXT_RIDGE * np.eye(len(apart))
    return WordMaps(
        mean=mean,
        scale=scale,
        covariance=standard.T @ standard / n,
        directions=unit(directions),
        text_mean=text_mean,
        text_map=apart.T @ np.linalg.solve(kernel, np.stack(centres)),
    )


def _rounded(fitted: Projection) -> Head:
    return Head(shift=_stored(fitted.shift), project=_stored(fitted.project))


def _stored(numbers: Numbers) -> Numbers:
    """Return numbers as they are read again after storing."""
    return numbers.astype(np.float16).astype(np.float64)
