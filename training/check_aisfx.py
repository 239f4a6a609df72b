"""Freeze what the published aisfx package computes, for ``tests/model/test_tiny.py``.

Needs an environment of its own: Python 3.11 with ``essentia`` (the front end the model was
trained with; AGPL, so neither shipped nor imported by us), ``torch``, ``soundfile`` and the
unpacked wheel of aisfx 0.1.2 on the path::

    pip install essentia torch soundfile tqdm && unzip aisfx-0.1.2-py2.py3-none-any.whl
    PYTHONPATH=. python training/check_aisfx.py

The inputs are closed-form sums of tones, so the test makes them again by itself.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from aisfx.inference import SAMPLE_RATE, load_bestModel, load_weights, model_get_embedding
from aisfx.preprocessing import spectrogram_normalize
from aisfx.spectrogram.spectrogram_essentia import compute_spectrogram

TARGET = Path(__file__).resolve().parent.parent / "tests" / "model" / "golden" / "aisfx.npz"
# Lengths in samples: shorter than a window, one window, two windows.
LENGTHS = (30_000, 99 * 1024, 149 * 1024)


def wave(n_samples: int) -> np.ndarray:
    """Return the test signal: a falling chirp, a steady tone and a click, float32."""
    t = np.arange(n_samples) / 44100
    chirp = 0.3 * np.sin(2 * np.pi * (3000 * t - 400 * t * t)) * np.exp(-t)
    tone = 0.05 * np.sin(2 * np.pi * 440 * t)
    click = 0.5 * (np.arange(n_samples) == n_samples // 3)
    signal: np.ndarray = (chirp + tone + click).astype(np.float32)
    return signal


def main() -> None:
    """Run the package on the signals and save spectrograms and embeddings."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    original_load = torch.load
    # The package opens its own pickle; the wheel's digest is checked by convert_aisfx.py.
    torch.load = lambda *args, **kwargs: original_load(*args, **{**kwargs, "weights_only": False})
    weights, datasets = load_weights("cpu")
    model = load_bestModel(weights, datasets, "cpu")
    frozen: dict[str, np.ndarray] = {}
    for n_samples in LENGTHS:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            soundfile.write(file.name, wave(n_samples), 44100, subtype="FLOAT")
            spectrogram = compute_spectrogram(
                file.name,
                sr=SAMPLE_RATE,
                block_size=2048,
                hop_size=1024,
                n_mels=96,
                f_min=0.0,
                f_max=22050.0,
            )
        scaled = spectrogram_normalize(spectrogram)
        frozen[f"{n_samples}.frames"] = scaled[::10].astype(np.float32)
        hop = 0.5 if len(scaled) > 50 else 0.1
        outputs = model_get_embedding(scaled, hop, True, model, "cpu").numpy()
        frozen[f"{n_samples}.outputs"] = outputs
        print(n_samples, spectrogram.shape, outputs.shape)
    np.savez_compressed(TARGET, allow_pickle=False, **frozen)


if __name__ == "__main__":
    main()
