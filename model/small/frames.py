"""Windows of ``earful-small``: side by side, where those of ``earful-tiny`` overlap by half."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from earful.model.small.network import WINDOWS_AT_ONCE
from earful.model.tiny import WINDOW_FRAMES, FrontEnd, fill_window


def window_groups(
    front_end: FrontEnd, samples: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    """Yield a recording's windows in order, so many at a time as are encoded together.

    Args:
        front_end: That of ``earful-tiny``.
        samples: Shape ``(n_samples,)``, at 44100 Hz; a recording shorter than a window is
            repeated until it fills one.

    Yields:
        Frames, shape ``(1 or 2, 100, 96)``.
    """
    frames = front_end.frames(fill_window(samples))
    starts = window_starts(len(frames))
    for first in range(0, len(starts), WINDOWS_AT_ONCE):
        own = starts[first : first + WINDOWS_AT_ONCE]
        yield np.stack([frames[start : start + WINDOW_FRAMES] for start in own])


def window_starts(n_frames: int) -> list[int]:
    """Return the first frames of windows every 100 frames, the last window at the end.

    Args:
        n_frames: At least 100.

    >>> window_starts(100), window_starts(210)
    ([0], [0, 100, 110])
    """
    return [*range(0, n_frames - WINDOW_FRAMES, WINDOW_FRAMES), n_frames - WINDOW_FRAMES]
