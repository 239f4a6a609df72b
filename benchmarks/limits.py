"""What this machine can do at best: matrix products a second, bytes a second."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn import functional


def best_of(work: Callable[[], object], n: int = 7) -> float:
    """Return the shortest of ``n`` times, in seconds, after one that does not count."""
    work()
    times = []
    for _ in range(n):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def product_gflops(dtype: torch.dtype) -> float:
    """Return billions of operations a second in products of a type, at a good shape.

    The faster of torch's plain product and oneDNN's with packed weights.
    """
    from earful.model.htsat_cpu import can_pack

    n, width = 4096, 768
    rows = torch.randn(n, width).to(dtype)
    weight = torch.randn(width, width).to(dtype)
    ways: list[Callable[[], object]] = [lambda: functional.linear(rows, weight)]
    if can_pack(dtype):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, n)
        product = torch.ops.mkldnn._linear_pointwise
        ways.append(lambda: product(rows, packed, None, "none", [], "none"))
    with torch.inference_mode():
        return max(2 * n * width * width / best_of(way) / 1e9 for way in ways)


def read_gb_per_s(n_bytes: int = 2**30) -> float:
    """Return billions of bytes a second that can be read from memory, far beyond any cache."""
    numbers = torch.ones(n_bytes // 4)
    return max(n_bytes / best_of(way) / 1e9 for way in (numbers.sum, numbers.max))
