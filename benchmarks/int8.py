"""What products in 8 bits could gain LAION-CLAP's audio encoder on this CPU, and what they cost.

Each product of HTSAT-tiny is timed by itself on one core: packed in float32 and in bfloat16, as
``htsat_cpu.py`` computes it, and in int8, where the rows are rounded at every call, as what a
network makes of a sound has no range that is known before. Times are of the processor, so that a
busy machine does not decide.

What rounding does to neighbours is told on the demo's sounds, by the gate of bfloat16 and by
recall@10 against float32. The weights are random ones in the published shape, as the published
ones are not at hand: trained weights make a few numbers much larger than others, which int8
bears worse, so this says what int8 loses at least.

    ./dev bench int8

writes ``benchmarks/results/int8.json``.
"""

from __future__ import annotations

import argparse
import copy
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from benchmarks.startup import SOUNDS
from benchmarks.turns import keep, machine, use_threads
from numpy.typing import NDArray
from torch import Tensor, nn

from earful.model.audio import load_audio
from earful.model.encoders import Htsat, HtsatConfig, LogMel, LogMelConfig, pack_for_cpu
from earful.model.runtime import agreement, can_pack

ROWS = 1024
"""Rows of a product, as ``htsat_cpu.py`` takes them."""
N_SOUNDS = 64
K = 10
WINDOW_SAMPLES = 480_000
# Of the published front end.
MEL = LogMelConfig(
    sample_rate=48_000, fft_samples=1024, hop_samples=480, n_mels=64, low_hz=50.0, high_hz=14_000.0
)
# Engines of torch that multiply in int8.
ENGINES = ("onednn", "x86")
INT8 = "int8, rows rounded at each call"


def main() -> None:
    """Time the products, compare the neighbours, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sounds", type=int, default=N_SOUNDS)
    arguments = parser.parse_args()
    use_threads(1)
    # torch calls its own quantisation deprecated; what follows it is compiled, which gains
    # nothing here (docs/benchmarks.md).
    warnings.filterwarnings("ignore")
    with torch.inference_mode():
        stages = timed_products(arguments.rounds)
        report = {
            "machine": machine() | {"int8": int8_instructions()},
            "rounds": arguments.rounds,
            "rows": ROWS,
            "stages": stages,
            "window": of_a_window(stages),
            "neighbours": neighbours(arguments.sounds),
        }
    for name, row in report["window"].items():
        print(f"{name}: {row}")
    for name, row in report["neighbours"].items():
        print(f"{name}: {row}")
    keep("int8", report)


def int8_instructions() -> list[str]:
    """Return which of the processor's instructions multiply numbers of 8 bits."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = next((line.split() for line in file if line.startswith("flags")), [])
    return [flag for flag in ("avx_vnni", "avx512_vnni", "amx_int8") if flag in flags]


def timed_products(n_rounds: int) -> list[dict[str, Any]]:
    """Return, for each stage of the encoder, milliseconds of its products for one window."""
    config = HtsatConfig()
    found = []
    for stage, depth in enumerate(config.depths):
        width = config.embed_dim * 2**stage
        n_tokens = (config.spec_size // config.patch_size // 2**stage) ** 2
        wide = round(width * config.mlp_ratio)
        total_ms: dict[str, float] = {}
        for n_inputs, n_outputs in (
            (width, 3 * width),
            (width, width),
            (width, wide),
            (wide, width),
        ):
            for name, seconds in product_seconds(n_inputs, n_outputs, n_rounds).items():
                per_window = seconds * 1000 * depth * n_tokens / ROWS
                total_ms[name] = total_ms.get(name, 0.0) + per_window
        shown = {name: round(ms, 3) for name, ms in total_ms.items()}
        found.append({"width": width, "blocks": depth, "ms": shown})
        print(found[-1], flush=True)
    return found


def product_seconds(n_inputs: int, n_outputs: int, n_rounds: int) -> dict[str, float]:
    """Return the least processor time of one product, each way."""
    drawn = torch.Generator().manual_seed(0)
    rows = torch.randn(ROWS, n_inputs, generator=drawn)
    linear = nn.Linear(n_inputs, n_outputs)
    ways: dict[str, Callable[[], Any]] = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        if can_pack(dtype):
            ways[name] = packed_product(linear, rows, dtype)
    for engine in ENGINES:
        torch.backends.quantized.engine = engine
        ways[f"{INT8}: {engine}"] = partial(in_int8(nn.Sequential(linear)), rows)
    return {name: least_seconds(way, n_rounds) for name, way in ways.items()}


def packed_product(linear: nn.Linear, rows: Tensor, dtype: torch.dtype) -> Callable[[], Any]:
    """Return a product with packed weights, as ``htsat_cpu.py`` computes it."""
    weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(dtype), ROWS)
    bias, given = linear.bias.detach().to(dtype), rows.to(dtype)
    return lambda: torch.ops.mkldnn._linear_pointwise(given, weight, bias, "none", [], "none")


def in_int8(model: nn.Module) -> nn.Module:
    """Return a copy whose linear maps multiply in int8."""
    quantise: Any = torch.ao.quantization.quantize_dynamic
    quantised: nn.Module = quantise(copy.deepcopy(model), {nn.Linear}, dtype=torch.qint8)
    return quantised


def least_seconds(work: Callable[[], object], n_rounds: int) -> float:
    """Return the least processor time of this thread that some work took."""
    work()
    times = []
    for _ in range(n_rounds):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times)


def of_a_window(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return milliseconds of all products of a window, and what int8 gains over bfloat16.

    With ``whole`` the encoder is meant whose products take 71 % of its time
    (``benchmarks/results/encoder.json``), and where each stage takes the faster arithmetic.
    """
    from benchmarks.turns import kept

    sums: dict[str, float] = {}
    for stage in stages:
        best = min(ms for name, ms in stage["ms"].items() if name.startswith("int8"))
        own = {**stage["ms"], "int8": best, "faster of the two": min(best, stage["ms"]["bfloat16"])}
        for name, ms in own.items():
            sums[name] = sums.get(name, 0.0) + ms
    share = kept("encoder")["profile"]["packed, bfloat16"]["products"]
    part = sums["faster of the two"] / sums["bfloat16"]
    return {
        "ms": {name: round(ms, 2) for name, ms in sums.items()},
        "int8_times_bfloat16": round(sums["bfloat16"] / sums["int8"], 2),
        "mixed_times_bfloat16": round(1 / part, 2),
        "products_share": share,
        "whole_times_bfloat16": round(1 / (1 - share + share * part), 2),
    }


def neighbours(n_sounds: int) -> dict[str, dict[str, Any]]:
    """Return how well neighbours of real sounds survive each arithmetic; see the module."""
    torch.manual_seed(0)
    plain = Htsat(HtsatConfig()).eval().requires_grad_(False)
    models: Mapping[str, Any] = {
        "float32": plain,
        "bfloat16": pack_for_cpu(copy.deepcopy(plain), torch.bfloat16),
        "int8": rounded(copy.deepcopy(plain)),
    }
    decibels = spectrograms(n_sounds)
    latents = {
        name: np.concatenate([model(one[None]).float().numpy() for one in decibels])
        for name, model in models.items()
    }
    found = {}
    for name in ("bfloat16", "int8"):
        told = agreement(latents["float32"], latents[name])
        found[name] = {
            "sounds": len(decibels),
            "cosine": round(told.cosine, 5),
            "lost": round(told.lost, 5),
            "passes": told.suffices,
            "recall_at_10": round(recall(latents["float32"], latents[name]), 4),
        }
    return found


class RoundedLinear(nn.Linear):
    """Linear map of numbers of 8 bits: each row and each output has a scale of its own.

    It multiplies what was rounded in float32, which sums as exactly as is of interest here: the
    mildest rounding to 8 bits that there is, whatever it would cost.
    """

    scale: Tensor

    def forward(self, given: Tensor) -> Tensor:
        """Round the rows, multiply, and undo the scale."""
        scale = given.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / 127
        mapped: Tensor = nn.functional.linear((given / scale).round(), self.weight / self.scale)
        return mapped * scale * self.scale[:, 0] + (0 if self.bias is None else self.bias)


def rounded(model: nn.Module) -> nn.Module:
    """Round the linear maps of a model to 8 bits, in place."""
    for linear in [part for part in model.modules() if type(part) is nn.Linear]:
        linear.__class__ = RoundedLinear
        scale = linear.weight.abs().amax(dim=1, keepdim=True) / 127
        linear.weight.copy_((linear.weight / scale).round() * scale)
        linear.register_buffer("scale", scale)
    return model


def spectrograms(n_sounds: int) -> Tensor:
    """Return log-mel spectrograms of demo sounds, evenly from all, as the tower takes them."""
    paths = sorted(SOUNDS.rglob("*.flac"))
    chosen = [paths[n * len(paths) // n_sounds] for n in range(n_sounds)]
    waves = [
        np.resize(load_audio(path, sample_rate=MEL.sample_rate).samples, WINDOW_SAMPLES)
        for path in chosen
    ]
    log_mel = LogMel(MEL, torch.device("cpu"))
    return torch.cat([log_mel(torch.from_numpy(wave[None])) for wave in waves])


def recall(exact: NDArray[np.float32], rough: NDArray[np.float32]) -> float:
    """Return the share of each sound's ten nearest that are found, its own among the sought.

    The mean of all sounds is taken off first, as the gate does.
    """
    tops = []
    for vectors in (exact, rough):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = unit - unit.mean(axis=0)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        similar = unit @ unit.T
        np.fill_diagonal(similar, -np.inf)
        tops.append(np.argsort(-similar, axis=1, kind="stable")[:, :K])
    shared = [len(set(one) & set(other)) for one, other in zip(*tops, strict=True)]
    return float(np.mean(shared)) / K


if __name__ == "__main__":
    main()
