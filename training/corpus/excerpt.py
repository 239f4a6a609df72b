"""Cut one clip out of one recording."""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from training.corpus.archives import Samples

SAMPLE_RATE = 44_100
LONGEST_S = 3.0
SHORTEST_S = 0.04
FADE_S = 0.01
STEP_S = 0.1
SILENCE_DB = -50.0
FAINTEST_DB = -60.0
ENOUGH = 0.8


def trim(
    samples: Samples, rate: int, start_s: float | None = None, end_s: float | None = None
) -> tuple[Samples, float]:
    """Cut silence at both ends, keep the loudest ``LONGEST_S``, and fade.

    Where ``start_s`` is given, the clip begins there, after silence. Otherwise it is the first
    stretch with ``ENOUGH`` of the energy of the loudest one, which for a struck or plucked
    sound begins with its onset.

    Args:
        samples: The recording, mono.
        rate: Its rate in Hz.
        start_s: Where the clip begins at the earliest, in seconds.
        end_s: Where it ends at the latest, in seconds.

    Returns:
        The clip, empty where there is only silence, and where it begins, in seconds.
    """
    begin = round((start_s or 0.0) * rate)
    end = samples.size if end_s is None else min(samples.size, round(end_s * rate))
    level = np.abs(samples[begin:end])
    peak = float(level.max(initial=0.0))
    if peak <= 10 ** (FAINTEST_DB / 20):
        return np.zeros(0), begin / rate
    loud = begin + np.flatnonzero(level > peak * 10 ** (SILENCE_DB / 20))
    n_fade = round(FADE_S * rate)
    onset, last = int(loud[0]), min(int(loud[-1]) + 1 + n_fade, end)
    # A little of the silence before the onset is kept to fade in, so that the attack stays.
    first = max(begin, onset - n_fade)
    n_longest = round(LONGEST_S * rate)
    if start_s is None and last - first > n_longest:
        first += _loudest(samples[first:last], n_longest, round(STEP_S * rate))
    cut = samples[first : min(last, first + n_longest)].copy()
    n_in = n_fade if first > onset else min(n_fade, onset - first)
    _fade(cut[: min(n_in, cut.size // 4)])
    _fade(cut[::-1][: min(n_fade, cut.size // 4)])
    return cut, first / rate


def _loudest(samples: Samples, n_window: int, n_step: int) -> int:
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples))])
    starts = np.arange(0, samples.size - n_window + 1, n_step)
    heard = energy[starts + n_window] - energy[starts]
    return int(starts[np.argmax(heard >= ENOUGH * heard.max())])


def _fade(samples: Samples) -> None:
    samples *= np.linspace(0.0, 1.0, samples.size, endpoint=False)


def to_pcm(samples: Samples, rate: int) -> tuple[NDArray[np.int16], int]:
    """Return 16-bit samples at ``SAMPLE_RATE`` Hz or less, as loud as recorded, and the rate."""
    if rate > SAMPLE_RATE:
        samples, rate = soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ"), SAMPLE_RATE
    peak = float(np.abs(samples).max(initial=0.0))
    scaled = samples * (32767.0 / max(1.0, peak))
    return np.rint(scaled).astype(np.int16), rate


def to_flac(pcm: NDArray[np.int16], rate: int) -> bytes:
    """Write FLAC: mono, 16 bits."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate, format="FLAC", subtype="PCM_16", compression_level=0.5)
    return buffer.getvalue()
