"""Rows in bfloat16: half the bytes, and products at twice to ten times the pace.

They only propose candidates, and leave none out that could be among the best: how far a
score may lie from the true one is known from the rows themselves. ``earful.index.search.exact``
scores what is proposed again, exactly, so the hits are those of float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

# Rows whose product is computed at once, and whose best score is kept: a few of these
# stretches hold all candidates, so that most scores are looked at once only.
_ROWS_AT_ONCE: Final = 2048
_STRETCH: Final = 128
# A product is rounded to eight bits when it is done; beside that, sums in float32 are exact.
_ROUNDING: Final = 2.0**-8


class RoughRows:
    """Unit rows in bfloat16, to choose candidates from.

    Args:
        parts: float32, each of shape ``(some, dim)``, unit rows; not kept.
    """

    def __init__(self, parts: Iterable[NDArray[np.float32]]) -> None:
        import torch

        from earful.model.runtime import can_pack

        self._n = 0
        self._is_packed = can_pack(torch.bfloat16)
        self._parts: list[torch.Tensor] = []
        # Where scores lay last time: new memory costs up to a quarter of the product.
        self._spare: list[torch.Tensor] = []
        self._error = 0.0
        for part in _recut(parts):
            exact = torch.from_numpy(part)
            rough = exact.bfloat16()
            self._error = max(self._error, float((exact - rough.float()).norm(dim=1).max()))
            if self._is_packed:
                rough = torch.ops.mkldnn._reorder_linear_weight(rough, None)
            self._parts.append(rough)
            self._n += len(part)

    def __len__(self) -> int:
        return self._n

    def candidates(
        self, queries: NDArray[np.float32], k: int, keep: NDArray[np.bool_] | None = None
    ) -> list[NDArray[np.intp]]:
        """Propose rows for each query, among them the best ``k`` by exact score.

        Args:
            queries: float32, shape ``(m, dim)``, unit rows.
            k: How many are wanted.
            keep: Which rows may be proposed, ``(n,)``; all when ``None``.

        Returns:
            Row numbers for each query, ascending; ``k`` or more, as far as there are.
        """
        import torch

        exact = torch.from_numpy(queries.copy())  # what is read-only would draw a warning
        rough = exact.bfloat16()
        # Of the scores: |q v - q' v'| <= |v - v'| + |q - q'| for unit vectors (Schwarz).
        errors = (exact - rough.float()).norm(dim=1) + self._error + _ROUNDING
        n_stretches = -(-self._n // _STRETCH)
        with torch.inference_mode():
            n_scores = len(queries) * n_stretches * _STRETCH
            place = self._place_for(n_scores)
            scores = place[:n_scores].view(len(queries), n_stretches, _STRETCH)
            by_row = scores.view(len(queries), -1)
            by_row[:, self._n :] = -torch.inf
            for number, part in enumerate(self._parts):
                start = number * _ROWS_AT_ONCE
                stop = min(start + _ROWS_AT_ONCE, self._n)
                by_row[:, start:stop] = self._product(rough, part)
            if keep is not None:
                by_row[:, : self._n].masked_fill_(~torch.from_numpy(keep), -torch.inf)
            best = scores.amax(dim=2)
            # That many rows are at least as good as the worst of the best stretches.
            choices = best if k <= n_stretches else by_row[:, : self._n]
            bounds = choices.float().topk(min(k, choices.shape[1]), dim=1).values[:, -1]
            least = bounds - 2 * errors
            of_query, stretches = (best >= least[:, None]).nonzero().T
            near = scores[of_query, stretches].float()
            chosen = (near >= least[of_query, None]) & near.isfinite()
            places, offsets = chosen.nonzero().T
            rows = (stretches[places] * _STRETCH + offsets).numpy()
            n_found = torch.bincount(of_query[places], minlength=len(queries))
            self._spare = [place]
        return np.split(rows.astype(np.intp, copy=False), n_found.cumsum(0)[:-1].tolist())

    def _place_for(self, n: int) -> torch.Tensor:
        """Return memory for ``n`` scores or more that no other thread has."""
        import torch

        try:
            place = self._spare.pop()
        except IndexError:
            place = torch.empty(0, dtype=torch.bfloat16)
        return place if len(place) >= n else torch.empty(n, dtype=torch.bfloat16)

    def _product(self, queries: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        import torch

        if not self._is_packed:
            return queries @ part.T
        scores: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            queries, part, None, "none", [], "none"
        )
        return scores


def _recut(parts: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Yield copies of the same rows, ``_ROWS_AT_ONCE`` at a time; the last are what is left."""
    waiting: list[NDArray[np.float32]] = []
    n_waiting = 0
    for part in parts:
        start = 0
        while start < len(part):
            some = part[start : start + _ROWS_AT_ONCE - n_waiting]
            waiting.append(some)
            start += len(some)
            n_waiting += len(some)
            if n_waiting == _ROWS_AT_ONCE:
                yield np.concatenate(waiting)
                waiting, n_waiting = [], 0
    if waiting:
        yield np.concatenate(waiting)
