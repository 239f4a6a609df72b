"""Scan a recording of noise, and print the peak of this process's memory in bytes.

Run as ``python -m tests.support.scan_in_child FOLDER SECONDS``.
"""

import resource
import sys
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

import earful
from tests.support.step_stores import LevelSteps
from tests.support.tone_recordings import write_table

RATE = LevelSteps.steps_rate
WIDTH = 512


class WideSteps(LevelSteps):
    """Steps as long as those of the shipped encoder, and nearly as many a second."""

    step_samples = 200
    step_dim = WIDTH

    def embed_steps(
        self, samples: NDArray[np.float32], *, band_hz: tuple[float, float] | None = None
    ) -> NDArray[np.float32]:
        levels = super().embed_steps(samples)
        return np.tile(levels, (1, WIDTH // 2))

    def pool_steps(self, steps: NDArray[np.floating], length: int) -> NDArray[np.float32]:
        length = max(1, min(length, len(steps)))
        rows = np.lib.stride_tricks.sliding_window_view(steps[:], length, axis=0).max(axis=2)
        rows = rows.astype(np.float32)
        unit: NDArray[np.float32] = rows / np.maximum(
            np.linalg.norm(rows, axis=1, keepdims=True), 1e-9
        )
        return unit


def main(folder: Path, seconds: int) -> None:
    folder.mkdir()
    with soundfile.SoundFile(folder / "a.wav", "w", RATE, 1, "PCM_16") as file:
        for first_s in range(0, seconds, 600):
            draws = np.random.default_rng(first_s)
            file.write(draws.uniform(-0.1, 0.1, min(600, seconds - first_s) * RATE))
    write_table(folder / "calls.csv", [("a.wav", at, at + 1, "beep") for at in (10, 60, 110)])
    earful.scan(
        folder / "a.wav",
        examples=folder / "calls.csv",
        out=folder / "a.scan",
        embedder=WideSteps(),
    )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
