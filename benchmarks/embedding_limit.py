"""Print what HTSAT-tiny asks for and what this machine gives, as JSON."""

import json

import torch
from benchmarks.limits import product_gflops
from torch.utils.flop_counter import FlopCounterMode

from earful.model.htsat import Htsat, HtsatConfig


def main() -> None:
    """Count and measure."""
    model = Htsat(HtsatConfig()).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, 1001, 64))
    print(
        json.dumps(
            {
                "gflop_per_window": round(counter.get_total_flops() / 1e9, 3),
                "float32_gflops": round(product_gflops(torch.float32), 1),
                "bfloat16_gflops": round(product_gflops(torch.bfloat16), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
