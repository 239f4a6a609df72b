"""Stationary noises that are no copies of each other, and other forms of one recording."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float64]
RATE = 16_000


def white(random: np.random.Generator, n: int) -> Samples:
    """Make white noise, such as a leak of air."""
    return random.standard_normal(n)


def rumble(random: np.random.Generator, n: int) -> Samples:
    """Make noise that falls by 6 dB an octave, such as a fan."""
    hz = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20.0)
    return np.asarray(np.fft.irfft(np.fft.rfft(random.standard_normal(n)) / hz, n))


def narrow(random: np.random.Generator, n: int) -> Samples:
    """Make noise of 400 to 900 Hz in silence, such as a hose."""
    hz = np.fft.rfftfreq(n, 1 / RATE)
    inside = np.exp(-(((hz - 650.0) / 180.0) ** 2))
    return np.asarray(np.fft.irfft(np.fft.rfft(random.standard_normal(n)) * inside, n))


def hum(random: np.random.Generator, n: int) -> Samples:
    """Make harmonics of 50 Hz, in other phases each time, with a little noise: a transformer."""
    time_s = np.arange(n) / RATE
    waves = (np.sin(2 * np.pi * 50 * k * time_s + random.uniform(0, 6.3)) / k for k in range(1, 30))
    return np.asarray(np.sum(list(waves), axis=0) + 0.05 * random.standard_normal(n))


def same_motor(random: np.random.Generator, n: int) -> Samples:
    """Make one and the same waveform of 50 Hz, begun anywhere, with a little noise."""
    time_s = np.arange(n) / RATE + random.uniform(0, 1)
    waves = (np.sin(2 * np.pi * 50 * k * time_s + k * k) / k for k in range(1, 30))
    return np.asarray(np.sum(list(waves), axis=0) + 0.05 * random.standard_normal(n))


def pump(random: np.random.Generator, n: int) -> Samples:
    """Make noise of four strokes a second, at the same speed each time."""
    time_s = np.arange(n) / RATE + random.uniform(0, 1)
    return narrow(random, n) * (1.0 + 0.9 * np.sin(2 * np.pi * 4 * time_s))


STATIONARY: tuple[Callable[[np.random.Generator, int], Samples], ...] = (
    *(white, rumble, narrow),
    *(hum, same_motor, pump),
)


def take(make: Callable[[np.random.Generator, int], Samples], seed: int, seconds: float) -> Samples:
    """Make one take of a stationary noise, of half scale."""
    samples = make(np.random.default_rng(seed), round(seconds * RATE))
    return np.asarray(0.5 * samples / np.abs(samples).max())


def other_forms(samples: Samples, rate: int) -> Iterator[tuple[str, Samples, int]]:
    """Yield a recording in other encodings, levels, rates and cuts: name, samples, rate in Hz."""
    yield "34 dB lower", samples * 0.02, rate
    yield "upside down", -samples, rate
    yield "3.3 ms later", samples[round(0.0033 * rate) :], rate
    if len(samples) > 0.4 * rate:
        yield "50 ms later", samples[round(0.05 * rate) :], rate
    for other in (8_000, 11_025, 22_050, 44_100):
        if other != rate:
            yield f"{other} Hz", soxr.resample(samples, rate, other), other
    yield "mu-law", *_encoded(samples, rate, "WAV", "ULAW")
    if rate not in (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000):
        samples, rate = soxr.resample(samples, rate, 44_100), 44_100
    for level in (0.0, 0.5, 0.9):
        yield f"MP3 {level}", *_encoded(samples, rate, "MP3", "MPEG_LAYER_III", level)
    for level in (0.1, 0.5, 1.0):
        yield f"Vorbis {level}", *_encoded(samples, rate, "OGG", "VORBIS", level)


def _encoded(
    samples: Samples, rate: int, container: str, codec: str, level: float | None = None
) -> tuple[Samples, int]:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=codec, compression_level=level)
    file.seek(0)
    decoded, found = soundfile.read(file)
    return decoded, found
