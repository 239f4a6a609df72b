"""What the encoders take by themselves, and how near that is to what the machine can do.

HTSAT-tiny with random weights on one core, spectrograms ready: as ``transformers`` computes
it, as OpenVINO does with that model, as our plain module does, and packed for CPUs in
float32 and bfloat16. Beside it the shipped ``earful-tiny``. All are held against their own
number of operations and the pace of products measured in the same process; all take turns.

    ./dev bench encoder

writes ``benchmarks/results/encoder.json``. ``--profile`` only renews in it where the time of our
packed encoder goes, by operator, which is measured apart from the rest: watching costs time.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from benchmarks.limits import gflop, product_gflops
from benchmarks.turns import in_turns, keep, kept, machine, spread, table_of, times, use_threads
from torch.profiler import ProfilerActivity, profile
from training import torch_tiny

from earful.model import load_embedder
from earful.model.clap import from_hub_names, htsat_config
from earful.model.encoders import Htsat, HtsatConfig, pack_for_cpu
from earful.model.runtime import can_pack
from earful.model.tiny import TinyEmbedder

N_WINDOWS = 8
LARGEST = 1e-3
KINDS = {
    # The products take biases, GELU and, in float32, sums along.
    "mkldnn::_linear_pointwise": "products",
    "aten::addmm": "products",
    "aten::mm": "products",
    "aten::bmm": "products",
    "aten::baddbmm": "products",
    "aten::_softmax": "softmax",
    "aten::_scaled_dot_product_flash_attention_for_cpu": "attention as one operator",
    "aten::copy_": "copies",
    "aten::index_select": "copies",
    "aten::cat": "copies",
}


def main() -> None:
    """Measure on one thread, print tables and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--profile", action="store_true", help="renew the profile, no more")
    arguments = parser.parse_args()
    use_threads(1)
    report = kept("encoder") if arguments.profile else compared(arguments.rounds)
    keep("encoder", report | {"profile": profiled(arguments.rounds)})


def compared(n_rounds: int) -> dict[str, Any]:
    """Let the ways take turns, print their table and return the report."""
    ways, n_gflop = contestants()
    with torch.inference_mode():
        seconds = in_turns(ways, n_rounds=n_rounds)
    pace = {name: product_gflops(getattr(torch, name)) for name in ("float32", "bfloat16")}
    rows: dict[str, Any] = {}
    for name, some in seconds.items():
        dtype = "bfloat16" if "bfloat16" in name else "float32"
        rows[name] = {"ms": spread(some, n=N_WINDOWS, digits=2)}
        rows[name]["gflop"] = round(n_gflop[name], 3)
        rows[name]["floor_ms"] = round(n_gflop[name] / pace[dtype] * 1000, 2)
        rows[name]["limit_share"] = round(rows[name]["floor_ms"] / rows[name]["ms"]["median"], 3)
        if "earful-tiny" not in name:
            rows[name]["times"] = times(seconds["packed, float32"], some)
    print(table_of(rows, "ms a window"))
    for name, row in rows.items():
        print(f"{name:<44}{row['floor_ms']:>9.2f} ms at best: {row['limit_share']:.0%} reached")
    return {
        "machine": machine(),
        "threads": 1,
        "rounds": n_rounds,
        "windows_at_once": N_WINDOWS,
        "gflops": {name: round(value, 1) for name, value in pace.items()},
        "ways": rows,
    }


def profiled(n_rounds: int) -> dict[str, dict[str, float]]:
    """Print and return what part of our packed encoder's time each kind of operator takes."""
    torch.manual_seed(0)
    decibels = torch.randn(N_WINDOWS, 1001, 64) * 15 - 40
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        if can_pack(dtype):
            model = pack_for_cpu(Htsat(HtsatConfig()).eval(), dtype)
            name = f"packed, {str(dtype).removeprefix('torch.')}"
            found[name] = shares_by_kind(partial(model, decibels), n_rounds)
            told = ", ".join(f"{kind} {share:.0%}" for kind, share in found[name].items())
            print(f"of {name}: {told}")
    return found


def shares_by_kind(work: Callable[[], object], n_rounds: int) -> dict[str, float]:
    """Return what part of the time each kind of operator takes itself, and the rest."""
    with torch.inference_mode():
        work()
        with profile(activities=[ProfilerActivity.CPU], acc_events=True) as watched:
            for _ in range(n_rounds):
                work()
    operators = watched.key_averages()
    whole_us = sum(operator.self_cpu_time_total for operator in operators)
    shares = dict.fromkeys([*KINDS.values(), "the rest"], 0.0)
    for operator in operators:
        shares[KINDS.get(operator.key, "the rest")] += operator.self_cpu_time_total / whole_us
    return {kind: round(share, 3) for kind, share in shares.items()}


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
    n_gflop = dict.fromkeys(ways, gflop(plain, decibels[:1]))
    tiny = load_embedder("earful-tiny", device="cpu")
    assert isinstance(tiny, TinyEmbedder)
    frames = torch.randn(N_WINDOWS, 100, 96)
    windows = list(frames.numpy())
    ways["earful-tiny, float32"] = lambda: tiny.encode(windows)
    n_gflop["earful-tiny, float32"] = gflop(torch_tiny.Network(), frames[:1])
    return ways, n_gflop


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
