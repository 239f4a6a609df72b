"""Acoustic descriptors: how a recording's level, spectrum and pitch move.

An encoder that was trained to tell what sounds are leaves out much of how they go: steady or in
bursts, noisy or pitched, from when to when. These are the numbers for that which music
information retrieval has used for long (Peeters, "A large set of audio features for sound
description", IRCAM 2004). None of them depends on level or on length.

All are of 25-ms frames every 10 ms at 16 kHz, weighted by energy where a mean is taken: what is
silent between two sounds is not heard.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

ACOUSTICS_RATE: Final = 16_000
_FRAME: Final = 400
_HOP: Final = 160
_FFT: Final = 512
_FRAMES_PER_SECOND: Final = ACOUSTICS_RATE / _HOP
_FRAMES_AT_ONCE: Final = 3_000
_LEAST_HZ: Final = 30.0
_LEAST_POWER: Final = 1e-12
_BEAT_EDGES: Final = (0.0, 4.0, 8.0, 16.0, 32.0, 50.0)
"""Edges of the bands in which the level's own movement is measured, in hertz."""
_LEAST_SHARE: Final = 1e-4
_ONSET_DB: Final = 6.0
_ROLL_OFFS: Final = (0.25, 0.5, 0.85, 0.95)
_LONGEST_PERIOD: Final = 300
_SHORTEST_PERIOD: Final = 10
"""Samples: pitches from 53 to 1600 Hz."""
_TILT: Final = 0.2

NAMES: Final = (
    "centroid",
    "centroid deviation",
    "bandwidth",
    "flatness",
    "temporal centroid",
    "share above -30 dB",
    "share above -10 dB",
    "place of the peak",
    "onset rate",
    *(f"level moves at {a:g} to {b:g} Hz" for a, b in pairwise(_BEAT_EDGES)),
    "spectral flux",
    "harmonicity",
    "pitch",
    *(f"{share:.0%} roll-off" for share in _ROLL_OFFS),
)
N_DESCRIPTORS: Final = len(NAMES)


def describe_acoustics(samples: NDArray[np.float32]) -> Numbers:
    """Describe a recording.

    Args:
        samples: Shape ``(n,)``, at 16 kHz; at least one.

    Returns:
        float64, shape ``(N_DESCRIPTORS,)``, in the order of ``NAMES``; frequencies as natural
        logarithms of hertz. Silence has numbers, too, which say nothing.
    """
    exact = samples.astype(np.float64)
    peak = float(np.abs(exact).max())
    exact = exact / peak if peak > 0 else exact
    exact = np.pad(exact, (0, max(0, _FRAME - exact.size)))
    power, harmonicities, periods = _frames(exact)
    energy = power.sum(axis=1)
    level = 10 * np.log10(energy / energy.max() + 1e-6)
    weight = energy / energy.sum()
    hertz = np.fft.rfftfreq(_FFT, 1 / ACOUSTICS_RATE)
    centroids = power @ hertz / energy
    centroid = float(weight @ centroids)
    variances = np.maximum(power @ hertz**2 / energy - centroids**2, 0.0)
    flatness = np.log(power).mean(axis=1) - np.log(power.mean(axis=1))
    n = len(energy)
    rises = np.diff(level, prepend=level[0]) > _ONSET_DB
    onsets = rises[1:] & ~rises[:-1]
    shares = np.sqrt(power / energy[:, None])
    flux = np.linalg.norm(np.diff(shares, axis=0), axis=1) if n > 1 else np.zeros(1)
    spectrum = np.cumsum(weight @ (power / energy[:, None]))
    roll_offs = hertz[np.minimum(np.searchsorted(spectrum, _ROLL_OFFS), len(hertz) - 1)]
    pitched = harmonicities >= _median(harmonicities)
    return np.array(
        [
            np.log(centroid + _LEAST_HZ),
            np.log(np.sqrt(weight @ (centroids - centroid) ** 2) + _LEAST_HZ),
            np.log(np.sqrt(weight @ variances) + _LEAST_HZ),
            weight @ flatness,
            weight @ np.arange(n) / n,
            (level > -30).mean(),
            (level > -10).mean(),
            np.argmax(energy) / n,
            np.log1p(np.count_nonzero(onsets) * _FRAMES_PER_SECOND / n),
            *_movement(np.sqrt(energy)),
            flux.mean(),
            weight @ harmonicities,
            np.log(ACOUSTICS_RATE / _median(periods[pitched])),
            *np.log(roll_offs + _LEAST_HZ),
        ]
    )


def _median(values: Numbers) -> float:
    # NumPy's own imports masked arrays, which takes longer than all else here.
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _frames(samples: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return each frame's power spectrum, its harmonicity and its period in samples."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP]
    window = np.hanning(_FRAME)
    powers, harmonicities, periods = [], [], []
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        some = frames[start : start + _FRAMES_AT_ONCE]
        powers.append(np.abs(np.fft.rfft(some * window, _FFT)) ** 2 + _LEAST_POWER)
        # Of the plain frame, without a cyclic part: how like itself it is some time later.
        plain = some - some.mean(axis=1, keepdims=True)
        similar = np.fft.irfft(np.abs(np.fft.rfft(plain, 2 * _FFT)) ** 2)[:, :_LONGEST_PERIOD]
        overlap = 1.0 - np.arange(_LONGEST_PERIOD) / _FRAME
        later = similar / overlap / (similar[:, :1] + _LEAST_POWER)
        later = later[:, _SHORTEST_PERIOD:]
        harmonicities.append(later.max(axis=1).clip(0.0, 1.0))
        # A pitch is as much like itself two periods later: the shortest of them is meant.
        shorter = later * (1.0 - _TILT * np.arange(later.shape[1]) / later.shape[1])
        periods.append(shorter.argmax(axis=1) + float(_SHORTEST_PERIOD))
    return np.concatenate(powers), np.concatenate(harmonicities), np.concatenate(periods)


def _movement(envelope: Numbers) -> Numbers:
    """Return the logarithm of the share that each band of ``_BEAT_EDGES`` has in the movement."""
    moves = np.abs(np.fft.rfft(envelope - envelope.mean(), max(256, envelope.size))) ** 2
    hertz = np.fft.rfftfreq(max(256, envelope.size), 1 / _FRAMES_PER_SECOND)
    bands = np.searchsorted(_BEAT_EDGES, hertz, side="right") - 1
    shares = np.bincount(bands.clip(0, len(_BEAT_EDGES) - 2), weights=moves)
    shares = np.pad(shares, (0, len(_BEAT_EDGES) - 1 - shares.size))
    return np.asarray(np.log(shares / (shares.sum() + _LEAST_POWER) + _LEAST_SHARE))
