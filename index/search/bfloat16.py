"""Rows in bfloat16: half the memory, and products two to ten times as fast.

They only propose candidates, and omit none that could be among the best: the rows themselves
give a bound on how far a score may lie from the true one. ``earful.index.search.exact`` scores
the candidates again, exactly, so the hits are those of float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

# Rows whose product is computed at once.
_ROWS_AT_ONCE: Final = 2048
# Rows of one block, whose best score is kept: a few blocks hold all candidates, so that most
# scores are read only once.
_BLOCK: Final = 128
# A finished product is rounded to eight bits; compared with that, sums in float32 are exact.
_ROUNDING: Final = 2.0**-8


class Bfloat16Rows:
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
        # Buffers of earlier scores: new memory costs up to a quarter of the product.
        self._spare: list[torch.Tensor] = []
        self._error = 0.0
        for part in _recut(parts):
            exact = torch.from_numpy(part)
            rounded = exact.bfloat16()
            self._error = max(self._error, float((exact - rounded.float()).norm(dim=1).max()))
            if self._is_packed:
                rounded = torch.ops.mkldnn._reorder_linear_weight(rounded, None)
            self._parts.append(rounded)
            self._n += len(part)

    def __len__(self) -> int:
        return self._n

    def candidates(
        self, queries: NDArray[np.float32], k: int, keep: NDArray[np.bool_] | None = None
    ) -> list[NDArray[np.intp]]:
        """Propose rows for each query, among them the best ``k`` by exact score.

        Args:
            queries: float32, shape ``(m, dim)``, unit rows.
            k: How many rows are needed.
            keep: Which rows may be proposed, shape ``(n,)``; all when ``None``.

        Returns:
            Row numbers for each query, ascending; at least ``k``, if there are as many.
        """
        import torch

        exact = torch.from_numpy(queries.copy())  # torch warns about read-only arrays
        rounded = exact.bfloat16()
        # Error of a score: |q v - q' v'| <= |v - v'| + |q - q'| for unit vectors (Schwarz).
        errors = (exact - rounded.float()).norm(dim=1) + self._error + _ROUNDING
        n_blocks = -(-self._n // _BLOCK)
        with torch.inference_mode():
            # Score all rows, in blocks.
            n_scores = len(queries) * n_blocks * _BLOCK
            buffer = self._buffer_for(n_scores)
            scores = buffer[:n_scores].view(len(queries), n_blocks, _BLOCK)
            by_row = scores.view(len(queries), -1)
            by_row[:, self._n :] = -torch.inf
            for number, part in enumerate(self._parts):
                start = number * _ROWS_AT_ONCE
                stop = min(start + _ROWS_AT_ONCE, self._n)
                by_row[:, start:stop] = self._product(rounded, part)
            if keep is not None:
                by_row[:, : self._n].masked_fill_(~torch.from_numpy(keep), -torch.inf)
            # Bound the k-th best true score from below: k rows score at least as much as the
            # worst of the k best blocks.
            best = scores.amax(dim=2)
            choices = best if k <= n_blocks else by_row[:, : self._n]
            bounds = choices.float().topk(min(k, choices.shape[1]), dim=1).values[:, -1]
            least = bounds - 2 * errors
            # Look for rows above that bound, only in blocks that can hold one.
            of_query, blocks = (best >= least[:, None]).nonzero().T
            near = scores[of_query, blocks].float()
            chosen = (near >= least[of_query, None]) & near.isfinite()
            places, offsets = chosen.nonzero().T
            rows = (blocks[places] * _BLOCK + offsets).numpy()
            n_found = torch.bincount(of_query[places], minlength=len(queries))
            self._spare = [buffer]
        return np.split(rows.astype(np.intp, copy=False), n_found.cumsum(0)[:-1].tolist())

    def _buffer_for(self, n: int) -> torch.Tensor:
        """Return a buffer for at least ``n`` scores that no other thread uses."""
        import torch

        try:
            buffer = self._spare.pop()
        except IndexError:
            buffer = torch.empty(0, dtype=torch.bfloat16)
        return buffer if len(buffer) >= n else torch.empty(n, dtype=torch.bfloat16)

    def _product(self, queries: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        import torch

        if not self._is_packed:
            return queries @ part.T
        scores: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            queries, part, None, "none", [], "none"
        )
        return scores


def _recut(parts: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Yield copies of the same rows, ``_ROWS_AT_ONCE`` at a time; the last part may be smaller."""
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
