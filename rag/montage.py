"""Montages: exemplars and query in one recording, for models that hear one recording only.

The order of choice is ``choose_shot_mode``: exemplars as recordings of their own, all in one
recording with a table of times in words, or what they are and how similar, in words alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import PromptError
from earful.model import Capabilities, ClipRef, ShotMode
from earful.model.audio import Clip, load_isolated, resample
from earful.values import short_repr

GAP_S: Final = 0.5
"""Digital silence between two recordings of a montage, in seconds."""

_LEAST_S = 1.0
_LEVEL = 0.05
_PEAK = 0.99
_LAYOUT = 1
_KEPT = 16
# Of a montage that is long enough the query may take this share.
_MOST_OF_QUERY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Montage:
    """Recordings one after the other in one, equally loud, with silence between.

    Attributes:
        clip: All of them; the last is the query, and its end is the end. Its notes name each
            recording of which only the beginning is in it.
        spans: Where each begins and ends, in seconds.
    """

    clip: Clip
    spans: tuple[tuple[float, float], ...]

    __repr__ = short_repr


def choose_shot_mode(wanted: ShotMode | None, limits: Capabilities) -> ShotMode:
    """Return how a model is shown exemplars.

    Args:
        wanted: What is insisted on; ``None`` for the best that the model takes.
        limits: What it takes.

    Raises:
        PromptError: It does not take what is wanted.
    """
    takes = limits.usable_shot_modes
    if wanted is None:
        return takes[0] if takes else "text"
    if wanted not in takes:
        raise PromptError(
            f"{limits.name} cannot be shown exemplars as {wanted!r}: expected "
            f"{' or '.join(map(repr, takes)) or 'none at all'}; leave --shot-mode out"
        )
    return wanted


def most_shots(query: ClipRef, limits: Capabilities) -> int:
    """Return how many exemplars a montage with a query has room for, a second of each at least.

    Raises:
        AudioError: The query cannot be read.
    """
    limit_s = _limit_s(limits)
    if math.isinf(limit_s):
        return limits.max_text_tokens
    return max(0, int((limit_s - _query_s(query, limit_s)) / (_LEAST_S + GAP_S)))


def make_montage(shots: Sequence[ClipRef], query: ClipRef, limits: Capabilities) -> Montage:
    """Make a montage; every recording is cut to its share where together they are too long.

    Args:
        shots: Exemplars in the order to show them, at most ``most_shots``.
        query: The recording asked about; it may take half of the whole.
        limits: Of the model that is to hear it.

    Raises:
        AudioError: A recording cannot be read.
    """
    rate, limit_s = limits.sample_rate, _limit_s(limits)
    query_s = _query_s(query, limit_s)
    share_s = math.inf
    if shots:
        share_s = (limit_s - query_s) / len(shots) - GAP_S
    parts: list[NDArray[np.float32]] = []
    spans: list[tuple[float, float]] = []
    cut: list[str] = []
    digests: list[str] = []
    n = 0
    gap = np.zeros(round(GAP_S * rate), np.float32)
    for number, place in enumerate((*shots, query)):
        clip = _read(place, rate)
        most_s = share_s if number < len(shots) else query_s
        samples = clip.samples
        if not math.isinf(most_s) and samples.size > round(most_s * rate):
            cut.append(
                f"{place}: the first {most_s:.1f} of {clip.duration_s:.1f} s are in the montage"
            )
            samples = samples[: round(most_s * rate)]
        if number:
            parts.append(gap)
            n += gap.size
        parts.append(_levelled(samples))
        spans.append((n / rate, (n + samples.size) / rate))
        n += samples.size
        digests.append(clip.content_sha256)
    layout = {"layout": _LAYOUT, "parts": digests, "spans": spans, "rate": rate}
    digest = hashlib.sha256(json.dumps(layout).encode("ascii")).hexdigest()
    whole = Clip(
        samples=np.concatenate(parts),
        sample_rate=rate,
        source="montage",
        content_sha256=digest,
        notes=tuple(cut),
    )
    return Montage(clip=whole, spans=tuple(spans))


def span_text(span: tuple[float, float]) -> str:
    """Return a span as a prompt says it.

    >>> span_text((0.0, 5.25))
    '0.0-5.2 s'
    """
    return f"{span[0]:.1f}-{span[1]:.1f} s"


def without_query(place: ClipRef) -> ClipRef:
    """Replace the query of a montage by silence of its length; the exemplars stay."""
    assert isinstance(place.audio, Clip)
    samples = place.audio.samples.copy()
    samples[round(place.query_from_s * place.audio.sample_rate) :] = 0
    return replace(
        place, audio=Clip(samples=samples, sample_rate=place.audio.sample_rate, source="silence")
    )


def _limit_s(limits: Capabilities) -> float:
    return min(limits.max_seconds_per_audio, limits.max_total_seconds)


def _query_s(query: ClipRef, limit_s: float) -> float:
    """Return how many seconds of a query are heard."""
    return min(query.length_s(), limit_s * _MOST_OF_QUERY)


def _read(place: ClipRef, rate: int) -> Clip:
    if isinstance(place.audio, Clip):
        return resample(place.audio, rate)
    return _read_file(place.audio, place.start_s, place.end_s, rate)


# A task with many labels asks about the same exemplars again and again.
@lru_cache(maxsize=_KEPT)
def _read_file(path: Path, start_s: float, end_s: float | None, rate: int) -> Clip:
    return load_isolated(path, sample_rate=rate, start_s=start_s, end_s=end_s)


def _levelled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make a recording as loud as the others, or a model would hear loudness instead of kind."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    peak = float(np.abs(samples).max(initial=0.0))
    if not level:
        return samples
    return samples * np.float32(min(_LEVEL / level, _PEAK / peak))
