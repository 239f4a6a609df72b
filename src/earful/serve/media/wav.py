"""WAV: a clip as browsers play it, at its own speed or slower."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from earful.model.audio import Clip, resample
from earful.serve.media.faults import MediaRangeError

SLOWEST: Final = 16.0
"""Most times that a stretch is played slower or faster."""

# What browsers play: Web Audio asks for 8 to 96 kHz, and all known ones take 3 kHz.
_LEAST_HZ: Final = 3_000
_MOST_HZ: Final = 96_000
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


def check_slow(slow: float) -> float:
    """Return how many times slower a stretch is played.

    Raises:
        MediaRangeError: It is not between 1/16 and 16.
    """
    if not 1 / SLOWEST <= slow <= SLOWEST:
        raise MediaRangeError(f"slow={slow:g}: expected 1/16 to 16", "slow")
    return slow


def encode_wav(clip: Clip, slow: float = 1.0) -> bytes:
    """Return a clip as a WAV of 16 bits.

    Slower is a lower rate in the header, as on a tape: ten times slower, 40 kHz are heard as
    4 kHz. Only a rate that browsers do not play leads to other samples.

    Args:
        clip: At the recording's own rate.
        slow: How many times slower it is played, 1/16 to 16.

    Raises:
        MediaRangeError: ``slow`` is outside its range.
        AudioError: It cannot be resampled.
    """
    rate = max(round(clip.sample_rate / check_slow(slow)), 1)
    played = Clip(
        samples=clip.samples, sample_rate=rate, source=clip.source, content_sha256="unused"
    )
    played = resample(played, min(max(rate, _LEAST_HZ), _MOST_HZ))
    # As they were in a file of 16 bits: libsndfile reads by 1 / 32768.
    whole = np.rint(played.samples * np.float32(32768)).clip(-32768, 32767).astype("<i2")
    n_bytes, rate = whole.nbytes, played.sample_rate
    header = _HEADER.pack(
        *(b"RIFF", 36 + n_bytes, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16),
        *(b"data", n_bytes),
    )
    return header + bytes(whole.data)
