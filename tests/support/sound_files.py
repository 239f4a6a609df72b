"""Tiny recordings for trees of datasets."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000


def write_sound(path: Path, seconds: float = 0.1) -> None:
    """Write noise that is the same for the same name, in the format of the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(zlib.crc32(path.name.encode()))
    samples = random.uniform(-0.3, 0.3, round(seconds * RATE))
    if path.suffix == ".mp4":
        _write_film(path, samples)
    else:
        soundfile.write(path, samples, RATE, format="AU" if path.suffix == ".au" else None)


def write_silence(path: Path, seconds: float) -> None:
    """Write nothing but zeros."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(seconds * RATE)), RATE)


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a table or a list; line ends as given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def _write_film(path: Path, samples: np.ndarray) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            samples.astype(np.float32)[None], format="fltp", layout="mono"
        )
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
