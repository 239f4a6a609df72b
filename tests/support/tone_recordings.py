"""Recordings of beeps in noise, and a step embedder that hears which tone it is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from earful.model import Fingerprint

RATE = 4000
TONES = {"wren": 500.0, "owl": 1100.0, "fox": 1600.0}
Beep = tuple[float, float, str]


class ToneSteps:
    """A step is the loudness of sixteen bands in a tenth of a second."""

    fingerprint = steps_fingerprint = Fingerprint(
        name="tones", revision="", weights_sha256="", dim=16, sample_rate=RATE, windowing="steps"
    )
    steps_rate = RATE
    step_samples = 400
    margin_steps = 1
    step_dim = 16

    def __init__(self) -> None:
        self.n_embedded = 0

    def embed_steps(
        self, samples: NDArray[np.float32], *, band_hz: tuple[float, float] | None = None
    ) -> NDArray[np.float32]:
        self.n_embedded += samples.size
        n_steps = -(-samples.size // self.step_samples)
        wave = np.zeros(n_steps * self.step_samples, np.float32)
        wave[: samples.size] = samples
        spectra = np.abs(np.fft.rfft(wave.reshape(n_steps, self.step_samples)))[:, 1:193]
        if band_hz is not None:
            hz = np.arange(1, 193) * self.steps_rate / self.step_samples
            spectra = spectra * ((hz >= band_hz[0]) & (hz <= band_hz[1]))
        found: NDArray[np.float32] = np.log1p(spectra.reshape(n_steps, 16, 12).max(axis=2))
        return found.astype(np.float32)

    def pool_steps(self, steps: NDArray[np.floating], length: int) -> NDArray[np.float32]:
        length = max(1, min(length, len(steps)))
        windows = np.lib.stride_tricks.sliding_window_view(
            steps[:].astype(np.float32), length, axis=0
        )
        rows = windows.max(axis=2)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: NDArray[np.float32] = (rows / np.where(norms > 0, norms, 1)).astype(np.float32)
        return unit


def record(
    path: Path, seconds: float, beeps: Sequence[Beep] = (), *, seed: int = 0, rate: int = RATE
) -> Path:
    """Write noise with beeps at some times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 0.01, round(seconds * rate))
    for start_s, end_s, label in beeps:
        first, stop = round(start_s * rate), round(end_s * rate)
        at = np.arange(stop - first) / rate
        samples[first:stop] += 0.3 * np.sin(2 * np.pi * TONES[label] * at)
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def every(seconds: float, n: int, label: str, *, first_s: float = 5.0) -> list[Beep]:
    """Return beeps of a second at equal distances."""
    starts = [first_s + number * seconds for number in range(n)]
    return [(start_s, start_s + 1.0, label) for start_s in starts]


def write_track(path: Path, beeps: Sequence[Beep]) -> Path:
    """Write a label track as Audacity does."""
    lines = [f"{start_s:.6f}\t{end_s:.6f}\t{label}\n" for start_s, end_s, label in beeps]
    path.write_text("".join(lines))
    return path


def write_table(path: Path, rows: Sequence[tuple[str, float, float, str]]) -> Path:
    """Write a table of recordings, times and labels."""
    lines = [f"{name},{start_s},{end_s},{label}\n" for name, start_s, end_s, label in rows]
    path.write_text("recording,start_s,end_s,label\n" + "".join(lines))
    return path
