"""A corpus of tiny recordings, and an embedder whose vectors are the recordings themselves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from earful.model import Fingerprint
from earful.model.audio import Clip

RATE = 8000
DIM = 16
LABELS = ("dog", "siren", "rain", "door", "bird")


class Samples:
    """The first samples of a clip, as a direction."""

    fingerprint = Fingerprint(
        name="samples",
        revision="",
        weights_sha256="",
        dim=DIM,
        sample_rate=RATE,
        windowing="whole",
    )

    def __init__(self) -> None:
        self.n_clips = 0

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Return float32, shape ``(n, DIM)``, unit rows."""
        self.n_clips += len(clips)
        vectors = np.stack([clip.samples[:DIM] for clip in clips])
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def write_corpus(folder: Path, n_files: int, *, seed: int = 0) -> Path:
    """Write a folder per label of recordings that all differ."""
    drawn = np.random.default_rng(seed)
    for number in range(n_files):
        path = folder / LABELS[number % len(LABELS)] / f"{number:04}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = drawn.standard_normal(200).astype(np.float32) / 8
        soundfile.write(path, samples, RATE, subtype="FLOAT")
    return folder
