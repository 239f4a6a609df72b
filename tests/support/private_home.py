"""A folder whose every name is private, with an index in it."""

from pathlib import Path

import numpy as np
import soundfile

from earful.index.builder import build_index

ODD = "evil \x1b[31m name"


def write_private_home(home: Path) -> Path:
    """Write recordings of two labels, one with an odd name, and an index of the former."""
    rng = np.random.default_rng(0)
    for label in ("secret hum", "secret whistle"):
        (home / "corpus" / label).mkdir(parents=True)
        for number in range(3):
            path = home / "corpus" / label / f"private-{number}.wav"
            soundfile.write(path, rng.normal(size=8000) * 0.1, 8000)
    soundfile.write(home / f"{ODD}.wav", rng.normal(size=8000) * 0.1, 8000)
    build_index(home / "corpus", home / "s.index", embedder="logmel")
    return home
