"""Audio Flamingo's audio input: recordings cut into windows, as in the released code.

A recording becomes up to sixteen windows of 7 s that begin 1.75 s apart, at 44.1 kHz,
scaled to full peak and rounded to 16 bits; 33.25 s in all.

The mode ``compat`` follows the release where it differs from common sense: the first channel
is kept rather than the mean, except in MP3; and a segment that begins at s seconds is scaled
by the peak of the s + 33.25 s that follow. Two things differ from the release in both modes:
resampling is soxr's and not resampy's, and digital silence stays zero where the release
divides by its peak of zero.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earful.model.audio import Clip, load_isolated, resample
from earful.model.prompt import ClipRef

Samples = NDArray[np.float32] | NDArray[np.float64]

SAMPLE_RATE = 44_100
WINDOW_SAMPLES = 7 * SAMPLE_RATE
HOP_SAMPLES = WINDOW_SAMPLES // 4
MAX_WINDOWS = 16
MAX_SAMPLES = WINDOW_SAMPLES + (MAX_WINDOWS - 1) * HOP_SAMPLES
MAX_SECONDS = MAX_SAMPLES / SAMPLE_RATE

_FULL_SCALE = 32767


def window_count(n_samples: int) -> int:
    """Return the number of windows of a recording, 1 to 16.

    >>> [window_count(round(s * SAMPLE_RATE)) for s in (1.3, 7.0, 8.75, 9.0, 40.0)]
    [1, 1, 2, 3, 16]
    """
    beyond = max(n_samples - WINDOW_SAMPLES, 0)
    return min(1 + -(-beyond // HOP_SAMPLES), MAX_WINDOWS)


def scale_to_peak(samples: Samples) -> NDArray[np.float64]:
    """Scale samples so that the largest magnitude is 1; silence stays zero.

    A signal that never goes below zero is also shifted to reach from -1 to 1 at most, as in
    the release.

    Args:
        samples: Shape ``(n,)``.

    Returns:
        float64, shape ``(n,)``.

    >>> scale_to_peak(np.array([0.5, -0.25])), scale_to_peak(np.array([0.25, 0.5]))
    (array([ 1. , -0.5]), array([0., 1.]))
    """
    exact = samples.astype(np.float64)
    peak = np.abs(exact).max(initial=0.0)
    if peak == 0.0:
        return exact
    if peak > 1.0:
        exact /= peak
        peak = np.abs(exact).max()
    scaled: NDArray[np.float64] = 2 * exact / peak - 1 if exact.min() >= 0 else exact / peak
    return scaled


def cut_windows(samples: Samples) -> NDArray[np.float32]:
    """Cut a recording into its windows, padded with zeros at the end.

    Args:
        samples: Shape ``(n,)``, at ``SAMPLE_RATE``; samples beyond ``MAX_SAMPLES`` count
            for the peak, but are in no window.

    Returns:
        float32, shape ``(n_windows, WINDOW_SAMPLES)``, multiples of 1/32767.
    """
    n_windows = window_count(samples.size)
    scaled = scale_to_peak(samples)[:MAX_SAMPLES]
    padded = np.zeros(WINDOW_SAMPLES + (n_windows - 1) * HOP_SAMPLES, dtype=np.float32)
    # The release's int16 round trip truncates toward zero.
    rounded = (scaled.clip(-1.0, 1.0) * _FULL_SCALE).astype(np.int16)
    padded[: rounded.size] = rounded.astype(np.float32) / np.float32(_FULL_SCALE)
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES].copy()


def read_samples(ref: ClipRef, *, mode: Literal["full", "compat"]) -> NDArray[np.float32]:
    """Decode the part of a prompt's segment that the model hears, at ``SAMPLE_RATE``.

    Args:
        ref: A segment of a file, or a decoded clip.
        mode: ``"compat"`` for the release's choice of channel and peak.

    Returns:
        float32, shape ``(n,)``; in ``compat`` possibly longer than ``MAX_SAMPLES``.

    Raises:
        AudioError: The file cannot be read, or an exemplar's segment has changed.
    """
    if isinstance(ref.audio, Clip):
        return resample(ref.audio, SAMPLE_RATE).samples
    longest_s = MAX_SECONDS + (ref.start_s if mode == "compat" else 0.0)
    end_s = ref.end_s
    if ref.length_s() > longest_s:
        end_s = ref.start_s + longest_s
    first = mode == "compat" and Path(ref.audio).suffix.lower() != ".mp3"
    clip = load_isolated(
        ref.audio,
        sample_rate=SAMPLE_RATE,
        start_s=ref.start_s,
        end_s=end_s,
        channels="first" if first else "mean",
    )
    if ref.is_exemplar and ref.content_sha256:
        # The digest is that of the whole segment, its channels averaged.
        ref.require_unchanged(clip if end_s == ref.end_s and not first else None)
    return clip.samples


def sinusoids(n_windows: int, dim: int) -> NDArray[np.float32]:
    """Return the positions that the audio transformer adds to windows.

    One index counts the windows of all slots; the released table ends at 128 windows, ours
    continues by the same rule.

    Returns:
        float32, shape ``(n_windows, dim)``.

    >>> sinusoids(2, 4)[1].round(3).tolist() == np.float32([0.841, 0.54, 0.01, 1.0]).tolist()
    True
    """
    column = np.arange(dim)
    angles = np.arange(n_windows)[:, None] / 10000.0 ** (2 * (column // 2) / dim)
    return np.where(column % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)
