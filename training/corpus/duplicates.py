"""Find the same sound kept twice: the same samples, or the same recording encoded again."""

from __future__ import annotations

import hashlib

import numpy as np
import soxr
from numpy.typing import NDArray

RATE = 8_000
N_FFT = 256
N_BANDS = 24
N_FRAMES = 40
HOP = 160
# What two clips' fingerprints must share to be compared sample by sample, and then share there.
ALIKE = 0.9
SAME = 0.9

Print = NDArray[np.float32]


class Duplicates:
    """Remembers clips by what they sound like, level apart."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}
        self._names: list[str] = []
        self._waves: list[Print] = []
        self._prints = np.zeros((0, N_BANDS * N_FRAMES), dtype=np.float32)
        self._n = 0

    def find(self, name: str, pcm: NDArray[np.int16], rate: int) -> str:
        """Return why a clip is a duplicate of one seen before, or "" and remember it."""
        digest = level_digest(pcm)
        if digest in self._digests:
            return f"the same samples as {self._digests[digest]}"
        wave = _wave(pcm, rate)
        mark = fingerprint(wave)
        alike = self._prints[: self._n] @ mark
        for row in np.flatnonzero(alike >= ALIKE):
            same = correlation(wave, self._waves[row])
            if same >= SAME:
                return (
                    f"the same recording as {self._names[row]}: "
                    f"correlation {same:.2f}, fingerprint {alike[row]:.2f}"
                )
        self._digests[digest] = name
        self._names.append(name)
        self._waves.append(wave)
        if self._n == len(self._prints):
            grown = np.zeros((max(256, 2 * self._n), mark.size), dtype=np.float32)
            grown[: self._n] = self._prints
            self._prints = grown
        self._prints[self._n] = mark
        self._n += 1
        return ""


def level_digest(pcm: NDArray[np.int16]) -> str:
    """Return the SHA-256 of samples brought to full scale.

    >>> level_digest(np.array([0, 100, -50], np.int16)) == level_digest(
    ...     np.array([0, 200, -100], np.int16)
    ... )
    True
    """
    peak = max(1, int(np.abs(pcm.astype(np.int32)).max(initial=0)))
    return hashlib.sha256(np.rint(pcm * (32767.0 / peak)).astype("<i2").tobytes()).hexdigest()


def fingerprint(wave: Print) -> Print:
    """Return a small log-mel picture of a clip's begin, of unit length."""
    n = N_FFT + HOP * (N_FRAMES - 1)
    padded = np.zeros(n, dtype=np.float32)
    padded[: min(n, wave.size)] = wave[:n]
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(N_FFT), axis=1)) ** 2
    bands = np.log10(power @ _mel_bands() + 1e-5 * float(power.max(initial=1e-9)))
    bands -= bands.mean()
    norm = float(np.linalg.norm(bands)) or 1.0
    flat: Print = (bands / norm).astype(np.float32).ravel()
    return flat


def correlation(first: Print, second: Print) -> float:
    """Return the largest normalised correlation of two waves over small shifts."""
    if not 0.8 < first.size / second.size < 1.25:
        return 0.0
    size = 1 << (first.size + second.size).bit_length()
    product = np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size))
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.abs(np.fft.irfft(product, size)).max()) / norm if norm else 0.0


def _wave(pcm: NDArray[np.int16], rate: int) -> Print:
    wave: Print = soxr.resample(pcm.astype(np.float32) / 32768.0, rate, RATE, quality="QQ")
    return wave


def _mel_bands() -> NDArray[np.float64]:
    """Return triangles of equal width in mel, (frequency bin, band)."""
    mel = np.linspace(0.0, 2595.0 * np.log10(1.0 + RATE / 2 / 700.0), N_BANDS + 2)
    edges = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    bins = np.linspace(0.0, RATE / 2, N_FFT // 2 + 1)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bands: NDArray[np.float64] = np.clip(np.minimum(rise, fall), 0.0, None)
    return bands
