"""The embedder ``logmel``: statistics of log-mel bands, the baseline for every other embedder.

It has no training, no weights and needs only NumPy: how loud each band is, how much it
varies and how fast. The gain of a trained encoder is its gain over this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip, require_sample_rate
from earful.model.encoders.band_levels import BandLevels
from earful.model.protocols import Fingerprint
from earful.model.runtime import require_device_name, require_float32
from earful.values import embedder_repr

SAMPLE_RATE = 44_100
FRAME_SAMPLES = 2048
HOP_SAMPLES = 512
N_BANDS = 64
_LOWEST_HZ = 20.0
# Typical value and spread of each statistic, in dB. Raw levels are all negative and raw
# deviations all positive, so that any two clips would have a cosine near 1. A corpus would
# give better numbers, but then a clip's vector would depend on other clips: these are round
# numbers for recordings in general, the same for every band.
_LEVEL = (-75.0, 20.0)
_DEVIATION = (10.0, 5.0)
_CHANGE = (2.0, 1.5)
# Raised whenever the vector of a clip would change.
RELEASE = "1"


def load_logmel(
    name: str = "logmel", *, revision: str = "", device: str = "auto", dtype: str = "float32"
) -> LogMelEmbedder:
    """Build the baseline embedder.

    Args:
        name: The registered name.
        revision: Empty, or the release of the recipe: an index asks for the one that made it.
        device: ``"auto"`` or ``"cpu"``, the only device it runs on.
        dtype: ``"float32"``, the type of its vectors, or ``"auto"``, which means the same.

    Raises:
        UnknownNameError: There is no such device at all.
        ModelError: It does not have the release, device or dtype.
    """
    if revision not in {"", RELEASE}:
        raise ModelError(
            f"{name}: release {revision!r}, expected {RELEASE!r}, which this earful has"
        )
    require_device_name(device)
    if device not in ("auto", "cpu"):
        raise ModelError(
            f"{name}: device {device!r}, expected 'auto' or 'cpu': it runs on the CPU only"
        )
    require_float32(dtype, name)
    return LogMelEmbedder(name)


class LogMelEmbedder:
    """Embedder of audio as 192-d unit vectors, without any training.

    A vector holds, for each of 64 mel bands from 20 Hz to 22050 Hz, three statistics over
    the whole clip: its mean level, its standard deviation and its mean absolute change from
    one frame (11.6 ms) to the next, each in dB, minus a typical value and in units of a
    typical spread. Loudness matters: a softer copy of a clip has another vector.

    Args:
        name: Its name in the fingerprint.
    """

    def __init__(self, name: str = "logmel") -> None:
        self._fingerprint = Fingerprint(
            name=name,
            revision=RELEASE,
            weights_sha256="",
            dim=3 * N_BANDS,
            sample_rate=SAMPLE_RATE,
            windowing="whole clip; mean, deviation and change of 64 log-mel bands",
        )
        self._front_end = BandLevels(SAMPLE_RATE, FRAME_SAMPLES, HOP_SAMPLES, N_BANDS, _LOWEST_HZ)

    __repr__ = embedder_repr

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides which vector a clip gets."""
        return self._fingerprint

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Embed a batch.

        Args:
            clips: ``n`` clips at 44100 Hz, of any length.

        Returns:
            float32, shape ``(n, 192)``; unit rows.

        Raises:
            ValueError: A clip has another sample rate.
        """
        require_sample_rate(clips, SAMPLE_RATE)
        vectors = np.empty((len(clips), 3 * N_BANDS), np.float32)
        for row, clip in enumerate(clips):
            statistics = describe_bands(self.levels_db(clip.samples))
            vectors[row] = statistics / np.linalg.norm(statistics)
        return vectors

    def levels_db(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute the level of each band in each frame.

        Args:
            samples: shape ``(n_samples,)``, at 44100 Hz.

        Returns:
            float64, shape ``(1 + n_samples // 512, 64)``: the mean power of the band's bins,
            in dB of a full-scale sine's in its own bin; silence is -130.
        """
        return self._front_end.levels_db(samples)


def describe_bands(levels_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Summarise bands over time, shape ``(n_frames, n_bands)`` to ``(3 * n_bands,)``.

    >>> describe_bands(np.array([[-75.0], [-55.0]]))  # mean -65, deviation 10, change 20
    array([ 0.5,  0. , 12. ])
    """
    if len(levels_db) > 1:
        change = np.abs(np.diff(levels_db, axis=0)).mean(axis=0)
    else:
        change = np.zeros(levels_db.shape[1])
    statistics = (levels_db.mean(axis=0), levels_db.std(axis=0), change)
    typical = (_LEVEL, _DEVIATION, _CHANGE)
    return np.concatenate(
        [
            (value - center) / spread
            for value, (center, spread) in zip(statistics, typical, strict=True)
        ]
    )
