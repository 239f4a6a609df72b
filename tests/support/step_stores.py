"""Small stores of steps, and writers that are stopped at any of their writes."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.index.recordings import KeptRecording, SampleLevels, Steps, StepStore, StoreSettings
from earful.model import Fingerprint

DIM = 4
BLOCK = 3


def settings(**changed: Any) -> StoreSettings:
    fingerprint = Fingerprint(
        name="steps", revision="", weights_sha256="", dim=DIM, sample_rate=8000, windowing="steps"
    )
    plain = StoreSettings(fingerprint=fingerprint, step_dim=DIM, steps_rate=5.0, block_steps=BLOCK)
    return replace(plain, **changed)


def steps_of(n: int) -> Steps:
    rows = np.arange(n * DIM, dtype=np.float16).reshape(n, DIM)
    return np.asarray(rows / np.float16(8))


def write(
    store: StepStore, key: str, n: int, *, made: Callable[[int], None] = lambda _: None
) -> KeptRecording:
    """Write ``n`` steps block by block from where an earlier writer came to."""
    writer = store.writer(key, KeptRecording(path="night.wav", bytes=99))
    writer.__enter__()
    try:
        while not writer.is_finished:
            number = writer.kept.n_blocks
            if number * BLOCK >= n:
                writer.finish(replace(writer.kept, sha256="ab" * 32, duration_s=n / 5))
                break
            made(number)
            block = steps_of(n)[number * BLOCK : (number + 1) * BLOCK]
            writer.append(block, SampleLevels(n=100, peak=number / 10, n_clipped=1))
        writer.__exit__(None, None, None)
    except Stopped:
        # As a kill does: nothing is tidied up, and the lock goes.
        writer._close()
        raise
    return writer.kept


class Stopped(BaseException):
    """The process ended here."""


def stop_at(monkeypatch: pytest.MonkeyPatch, n_calls: int) -> None:
    """Stop at the n-th of all flushes, writes and renames from now on."""
    left = n_calls

    def stopping(call: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            if not left:
                raise Stopped
            left -= 1
            return call(*arguments, **named)

        return run

    for name in ("fsync", "pwrite", "replace", "ftruncate"):
        monkeypatch.setattr(os, name, stopping(getattr(os, name)))


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of all files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class LevelSteps:
    """A step is its mean level and that of its first half: what it depends on is easily seen."""

    steps_fingerprint = Fingerprint(
        name="levels", revision="", weights_sha256="", dim=2, sample_rate=800, windowing="steps"
    )
    fingerprint = steps_fingerprint
    steps_rate = 1000
    step_samples = 100
    margin_steps = 1
    step_dim = 2

    def embed_steps(
        self, samples: NDArray[np.float32], *, band_hz: tuple[float, float] | None = None
    ) -> NDArray[np.float32]:
        n_steps = -(-samples.size // self.step_samples)
        wave = np.zeros(n_steps * self.step_samples, np.float32)
        wave[: samples.size] = np.abs(samples)
        rows = wave.reshape(n_steps, self.step_samples)
        levels = [rows.mean(axis=1), rows[:, : self.step_samples // 2].mean(axis=1)]
        return np.stack(levels, axis=1).astype(np.float32)

    def pool_steps(self, steps: NDArray[np.floating], length: int) -> NDArray[np.float32]:
        length = min(length, len(steps))
        means = [steps[i : i + length].mean(axis=0) for i in range(len(steps) - length + 1)]
        rows = np.asarray(means, np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(norms > 0, norms, 1)).astype(np.float32)
