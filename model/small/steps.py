"""Steps of ``earful-small``: the narrowed network over a whole recording, in pieces.

The network takes the maximum over time last. Before it there are 512 numbers for every eight
frames (0.186 s): a step. A window's vector is the maximum over its steps and then the linear head.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model.protocols import Fingerprint
from earful.model.runtime import OnnxNetwork, in_threads, require_directions
from earful.model.small.heads import Heads, unit
from earful.model.small.network import NarrowNetwork
from earful.model.steps import require_steps, sliding_maxima
from earful.model.tiny import HOP_SAMPLES, N_MELS, OUTPUT_DIM, FrontEnd, band_centres

STEP_FRAMES: Final = 8
STEP_SAMPLES: Final = STEP_FRAMES * HOP_SAMPLES
MARGIN_STEPS: Final = 4
"""The network looks 30 frames in either direction, and a frame half of one."""
_PIECE_STEPS: Final = 192
"""Most steps of a piece: a minute is two of them, one for either of two cores."""
_POOLED_AT_ONCE: Final = 4096


class SmallSteps:
    """Steps and windows of ``earful-small``; see ``StepEmbedder``.

    Args:
        make_network: Makes the narrowed one; called when a recording is embedded first, as what
            is kept of recordings needs the head only.
        heads: Of the embedder.
        fingerprint: Of the embedder, whose vectors are others.

    Attributes:
        dim: Numbers of a step.
        fingerprint: Of the windows' vectors.
    """

    def __init__(
        self, make_network: Callable[[], NarrowNetwork], heads: Heads, fingerprint: Fingerprint
    ) -> None:
        self._make_network = make_network
        self._heads = heads
        self._lock = threading.Lock()
        self._loaded: tuple[FrontEnd, OnnxNetwork] | None = None
        self.dim = OUTPUT_DIM
        self.fingerprint = replace(
            fingerprint,
            dim=len(heads.narrow.project),
            windowing=(
                f"shared steps of {STEP_FRAMES} frames over the whole recording, silence around "
                "it, maximum"
            ),
        )

    def embed(
        self, samples: NDArray[np.float32], band_hz: tuple[float, float] | None
    ) -> NDArray[np.float32]:
        """Embed a recording; see ``StepEmbedder.embed_steps``."""
        silent = _silent_bands(band_hz)
        n_steps = -(-samples.size // STEP_SAMPLES)
        n_pieces = -(-n_steps // _PIECE_STEPS)
        front_end, network = self._load()

        def encode(number: int) -> NDArray[np.float32]:
            first, stop = (n_steps * place // n_pieces for place in (number, number + 1))
            frames = _frames(front_end, samples, first - MARGIN_STEPS, stop + MARGIN_STEPS)
            frames[:, silent] = 0.0
            return network(frames[None])[0, MARGIN_STEPS:-MARGIN_STEPS]

        found = np.concatenate(
            [np.zeros((0, OUTPUT_DIM), dtype=np.float32), *in_threads(encode, n_pieces)]
        )
        require_directions(1.0 + np.abs(found).max(axis=1, initial=0.0), self.fingerprint.name)
        return found

    def pool(self, steps: NDArray[np.floating], length: int) -> NDArray[np.float32]:
        """Pool windows; see ``StepEmbedder.pool_steps``."""
        steps, length = require_steps(steps, length, OUTPUT_DIM)
        n_windows = max(0, len(steps) - length + 1)
        found = np.empty((n_windows, self.fingerprint.dim), dtype=np.float32)
        for first in range(0, n_windows, _POOLED_AT_ONCE):
            stop = min(n_windows, first + _POOLED_AT_ONCE)
            outputs = sliding_maxima(steps[first : stop + length - 1], length)
            rows = self._heads.narrow.rows(outputs)
            found[first:stop] = unit(rows - self._heads.narrow_mean)
        return found

    def _load(self) -> tuple[FrontEnd, OnnxNetwork]:
        """Return what embeds recordings, loaded once, whichever thread asks first."""
        with self._lock:
            if self._loaded is None:
                self._loaded = FrontEnd(), self._make_network().over_time()
            return self._loaded


def _frames(
    front_end: FrontEnd, samples: NDArray[np.float32], first: int, stop: int
) -> NDArray[np.float32]:
    """Compute the frames of some steps, with silence where there are no samples."""
    # One frame more on either side, because the outermost lack half of their samples.
    start, end = first * STEP_SAMPLES - HOP_SAMPLES, stop * STEP_SAMPLES
    wave = np.zeros(end - start, dtype=np.float32)
    own = samples[max(0, start) : end]
    wave[max(0, -start) : max(0, -start) + own.size] = own
    return front_end.frames(wave)[1:-1]


def _silent_bands(band_hz: tuple[float, float] | None) -> NDArray[np.bool_]:
    """Return which mel bands are not to be heard, bool, shape ``(96,)``."""
    if band_hz is None:
        return np.zeros(N_MELS, dtype=np.bool_)
    low, high = band_hz
    if not 0 <= low < high:
        raise ValueError(f"band_hz=({low:g}, {high:g}): expected 0 <= lowest < highest, in Hz")
    centres = band_centres()
    silent = np.asarray((centres < low) | (centres > high))
    if silent.all():
        raise ValueError(
            f"band_hz=({low:g}, {high:g}): holds none of the {N_MELS} bands of earful-small, "
            f"whose centres lie from {centres[0]:.0f} to {centres[-1]:.0f} Hz; widen it"
        )
    return silent
