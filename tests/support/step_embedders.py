"""A step embedder whose steps are made by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earful.model import Fingerprint

DIM = 8


class HandSteps:
    """Steps of half a second, of eight numbers; a window is their mean at unit length."""

    steps_rate = 8000
    step_samples = 4000
    margin_steps = 0
    step_dim = DIM

    @property
    def steps_fingerprint(self) -> Fingerprint:
        """A fingerprint of nothing."""
        return Fingerprint(
            name="hand",
            revision="1",
            weights_sha256="0" * 64,
            dim=DIM,
            sample_rate=self.steps_rate,
            windowing="steps",
            dtype="float32",
        )

    def embed_steps(
        self, samples: NDArray[np.float32], *, band_hz: tuple[float, float] | None = None
    ) -> NDArray[np.float32]:
        """Return the mean spectrum of each step, in eight parts."""
        n = -(-samples.size // self.step_samples)
        padded = np.zeros(n * self.step_samples, dtype=np.float32)
        padded[: samples.size] = samples
        power = np.abs(np.fft.rfft(padded.reshape(n, -1))) ** 2
        parts = power[:, : power.shape[1] // DIM * DIM].reshape(n, DIM, -1)
        return np.asarray(parts.mean(axis=2), dtype=np.float32)

    def pool_steps(self, steps: NDArray[np.floating], length: int) -> NDArray[np.float32]:
        """Return means of steps at unit length."""
        length = min(length, max(1, len(steps)))
        windows = np.lib.stride_tricks.sliding_window_view(
            np.asarray(steps, dtype=np.float32), length, axis=0
        ).mean(axis=-1)
        lengths = np.linalg.norm(windows, axis=1, keepdims=True)
        return np.asarray(windows / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def hand_recording(
    n_steps: int,
    sounds: dict[int, list[tuple[int, int]]],
    *,
    seed: int = 0,
    noise: float = 0.1,
) -> NDArray[np.float16]:
    """Return steps of noise around a direction of its own, with others' directions in places.

    Args:
        n_steps: How many.
        sounds: Stretches, in steps, by the direction that sounds there, 1 to 7.
        seed: Of the noise.
        noise: Its standard deviation.
    """
    random = np.random.default_rng(seed)
    steps = noise * random.standard_normal((n_steps, DIM))
    steps[:, 0] += 1.0
    for direction, spans in sounds.items():
        for start, stop in spans:
            steps[start:stop, 0] -= 1.0
            steps[start:stop, direction] += 1.0
    return steps.astype(np.float16)
