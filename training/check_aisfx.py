"""Compare the trunk of ``earful-tiny`` with the published aisfx package; freeze its outputs.

Needs an environment of its own: Python 3.11 with ``essentia`` (the front end the model was
trained with; AGPL, so neither shipped nor imported by us), earful, and the unpacked wheel of
aisfx 0.1.2 on the path::

    pip install essentia tqdm . && unzip aisfx-0.1.2-py2.py3-none-any.whl -d aisfx-0.1.2
    PYTHONPATH=aisfx-0.1.2 python training/check_aisfx.py [FOLDER]

With a folder of recordings it prints the largest differences found on them; without one it
writes ``tests/model/tiny/golden/aisfx.npz``, on closed-form signals that the test makes again.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from aisfx.inference import SAMPLE_RATE, load_bestModel, load_weights, model_get_embedding
from aisfx.preprocessing import blocking, spectrogram_normalize
from aisfx.spectrogram.spectrogram_essentia import compute_spectrogram
from numpy.typing import NDArray

from earful.model.audio import load_audio
from earful.model.tiny import WINDOW_FRAMES, FrontEnd, Trunk, read_release, read_trunk

TARGET = Path(__file__).resolve().parent.parent / "tests/model/tiny/golden/aisfx.npz"
# Lengths in samples: shorter than a window, one window, two windows.
LENGTHS = (30_000, 99 * 1024, 149 * 1024)
AUDIO = {".wav", ".flac", ".ogg", ".oga", ".mp3"}


class Original:
    """The package, from a file to frames, and from frames to raw outputs."""

    def __init__(self) -> None:
        safe_load = torch.load
        # The package opens its own pickle; the wheel's digest is checked by convert_aisfx.py.
        torch.load = lambda *args, **kwargs: safe_load(*args, **{**kwargs, "weights_only": False})
        try:
            weights, datasets = load_weights("cpu")
        finally:
            torch.load = safe_load
        self._model = load_bestModel(weights, datasets, "cpu")

    def frames(self, path: str) -> NDArray[np.float32]:
        """Compute scaled log-mel frames, shape ``(n_frames, 96)``."""
        spectrogram = compute_spectrogram(
            path,
            sr=SAMPLE_RATE,
            block_size=2048,
            hop_size=1024,
            n_mels=96,
            f_min=0.0,
            f_max=22050.0,
        )
        return np.asarray(spectrogram_normalize(spectrogram), np.float32)

    def outputs(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute its raw outputs, shape ``(n_windows, 512)``."""
        outputs = model_get_embedding(frames, _hop(frames), True, self._model, "cpu")
        return np.asarray(outputs.numpy(), np.float32)


class Ours:
    """``earful-tiny``: its front end and the shipped trunk."""

    def __init__(self) -> None:
        self._front_end = FrontEnd()
        self._network = Trunk(read_trunk(read_release()))

    def frames(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute scaled log-mel frames, shape ``(n_frames, 96)``."""
        return self._front_end.frames(samples)

    def output(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the raw output of one window, shape ``(512,)``."""
        return np.asarray(self._network(np.asarray(window, np.float32)[None])[0])


def wave(n_samples: int) -> NDArray[np.float32]:
    """Return the test signal: a falling chirp, a steady tone and a click, float32."""
    t = np.arange(n_samples) / 44100
    chirp = 0.3 * np.sin(2 * np.pi * (3000 * t - 400 * t * t)) * np.exp(-t)
    tone = 0.05 * np.sin(2 * np.pi * 440 * t)
    click = 0.5 * (np.arange(n_samples) == n_samples // 3)
    signal: NDArray[np.float32] = (chirp + tone + click).astype(np.float32)
    return signal


def freeze(original: Original) -> None:
    """Save the package's frames and outputs on the closed-form signals."""
    frozen: dict[str, NDArray[np.float32]] = {}
    for n_samples in LENGTHS:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            soundfile.write(file.name, wave(n_samples), 44100, subtype="FLOAT")
            frames = original.frames(file.name)
        frozen[f"{n_samples}.frames"] = frames[::10]
        frozen[f"{n_samples}.outputs"] = original.outputs(frames)
        print(n_samples, frames.shape, frozen[f"{n_samples}.outputs"].shape)
    np.savez_compressed(TARGET, allow_pickle=False, **frozen)


def compare(original: Original, folder: Path) -> None:
    """Print the largest differences over the recordings of a folder.

    Once with the package given our decoded samples, which compares front ends and networks,
    and once with the package decoding (and resampling) the file by itself.
    """
    ours = Ours()
    found: dict[str, list[tuple[float, float, float]]] = {"same samples": [], "same file": []}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO):
        # The package's loader cuts off what is beyond full scale, as lossy codings may be.
        samples = load_audio(path, sample_rate=44100).samples.clip(-1, 1)
        frames = ours.frames(samples)
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            soundfile.write(file.name, samples, 44100, subtype="FLOAT")
            found["same samples"] += _differences(
                original, ours, original.frames(file.name), frames
            )
        found["same file"] += _differences(original, ours, original.frames(str(path)), frames)
    for kind, rows in found.items():
        frame, vector, cosine = np.array(rows).T
        print(
            f"{kind}: {len(rows)} windows; frames differ by {frame.max():.1e} at most "
            f"(median {np.median(frame):.1e}), unit vectors by {vector.max():.1e} "
            f"(median {np.median(vector):.1e}), cosine at least {cosine.min():.6f}"
        )


def main() -> None:
    """Freeze the golden, or compare on the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    folder = parser.parse_args().folder
    if folder is None:
        freeze(Original())
    else:
        compare(Original(), folder)


def _differences(
    original: Original,
    ours: Ours,
    theirs: NDArray[np.float32],
    frames: NDArray[np.float32],
) -> list[tuple[float, float, float]]:
    """Compare window by window: largest frame and unit vector difference, and cosine."""
    # Two decoders or resamplers may disagree by some samples about the length.
    n_frames = min(len(theirs), len(frames))
    if n_frames < 2:  # the package cannot place a window
        return []
    theirs, frames = theirs[:n_frames], frames[:n_frames]
    rows = []
    hop = round(WINDOW_FRAMES * _hop(frames))
    windows = zip(
        blocking(theirs, WINDOW_FRAMES, hop, drop_partial_block=True),
        blocking(frames, WINDOW_FRAMES, hop, drop_partial_block=True),
        original.outputs(theirs),
        strict=True,
    )
    for their_window, window, output in windows:
        wanted, vector = _unit(output), _unit(ours.output(window))
        rows.append(
            (
                float(np.abs(their_window - window).max()),
                float(np.abs(wanted - vector).max()),
                float(wanted @ vector),
            )
        )
    return rows


def _hop(frames: NDArray[np.float32]) -> float:
    """Choose a hop, in windows, that the package accepts: it wants less than the length."""
    return 0.5 if len(frames) > WINDOW_FRAMES // 2 else 0.01


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vector / np.linalg.norm(vector))


if __name__ == "__main__":
    main()
