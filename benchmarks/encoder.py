"""What the encoders take by themselves, and how near that is to what the machine can do.

HTSAT-tiny with random weights on one core, spectrograms ready: as ``transformers`` computes
it, as OpenVINO does with that model, as our plain module does, and packed for CPUs in
float32 and bfloat16. Beside it the shipped ``earful-tiny``. All are held against their own
number of operations and the pace of products measured in the same process; all take turns.

    ./dev bench encoder

writes ``benchmarks/results/encoder.json``.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from benchmarks.limits import product_gflops
from benchmarks.turns import keep, machine, spread, table_of, times
from torch.utils.flop_counter import FlopCounterMode

from earful.model.clap_towers import from_hub_names, htsat_config
from earful.model.htsat import Htsat
from earful.model.htsat_cpu import can_pack, pack_for_cpu
from earful.model.registry import load_embedder
from earful.model.tiny import TinyEmbedder

N_WINDOWS = 8
LARGEST = 1e-3


def main() -> None:
    """Measure on one thread, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ways, gflop = contestants()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    with torch.inference_mode():
        for number in range(arguments.rounds + 1):
            for turn in range(len(names)):
                name = names[(number + turn) % len(names)]
                started = time.perf_counter()
                ways[name]()
                if number:  # the first round is no one's pace
                    seconds[name].append(time.perf_counter() - started)
    pace = {name: product_gflops(getattr(torch, name)) for name in ("float32", "bfloat16")}
    rows: dict[str, Any] = {}
    for name, some in seconds.items():
        dtype = "bfloat16" if "bfloat16" in name else "float32"
        rows[name] = {"ms": spread(some, n=N_WINDOWS, digits=2)}
        rows[name]["gflop"] = round(gflop[name], 3)
        rows[name]["floor_ms"] = round(gflop[name] / pace[dtype] * 1000, 2)
        rows[name]["limit_share"] = round(rows[name]["floor_ms"] / rows[name]["ms"]["median"], 3)
        if "earful-tiny" not in name:
            rows[name]["times"] = times(seconds["packed, float32"], some)
    report = {
        "machine": machine(),
        "threads": 1,
        "rounds": arguments.rounds,
        "windows_at_once": N_WINDOWS,
        "gflops": {name: round(value, 1) for name, value in pace.items()},
        "ways": rows,
    }
    print(table_of(rows, "ms a window"))
    for name, row in rows.items():
        print(f"{name:<44}{row['floor_ms']:>9.2f} ms at best: {row['limit_share']:.0%} reached")
    keep("encoder", report)


def contestants() -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
    """Return every way to encode, and the operations of one window in each, in billions.

    Raises:
        RuntimeError: Two ways with the same weights gave different latents.
    """
    import transformers

    torch.manual_seed(0)
    config = transformers.ClapAudioConfig()
    theirs: Any = transformers.ClapAudioModel(config)
    theirs.eval()
    state = {f"audio_model.{name}": tensor for name, tensor in theirs.state_dict().items()}
    plain = Htsat(htsat_config(config)).eval().requires_grad_(False)
    plain.load_state_dict(from_hub_names(state, plain))
    decibels = torch.randn(N_WINDOWS, 1001, 64) * 15 - 40
    models: dict[str, Any] = {"plain module, float32": plain}
    models["packed, float32"] = pack_for_cpu(copy.deepcopy(plain), torch.float32)
    if can_pack(torch.bfloat16):
        models["packed, bfloat16"] = pack_for_cpu(copy.deepcopy(plain), torch.bfloat16)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        plain(decibels[:1])
    n_gflop = counter.get_total_flops() / 1e9
    with torch.inference_mode():
        expected = theirs(decibels[:, None]).pooler_output
        for name, model in models.items():
            far = float((model(decibels) - expected).abs().max() / expected.abs().max())
            if far > (0.05 if "bfloat16" in name else LARGEST):
                raise RuntimeError(f"{name}: latents differ by {far}")
    ways: dict[str, Callable[[], Any]] = {
        "transformers, float32": lambda: theirs(decibels[:, None])
    }
    for dtype in ("float32", "bfloat16"):
        if "bfloat16" not in dtype or can_pack(torch.bfloat16):
            ways[f"OpenVINO, {dtype}"] = openvino_way(theirs, decibels, expected, dtype)
    for name, model in models.items():
        ways[name] = partial(model, decibels)
    gflop = dict.fromkeys(ways, n_gflop)
    tiny = load_embedder("earful-tiny", device="cpu")
    assert isinstance(tiny, TinyEmbedder)
    frames = torch.randn(N_WINDOWS, 100, 96)
    with counter, torch.no_grad():
        tiny._network(frames[:1])
    ways["earful-tiny, float32"] = lambda: tiny.encode(frames)
    gflop["earful-tiny, float32"] = counter.get_total_flops() / 1e9
    return ways, gflop


def openvino_way(model: Any, decibels: torch.Tensor, expected: torch.Tensor, dtype: str) -> Any:
    """Return the same model, converted for OpenVINO.

    Raises:
        RuntimeError: Its latents differ.
    """
    import openvino

    given = decibels[:, None]
    with torch.no_grad():
        converted = openvino.convert_model(model, example_input=(given,))
    converted.reshape(list(given.shape))
    compiled = openvino.Core().compile_model(
        converted,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32",
            "INFERENCE_NUM_THREADS": 1,
        },
    )
    numbers = given.numpy()

    def encode() -> Any:
        return compiled(numbers)["pooler_output"]

    far = float((torch.from_numpy(encode()) - expected).abs().max() / expected.abs().max())
    if far > (0.1 if dtype == "bfloat16" else LARGEST):
        raise RuntimeError(f"OpenVINO, {dtype}: latents differ by {far}")
    return encode


if __name__ == "__main__":
    main()
