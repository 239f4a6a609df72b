"""Keep an index of the format that the installed release writes, for ``test_formats.py``.

Run once for every format, with the last release that writes it, before the format changes::

    python tests/index/formats/make.py
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from earful.index import Index
from earful.index.builder import BuildOptions, build_index
from earful.index.cache import FeatureCacheFolder, ScoreCache
from earful.index.storage import FORMAT, IndexFolder

HERE = Path(__file__).resolve().parent
SOUNDS = HERE / "sounds"
RATE = 8000


def write_sounds() -> None:
    """Write three tones; they are the same for every format."""
    for label, hz in (("low", 200), ("low", 300), ("high", 2000)):
        path = SOUNDS / label / f"{hz}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        time_s = np.arange(RATE // 4) / RATE
        soundfile.write(path, 0.5 * np.sin(2 * np.pi * hz * time_s), RATE, subtype="PCM_U8")


def main() -> None:
    """Write the index of four rows, in three commits, with all that may be kept beside it."""
    write_sounds()
    folder = HERE / str(FORMAT)
    # One that is rejected, and gone when the index is opened again.
    broken = SOUNDS / "low/broken.wav"
    broken.write_bytes(b"no audio")
    try:
        build_index(SOUNDS, folder, embedder="logmel", options=BuildOptions(commit_rows=2))
    finally:
        broken.unlink()
    # Format 2 is that of an index with a row that says what is not there.
    (high,) = IndexFolder.open(folder).rows(["high/2000.wav"]).values()
    denies = replace(high.exemplar, id="not-low", labels=(), answer="", not_labels=("low",))
    Index.open(folder).add([replace(high, exemplar=denies)])
    features = np.arange(6, dtype=np.float32).reshape(2, 3)
    FeatureCacheFolder(folder).put(f"{'ab' * 32}/{'cd' * 32}", features)
    ScoreCache(folder).put("ef" * 32, {"low/200.wav": [0.75, 0.25]}, about={"task": "tones"})


if __name__ == "__main__":
    main()
