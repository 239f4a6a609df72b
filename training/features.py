"""Outputs of the frozen trunk for a corpus, of each clip as it is and disturbed.

The trunk costs nearly all the time of an embedding, so it runs once, before any training::

    python -m training.features --corpus DIR --out features.npz --variants 3

Variants after the first are disturbed at random, each clip in its own way: resampled (time
and pitch together), filtered, reverberated, mixed with noise or a stretch of another clip,
and made softer or louder. The same seed gives the same features.
"""

from __future__ import annotations

import argparse
import csv
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from training.torch_tiny import Network

from earful.model.runtime import fill, read_part
from earful.model.tiny import SAMPLE_RATE, FrontEnd, read_release

Samples = NDArray[np.floating]
_AT_ONCE = 16
MOST_WINDOWS = 3
"""Of a clip; corpus clips have three seconds at most."""


def disturb(samples: Samples, other: Samples, rng: np.random.Generator) -> Samples:
    """Return a recording as it might sound elsewhere.

    Args:
        samples: Shape ``(n,)``, at ``SAMPLE_RATE``.
        other: Another recording, of which a little may be heard.
        rng: Decides.
    """
    if rng.random() < 0.6:
        samples = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE * 2 ** rng.uniform(-0.25, 0.25))
    if rng.random() < 0.5:
        # A gentle tilt: 6 dB an octave above or below some frequency, mixed with the original.
        ratio = _frequencies(samples.size) / (300.0 * 20 ** rng.random())
        tilted = 1.0 / np.hypot(1.0, ratio)
        if rng.random() < 0.5:
            tilted = np.sqrt(1.0 - tilted**2)
        share = rng.uniform(0.3, 0.9)
        samples = _filter(samples, share * tilted + 1.0 - share)
    if rng.random() < 0.4:
        seconds = rng.uniform(0.1, 0.8)
        t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        tail = rng.standard_normal(t.size) * np.exp(-6.9 * t / seconds)
        tail *= rng.uniform(0.1, 0.5) / np.linalg.norm(tail)
        tail[0] += 1.0
        longer = np.pad(samples, (0, t.size))
        room = np.fft.rfft(np.pad(tail, (0, samples.size)))
        samples = _filter(longer, room)[: samples.size + t.size // 2]
    level = _loudness(samples)
    if rng.random() < 0.4:
        noise: Samples = rng.standard_normal(samples.size)
        if rng.random() < 0.5:
            noise = _filter(noise, 1.0 / np.sqrt(_frequencies(noise.size) + 20.0))
        samples = samples + noise * level * 10 ** (-rng.uniform(8, 35) / 20) / _loudness(noise)
    if rng.random() < 0.25:
        behind = np.resize(other, samples.size)
        samples = samples + behind * level * 10 ** (-rng.uniform(10, 25) / 20) / _loudness(behind)
    peak = float(np.abs(samples).max()) + 1e-9
    wanted = 10 ** (-rng.uniform(0, 18) / 20)
    return np.asarray(samples * (wanted / peak), dtype=np.float32)


def _frequencies(n_samples: int) -> NDArray[np.float64]:
    return np.asarray(np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE), dtype=np.float64)


def _filter(samples: NDArray[np.floating], response: NDArray[np.inexact]) -> Samples:
    return np.asarray(np.fft.irfft(np.fft.rfft(samples) * response, n=samples.size))


def _loudness(samples: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) + 1e-9


def load_trunk() -> Network:
    """Load the frozen network that ships."""
    network = fill(Network(), read_part(read_release(), "trunk"), "trunk")
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def encode(
    trunk: Network, front_end: FrontEnd, clips: Sequence[Samples]
) -> list[NDArray[np.float16]]:
    """Return each clip's window outputs, shape ``(n_windows, 512)``."""
    windows, owners = [], []
    for row, samples in enumerate(clips):
        exact = samples.astype(np.float32)
        for window in islice(front_end.windows(exact), MOST_WINDOWS):
            windows.append(window)
            owners.append(row)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = torch.cat(
            [
                trunk(torch.from_numpy(np.stack(windows[i : i + _AT_ONCE]))).float()
                for i in range(0, len(windows), _AT_ONCE)
            ]
        )
    stacked = found.numpy().astype(np.float16)
    return [stacked[np.asarray(owners) == row] for row in range(len(clips))]


def read_corpus(corpus: Path) -> tuple[list[dict[str, str]], list[Samples]]:
    """Read the manifest's rows and every clip, at ``SAMPLE_RATE``."""
    with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clips = []
    for row in rows:
        samples, rate = soundfile.read(corpus / row["file_name"], dtype="float32")
        clips.append(samples if rate == SAMPLE_RATE else soxr.resample(samples, rate, SAMPLE_RATE))
    return rows, clips


def main() -> None:
    """Encode the corpus named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    trunk, front_end = load_trunk(), FrontEnd()
    rows, clips = read_corpus(options.corpus)
    outputs: list[NDArray[np.float16]] = []
    owners: list[tuple[int, int]] = []
    for variant in range(options.variants):
        for start in range(0, len(rows), 8):
            batch = []
            for number in range(start, min(start + 8, len(rows))):
                samples = clips[number]
                if variant and rows[number]["split"] == "train":
                    key = zlib.crc32(rows[number]["file_name"].encode())
                    rng = np.random.default_rng([options.seed, variant, key])
                    samples = disturb(samples, clips[int(rng.integers(len(clips)))], rng)
                elif variant:
                    continue
                batch.append((number, samples))
            for (number, _), found in (
                zip(batch, encode(trunk, front_end, [x for _, x in batch]), strict=True)
                if batch
                else ()
            ):
                outputs.append(found)
                owners += [(number, variant)] * len(found)
        print(f"variant {variant}: {len(owners)} windows", flush=True)
    owner = np.asarray(owners, dtype=np.int32)
    np.savez(options.out, outputs=np.concatenate(outputs), row=owner[:, 0], variant=owner[:, 1])


if __name__ == "__main__":
    main()
