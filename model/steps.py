"""Steps: vectors of a long recording that windows of any length share.

A step stands for a fraction of a second. The vector of a window is pooled from the steps in it, so
that a recording goes through the network once however long the windows are and however much they
overlap. Steps are not the vectors of an index: a window by itself ends in silence, in a recording
it does not. ``steps_fingerprint`` tells the two apart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip
from earful.model.protocols import Embedder, Fingerprint
from earful.values import embedder_repr

WINDOW_S: Final = 1.0
"""Window of an embedder that has no steps of its own, in seconds."""
_AT_ONCE: Final = 16


@runtime_checkable
class StepEmbedder(Protocol):
    """Embedder of recordings of any length as steps, from which windows are pooled."""

    @property
    def steps_fingerprint(self) -> Fingerprint:
        """Everything that decides the vector of a window; never equal to an index's."""
        ...

    @property
    def steps_rate(self) -> int:
        """Sample rate of the samples that it takes, in Hz."""
        ...

    @property
    def step_samples(self) -> int:
        """Samples for which a step stands, and between two steps."""
        ...

    @property
    def margin_steps(self) -> int:
        """Steps of context on either side with which a part has the steps of the whole."""
        ...

    @property
    def step_dim(self) -> int:
        """Numbers of a step."""
        ...

    def embed_steps(
        self, samples: NDArray[np.float32], *, band_hz: tuple[float, float] | None = None
    ) -> NDArray[np.float32]:
        """Embed a recording, or a part of it that begins at a whole step.

        Args:
            samples: float32, shape ``(n,)``, at ``steps_rate``. Silence is heard before and
                after them, so the first and last ``margin_steps`` of a part differ from those
                of the whole.
            band_hz: Lowest and highest frequency to hear, in Hz; ``None`` for all.

        Returns:
            float32, shape ``(n_steps, step_dim)``, one row for every ``step_samples`` begun.

        Raises:
            ValueError: The band is empty, or reaches none that the embedder hears.
            ModelError: The network gave numbers that are not finite, or the embedder cannot
                hear a band by itself.
        """
        ...

    def pool_steps(self, steps: NDArray[np.floating], length: int) -> NDArray[np.float32]:
        """Pool the vectors of all windows of some length, one beginning at each step.

        Args:
            steps: float16 or float32, shape ``(n, step_dim)``.
            length: Steps of a window, 1 or more.

        Returns:
            float32, shape ``(n - length + 1, dim)``; unit rows. Of fewer steps than ``length``
            all make one window.

        Raises:
            ValueError: ``length`` is below 1, or ``steps`` are of another shape.
        """
        ...


def step_embedder(embedder: Embedder, *, window_s: float = WINDOW_S) -> StepEmbedder:
    """Return an embedder's own steps, or windows in their place.

    Args:
        embedder: Any embedder.
        window_s: Window of an embedder that has no steps, in seconds; see ``WindowSteps``.
    """
    if isinstance(embedder, StepEmbedder):
        return embedder
    return WindowSteps(embedder, window_s=window_s)


class WindowSteps:
    """Steps of an embedder that has none: windows of a second, each embedded by itself.

    A step is half a window long, and its vector is that of the window around its middle. A longer
    window is the mean of its steps' vectors, at unit length.

    Args:
        embedder: Any embedder.
        window_s: Length of a window, in seconds.

    Raises:
        ValueError: The window is shorter than 0.02 s.
    """

    margin_steps = 1

    def __init__(self, embedder: Embedder, *, window_s: float = WINDOW_S) -> None:
        if not 0.02 <= window_s <= 60:
            raise ValueError(f"window_s={window_s}: expected 0.02 to 60 seconds")
        own = embedder.fingerprint
        self._embedder = embedder
        # A quarter of a window is a whole number of samples.
        self._half_step = max(1, round(window_s * own.sample_rate / 4))
        self._fingerprint = replace(
            own,
            windowing=(
                f"shared steps of {self.step_samples} samples, each the vector of the "
                f"{2 * self.step_samples} samples around it, mean; by itself: {own.windowing}"
            ),
        )

    __repr__ = embedder_repr

    @property
    def fingerprint(self) -> Fingerprint:
        """Same as ``steps_fingerprint``."""
        return self._fingerprint

    @property
    def steps_fingerprint(self) -> Fingerprint:
        """Everything that decides the vector of a window."""
        return self._fingerprint

    @property
    def steps_rate(self) -> int:
        """Sample rate of the embedder, in Hz."""
        return self._fingerprint.sample_rate

    @property
    def step_samples(self) -> int:
        """Samples of half a window."""
        return 2 * self._half_step

    @property
    def step_dim(self) -> int:
        """Numbers of the embedder's vectors."""
        return self._fingerprint.dim

    def embed_steps(
        self, samples: NDArray[np.float32], *, band_hz: tuple[float, float] | None = None
    ) -> NDArray[np.float32]:
        """Embed a recording window by window; see ``StepEmbedder``.

        Raises:
            ModelError: A band is asked for.
        """
        name = self._fingerprint.name
        if band_hz is not None:
            raise ModelError(
                f"{name}: hears all frequencies at once, expected an embedder with mel bands to "
                "hear only some; leave out --fmin-hz and --fmax-hz, or take earful-small"
            )
        n_steps = -(-samples.size // self.step_samples)
        found = np.empty((n_steps, self.step_dim), dtype=np.float32)
        # Silence on both sides: half a step around, and what the last step lacks.
        wave = np.zeros((n_steps + 1) * self.step_samples, dtype=np.float32)
        wave[self._half_step : self._half_step + samples.size] = samples
        for first in range(0, n_steps, _AT_ONCE):
            clips = [
                Clip(
                    samples=wave[start : start + 2 * self.step_samples],
                    sample_rate=self.steps_rate,
                )
                for start in range(
                    first * self.step_samples,
                    min(n_steps, first + _AT_ONCE) * self.step_samples,
                    self.step_samples,
                )
            ]
            found[first : first + len(clips)] = self._embedder.embed(clips)
        return found

    def pool_steps(self, steps: NDArray[np.floating], length: int) -> NDArray[np.float32]:
        """Return means of rows at unit length; see ``StepEmbedder``."""
        steps, length = require_steps(steps, length, self.step_dim)
        sums = sliding_sums(steps, length)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)


def require_steps(
    steps: NDArray[np.floating], length: int, dim: int
) -> tuple[NDArray[np.floating], int]:
    """Return steps with the length of windows that fit in them.

    Raises:
        ValueError: ``length`` is below 1, or ``steps`` are not rows of ``dim`` numbers.
    """
    if steps.ndim != 2 or steps.shape[1] != dim:
        raise ValueError(f"steps of shape {steps.shape}: expected (n, {dim})")
    if length < 1:
        raise ValueError(f"length={length}: expected 1 step or more")
    return steps, min(length, max(1, len(steps)))


def sliding_sums(rows: NDArray[np.floating], length: int) -> NDArray[np.float64]:
    """Return the sums of every ``length`` rows that follow each other.

    Each is added up by itself, so that it does not depend on where the rows begin.

    >>> sliding_sums(np.array([[1.0], [2.0], [4.0]]), 2).ravel().tolist()
    [3.0, 6.0]
    """
    n = max(0, len(rows) - length + 1)
    sums = np.zeros((n, rows.shape[1]))
    for offset in range(length):
        sums += rows[offset : offset + n]
    return sums


def sliding_maxima(rows: NDArray[np.floating], length: int) -> NDArray[np.float32]:
    """Return the largest numbers of every ``length`` rows that follow each other.

    >>> sliding_maxima(np.array([[1.0], [3.0], [2.0], [0.0]]), 3).ravel().tolist()
    [3.0, 3.0]
    """
    largest = rows.astype(np.float32)
    covered = 1
    while covered < length:
        shift = min(covered, length - covered)
        largest = np.maximum(largest[:-shift], largest[shift:])
        covered += shift
    return largest
