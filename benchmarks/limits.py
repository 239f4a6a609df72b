"""What this machine can do at best, and how much of it a model asks for.

    python -m benchmarks.limits THREADS

prints the pace of matrix products and of reading, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode


def main() -> None:
    """Measure with so many threads."""
    torch.set_num_threads(int(sys.argv[1]))
    limits = {
        "read_gb_per_s": read_gb_per_s(),
        "float32_gflops": product_gflops(torch.float32),
        "bfloat16_gflops": product_gflops(torch.bfloat16),
    }
    print(json.dumps({name: round(value, 1) for name, value in limits.items()}))


def measured_limits(n_threads: int) -> dict[str, float]:
    """Measure the machine where nothing else has set up threads."""
    command = [sys.executable, "-m", "benchmarks.limits", str(n_threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def gflop(model: nn.Module, given: torch.Tensor) -> float:
    """Return the billions of operations that a model asks for."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(given)
    return counter.get_total_flops() / 1e9


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
    from earful.model.runtime import can_pack

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


if __name__ == "__main__":
    main()
