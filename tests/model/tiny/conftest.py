"""Outputs of the published aisfx package, and the signals that it was given."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@pytest.fixture(scope="session")
def wave() -> Callable[[int], Samples]:
    """Make the signal of training/check_aisfx.py, of any length."""

    def make(n_samples: int) -> Samples:
        t = np.arange(n_samples) / 44100
        chirp = 0.3 * np.sin(2 * np.pi * (3000 * t - 400 * t * t)) * np.exp(-t)
        tone = 0.05 * np.sin(2 * np.pi * 440 * t)
        click = 0.5 * (np.arange(n_samples) == n_samples // 3)
        signal: Samples = (chirp + tone + click).astype(np.float32)
        return signal

    return make


@pytest.fixture(scope="session")
def published() -> Mapping[str, Samples]:
    """Every tenth frame and all outputs, by ``"<n_samples>.frames"`` and ``".outputs"``."""
    with np.load(Path(__file__).with_name("golden") / "aisfx.npz") as file:
        return {name: file[name] for name in file.files}
