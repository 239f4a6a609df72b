"""Precision check: whether an encoder may multiply in bfloat16, tried on test sounds.

bfloat16 keeps eight bits of a number. That is enough for most encoders and costs nearly
nothing where the hardware has it, but weights do not show whether it is enough for them. So
an encoder encodes a few sounds in both precisions before it is used, and both must agree on
which sounds are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError

_K = 3
MIN_COSINE = 0.99
"""Least cosine between the two vectors of a sound, after the mean of all sounds is removed."""
MAX_SIMILARITY_LOSS = 0.02
"""How much less similar a neighbour found in bfloat16 may be than the true one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Agreement of rough vectors with exact ones.

    Attributes:
        cosine: The least cosine between a sound's two vectors. The mean of all sounds is
            removed first: what they have in common would hide their differences.
        lost: The greatest loss of similarity among a rough vector's top-3 neighbours: the
            exact similarity of the true neighbour at a rank minus that of the one found.
    """

    cosine: float
    lost: float

    @property
    def suffices(self) -> bool:
        """Whether neighbours found with rough vectors are as good as true ones."""
        return self.cosine >= MIN_COSINE and self.lost <= MAX_SIMILARITY_LOSS


def agreement(exact: NDArray[np.floating], rough: NDArray[np.floating]) -> Agreement:
    """Compare the vectors of the same sounds.

    Args:
        exact: Shape ``(n, dim)``, four rows or more, none of them zero.
        rough: The same shape; may hold anything, such as NaN, which then does not suffice.

    >>> sounds = np.random.default_rng(0).normal(size=(8, 16))
    >>> agreement(sounds, 3 * sounds).suffices, agreement(sounds, sounds[::-1]).suffices
    (True, False)
    """
    if not np.isfinite(rough).all() or not rough.any(axis=1).all():
        return Agreement(cosine=-1.0, lost=2.0)
    one, other = _centred(exact.astype(np.float64)), _centred(rough.astype(np.float64))
    truth, found = one @ one.T, other @ other.T
    for similarities in (truth, found):
        np.fill_diagonal(similarities, -np.inf)
    best = -np.sort(-truth, axis=1)[:, :_K]
    chosen = np.argsort(-found, axis=1, kind="stable")[:, :_K]
    reached = -np.sort(-np.take_along_axis(truth, chosen, axis=1), axis=1)
    return Agreement(
        cosine=float((one * other).sum(axis=1).min()), lost=float((best - reached).max())
    )


def _centred(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalise, remove the mean, and normalise again."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    offset = unit - unit.mean(axis=0)
    norms = np.linalg.norm(offset, axis=1, keepdims=True)
    centred: NDArray[np.float64] = offset / np.maximum(norms, np.finfo(np.float64).tiny)
    return centred


def test_sounds(n_samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Synthesise sounds that differ in many ways: tones, sweeps, noises, pulses, trills.

    Args:
        n_samples: Length of each.
        sample_rate: In Hz.

    Returns:
        float32, shape ``(16, n_samples)``, in [-1, 1]; the same on every machine, up to
        the last bits.
    """
    time_s = np.arange(n_samples) / sample_rate
    noise = np.random.default_rng(16).normal(size=(4, n_samples))
    rumble = np.cumsum(noise[1] - noise[1].mean())
    sounds: list[NDArray[np.float64]] = []
    for pitch_hz in (110.0, 440.0, 1760.0):
        tone = np.sin(2 * np.pi * pitch_hz * time_s)
        sounds += [tone, np.sign(tone), tone * np.exp(-3 * (time_s % 1.0))]
    sounds += [np.sin(2 * np.pi * (200 + 300 * time_s) * time_s)]
    sounds += [np.sin(2 * np.pi * 900 * time_s + 40 * np.sin(2 * np.pi * 6 * time_s))]
    sounds += [noise[0], rumble, np.diff(noise[2], append=0.0)]
    sounds += [noise[3] * (time_s % 0.5 < 0.05), noise[0] * np.sin(2 * np.pi * 0.4 * time_s) ** 2]
    peaks = np.array([[0.5 / np.abs(sound).max()] for sound in sounds])
    scaled: NDArray[np.float32] = (np.array(sounds) * peaks).astype(np.float32)
    return scaled


# --- what every embedder refuses ----------------------------------------------------------

_REMEDY = "use undamaged weights"


def unit_rows(
    rows: NDArray[np.floating], name: str, *, remedy: str = _REMEDY
) -> NDArray[np.float32]:
    """Scale rows to unit length.

    Args:
        rows: Shape ``(n, dim)``.
        name: Name of the embedder, for errors.
        remedy: What the user can do about a row without a direction.

    Raises:
        ModelError: A row is zero or not finite.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    require_directions(lengths, name, remedy=remedy)
    return np.asarray(rows / lengths, dtype=np.float32)


def require_directions(lengths: NDArray[np.floating], name: str, *, remedy: str = _REMEDY) -> None:
    """Refuse lengths of vectors that are zero or not finite; see ``unit_rows``.

    Raises:
        ModelError: One is.
    """
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ModelError(f"{name}: a vector is zero or not finite; {remedy}")


def require_float32(dtype: str, name: str) -> None:
    """Refuse any arithmetic but float32; ``"auto"`` means that.

    Raises:
        ModelError: Another is asked for.
    """
    if dtype not in ("float32", "auto"):
        raise ModelError(f"{name}: dtype {dtype!r}, expected 'float32'")
