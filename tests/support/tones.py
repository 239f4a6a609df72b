"""Recordings of a tone in a little noise."""

from pathlib import Path

import numpy as np
import soundfile


def write_tone(
    path: Path,
    hz: float,
    seed: int,
    *,
    seconds: float = 0.6,
    rate: int = 22_050,
    noise: float = 0.005,
) -> Path:
    """Write a tone to a file, whose folder is made if need be."""
    random = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    samples = 0.3 * np.sin(2 * np.pi * hz * time_s) + noise * random.standard_normal(time_s.size)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path
