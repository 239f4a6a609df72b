"""Sources to play and draw: recordings of a fixture's folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from earful.serve.media import PlayedSource

MakeSource = Callable[..., PlayedSource]


@pytest.fixture(autouse=True)
def _decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")


@pytest.fixture
def make_source(tmp_path: Path) -> MakeSource:
    """Write samples as 16-bit PCM, and return the source that they are."""

    def make(
        samples: NDArray[Any], rate: int, *, ending: str = ".wav", **changed: Any
    ) -> PlayedSource:
        path = tmp_path / f"night{ending}"
        # libsndfile turns floats into other whole numbers for FLAC than for WAV.
        whole = samples if samples.dtype == np.int16 else np.rint(samples * 32767)
        soundfile.write(path, whole.astype(np.int16), rate, subtype="PCM_16")
        values = {
            "id": "r-0123456789abcdef",
            "name": path.name,
            "path": path,
            "start_s": 0.0,
            "duration_s": len(samples) / rate,
            "sample_rate": rate,
        }
        return PlayedSource(**{**values, **changed})

    return make


def tone(hz: float, seconds: float, rate: int, amplitude: float = 0.5) -> NDArray[np.float64]:
    at = np.arange(round(seconds * rate)) / rate
    return np.asarray(amplitude * np.sin(2 * np.pi * hz * at))
