"""Choice of the next token from a model's logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earful.model.protocols import GenerationOptions


class Sampler:
    """Choice of the next token: the likeliest at temperature 0, else by inverse transform.

    Args:
        options: How tokens are chosen; equal seeds give equal draws.
    """

    def __init__(self, options: GenerationOptions) -> None:
        self._options = options
        self._draws = np.random.default_rng(options.seed)

    def __call__(self, logits: NDArray[np.float32]) -> int:
        """Return the token chosen from logits of shape ``(V,)``."""
        options = self._options
        if options.temperature == 0.0:
            return int(logits.argmax())
        scaled = logits.astype(np.float64) / options.temperature
        order = np.argsort(-scaled, kind="stable")
        ranked = scaled[order[: options.top_k or None]]
        likelihoods = np.exp(ranked - ranked[0])
        probabilities = likelihoods / likelihoods.sum()
        cumulative = probabilities.cumsum()
        # As transformers: the token that crosses top_p is the last one kept.
        n_kept = np.count_nonzero(cumulative - probabilities < options.top_p)
        cumulative = cumulative[:n_kept]
        rank = np.count_nonzero(cumulative <= self._draws.random() * cumulative[-1])
        return int(order[min(rank, n_kept - 1)])
