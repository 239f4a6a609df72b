"""HTSAT for inference on a CPU: the same numbers in fewer passes over memory.

Three things cost time besides the matrix products, and all three go away when a block works
on groups of windows that stay in the CPU's cache: buffers that are mapped and zeroed anew at
every step, GELU and sums as separate passes, and the reordering of the whole image for
shifted windows. Weights are packed once for oneDNN, whose products include GELU and the sum
with the tokens; in float32 they are a fifth faster than MKL's on processors that are not
Intel's. The operators are those that ``torch.compile`` emits for CPUs; where they are
missing, ``pack_for_cpu`` returns the model unchanged.

``benchmarks/encoder.py`` measures it; ``tests/model/encoders/test_htsat_cpu.py`` compares it
with ``Htsat``.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from earful.model.encoders.htsat import Htsat
from earful.model.runtime import can_pack

# This many tokens, with all that a block computes from them, fit into one core's caches.
_TOKENS_AT_ONCE = 1024


def pack_for_cpu(model: Htsat, dtype: torch.dtype) -> Htsat | PackedHtsat:
    """Pack a model that stays on this CPU.

    Args:
        model: In evaluation mode, in float32, with its weights; its blocks are taken apart.
        dtype: Precision of matrix products, as for ``Htsat.set_precision``.

    Returns:
        A ``PackedHtsat``, or ``model`` itself in that precision where this build of torch or
        this processor lacks the operators.
    """
    if can_pack(dtype):
        return PackedHtsat(model, dtype)
    model.set_precision(dtype)
    return model


class PackedHtsat(nn.Module):
    """Inference-only equivalent of ``Htsat``, with weights packed for a CPU.

    Args:
        model: In evaluation mode, in float32. Its blocks are removed: they are packed here,
            and a second copy would be of no use.
        dtype: Precision of matrix products. Norms, and the sums that run through all blocks,
            stay float32.
    """

    def __init__(self, model: Htsat, dtype: torch.dtype) -> None:
        super().__init__()
        self.config = model.config
        self._front = model
        self._blocks: list[list[_Block]] = []
        self._merges: list[_Merge] = []
        area = self.config.window_size**2
        # A module's parts are untyped.
        stages: Any = model.stages
        for stage, grid in zip(stages, self.config.grids, strict=True):
            attentions = [block.attention for block in stage.blocks]
            gathers: list[Tensor | None] = [attentions[0].order if attentions[0].shift else None]
            # From the order in which the block before leaves the tokens to this one's order.
            for before, after in pairwise(attentions):
                gathers.append(_reordering(before, after))
            self._blocks.append(
                [
                    _Block(block, gather, dtype, grid * grid // area)
                    for block, gather in zip(stage.blocks, gathers, strict=True)
                ]
            )
            if stage.merge is not None:
                order = stage.merge.order
                if attentions[-1].shift:
                    order = attentions[-1].places[order]
                self._merges.append(_Merge(stage.merge, order, dtype))
        del model.stages

    def forward(self, decibels: Tensor) -> Tensor:
        """Compute the latent of each spectrogram; see ``Htsat.forward``."""
        n = len(decibels)
        image = self._front.image(decibels)
        tokens = torch.cat([self._front.patches(one[None])[0] for one in image])
        for number, blocks in enumerate(self._blocks):
            for block in blocks:
                tokens = block(tokens)
            if number < len(self._merges):
                tokens = self._merges[number](tokens)
        latent: Tensor = self._front.norm(tokens).view(n, -1, tokens.shape[1]).mean(dim=1)
        return latent


def _reordering(before: Any, after: Any) -> Tensor | None:
    """Return where a block's input tokens lie in the output of the block before it."""
    if before.shift == after.shift:
        return None
    if before.shift and after.shift:
        raise ValueError(f"shifts {before.shift} and {after.shift} follow each other")
    order: Tensor = after.order if after.shift else before.places
    return order


class _Linear:
    """Linear map packed for oneDNN; inputs are matrices of rows."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        weight = linear.weight.detach().to(dtype)
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, _TOKENS_AT_ONCE)
        self._bias = None if linear.bias is None else linear.bias.detach().to(dtype)

    def __call__(self, rows: Tensor) -> Tensor:
        return self._fused(rows, "none")

    def gelu(self, rows: Tensor) -> Tensor:
        return self._fused(rows, "gelu")

    def plus(self, rows: Tensor, others: Tensor) -> Tensor:
        """Map rows and add others, all of the type of the weights."""
        total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            rows, others, self._weight, self._bias, "add"
        )
        return total

    def _fused(self, rows: Tensor, then: str) -> Tensor:
        # An algorithm of "none" is the exact GELU, by the error function.
        mapped: Tensor = torch.ops.mkldnn._linear_pointwise(
            rows, self._weight, self._bias, then, [], "none"
        )
        return mapped


class _Norm:
    """Layer norm that returns the type of the products that follow."""

    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype) -> None:
        self._shape, self._eps, self._dtype = tuple(norm.normalized_shape), norm.eps, dtype
        self._weight, self._bias = norm.weight.detach(), norm.bias.detach()

    def __call__(self, rows: Tensor) -> Tensor:
        normed = functional.layer_norm(rows, self._shape, self._weight, self._bias, self._eps)
        return normed.to(self._dtype)


class _Gather:
    """Reordering of the rows within each image, a group of rows at a time."""

    def __init__(self, order: Tensor) -> None:
        self._n_tokens = len(order)
        # A group may begin within an image.
        n_images = 1 if self._n_tokens % _TOKENS_AT_ONCE == 0 else 2
        n_images += _TOKENS_AT_ONCE // self._n_tokens
        starts = torch.arange(n_images) * self._n_tokens
        self._order = (starts[:, None] + order).flatten()

    def __call__(self, rows: Tensor, start: int, stop: int) -> Tensor:
        """Return rows ``start`` to ``stop`` of the new order; they lie in a few images."""
        first = start - start % self._n_tokens
        return rows[first:].index_select(0, self._order[start - first : stop - first])


class _Block:
    """One block, on rows of all images: ``(n * T, C)`` to the same, window by window.

    Args:
        block: The block of ``Htsat`` to pack.
        gather: The order that its windows need an image's rows in; ``None`` for no change.
        dtype: Type of the products.
        n_windows: Windows of an image.
    """

    def __init__(
        self, block: Any, gather: Tensor | None, dtype: torch.dtype, n_windows: int
    ) -> None:
        attention, feed_forward = block.attention, block.feed_forward
        self._dtype = dtype
        self._gather = None if gather is None else _Gather(gather)
        self._n_heads, self._area = attention.n_heads, attention.area
        self._attention_norm = _Norm(block.attention_norm, dtype)
        self._qkv, self._out = _Linear(attention.qkv, dtype), _Linear(attention.out, dtype)
        self._feed_forward_norm = _Norm(block.feed_forward_norm, dtype)
        self._widen = _Linear(feed_forward.widen, dtype)
        self._narrow = _Linear(feed_forward.narrow, dtype)
        # Whole windows at a time; one at least, however large.
        self._at_once = self._area * max(1, _TOKENS_AT_ONCE // self._area)
        scores = attention._scores().detach().to(dtype)
        self._scores = self._per_window(scores, n_windows if attention.shift else 1)

    def _per_window(self, scores: Tensor, n_windows: int) -> Tensor:
        """Repeat the scores' bias until it covers every group of windows.

        Args:
            scores: ``(W * H, A, A)``.
            n_windows: W, after which the windows' scores repeat.

        Returns:
            ``(windows, H, A, A)``; of one window only, where the operator repeats it.
        """
        by_window = scores.view(n_windows, self._n_heads, self._area, self._area)
        if n_windows == 1 and self._dtype == torch.float32:
            return by_window
        period = math.lcm(n_windows, self._at_once // self._area)
        return by_window.repeat(period // n_windows, 1, 1, 1)

    def __call__(self, tokens: Tensor) -> Tensor:
        mixed = torch.empty_like(tokens)
        for start in range(0, len(tokens), self._at_once):
            stop = min(start + self._at_once, len(tokens))
            gather = self._gather
            part = tokens[start:stop] if gather is None else gather(tokens, start, stop)
            mixed[start:stop] = self._mix(part, start // self._area)
        return mixed

    def _mix(self, tokens: Tensor, first_window: int) -> Tensor:
        """Compute some windows; ``first_window`` counts through all images."""
        seen = self._attend(self._qkv(self._attention_norm(tokens)), first_window)
        if self._dtype == torch.float32:
            tokens = self._out.plus(seen, tokens)
            return self._narrow.plus(self._widen.gelu(self._feed_forward_norm(tokens)), tokens)
        # The sums that run through all blocks stay float32, which a fused bfloat16 product
        # would not do.
        tokens = tokens + self._out(seen)
        return tokens.add_(self._narrow(self._widen.gelu(self._feed_forward_norm(tokens))))

    def _attend(self, qkv: Tensor, first_window: int) -> Tensor:
        area, n_heads = self._area, self._n_heads
        n_windows, dim = len(qkv) // area, qkv.shape[1] // 3
        heads = qkv.view(n_windows, area, 3, n_heads, dim // n_heads).permute(2, 0, 3, 1, 4)
        first = first_window % len(self._scores)
        scores = self._scores[first : first + n_windows]
        if self._dtype == torch.float32:
            q, k, v = heads
            seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=scores)
        else:
            # In bfloat16 the plain products are the faster ones at this size.
            q, k, v = heads.reshape(3, n_windows * n_heads, area, -1)
            scale = q.shape[2] ** -0.5
            scores = torch.baddbmm(scores.flatten(0, 1), q, k.transpose(1, 2), alpha=scale)
            seen = torch.bmm(scores.softmax(dim=-1), v).view(n_windows, n_heads, area, -1)
        return seen.transpose(1, 2).reshape(n_windows * area, dim)


class _Merge:
    """Merging of patches, four into one: ``(n * T, C)`` to ``(n * T / 4, 2 * C)``."""

    def __init__(self, merge: Any, order: Tensor, dtype: torch.dtype) -> None:
        self._gather = _Gather(order)
        self._norm = _Norm(merge.norm, dtype)
        self._reduction = _Linear(merge.reduction, dtype)

    def __call__(self, tokens: Tensor) -> Tensor:
        n_tokens, dim = tokens.shape
        merged = tokens.new_empty(n_tokens // 4, 2 * dim)
        for start in range(0, n_tokens, _TOKENS_AT_ONCE):
            stop = min(start + _TOKENS_AT_ONCE, n_tokens)
            four = self._gather(tokens, start, stop).view(-1, 4 * dim)
            merged[start // 4 : stop // 4] = self._reduction(self._norm(four))
        return merged
