"""The recording that is asked about, and what may be chosen about the asking."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from earful.model import ClipRef, Embedder
from earful.model.audio import Clip, load_isolated, resample
from earful.model.flamingo import SAMPLE_RATE
from earful.rag.retrieval.candidates import Guard
from earful.rag.task import ShotMode

Audio = str | os.PathLike[str] | Clip


class Choices(TypedDict, total=False):
    """What every question to a ``FewShot`` may choose, as keyword arguments.

    Attributes:
        shots: How many exemplars; ``None``, the default, for the task's number, and 0 for
            none, which takes a language model.
        strategy: How they are chosen; ``None``, the default, for the task's way.
        shot_mode: ``"interleaved"``, the default: a language model hears the exemplars.
            ``"text"``: it reads their answers only.
        blend: Whether labels that a language model scored are blended with the neighbour
            vote, by a weight that is fitted by asking about exemplars. ``False``: the
            model's scores stand alone. ``None``, the default: as the task says, which may
            also leave the answer to the vote. See ``rag/blend.py``.
        seed: For every random choice; 0 by default.
        group: The recording's group; exemplars of it are never shown.
        start_s: Where the stretch begins in a file, in seconds.
        end_s: Where it ends (exclusive), in seconds; ``None``, the default, for the end of
            the file.
    """

    shots: int | None
    strategy: str | None
    shot_mode: ShotMode
    blend: bool | None
    seed: int
    group: str
    start_s: float
    end_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A recording that something is asked about.

    Attributes:
        name: The recording, as it was given.
        vector: float32, shape ``(dim,)``, unit norm; ``None`` without an embedder.
        reference: Where its audio is.
        guard: What it must not meet among its shots.
    """

    name: str
    vector: NDArray[np.float32] | None
    reference: ClipRef
    guard: Guard


class Stopwatch:
    """Seconds spent in each stage."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        start = time.perf_counter()
        yield
        self.spent_s[name] = self.spent_s.get(name, 0.0) + time.perf_counter() - start


def read_query(
    audio: Audio,
    *,
    embedder: Embedder | None,
    start_s: float,
    end_s: float | None,
    group: str,
    watch: Stopwatch,
) -> Query:
    """Decode and embed a recording.

    Args:
        audio: A file or a clip.
        embedder: What embeds it; ``None`` to leave the vector out.
        start_s: Where the stretch begins in a file, in seconds.
        end_s: Where it ends (exclusive), in seconds; ``None`` for the end of the file.
        group: The recording's group.
        watch: Takes ``decode_s`` and ``embed_s``.

    Raises:
        AudioError: The recording cannot be read.
        ValueError: A stretch is asked for of a ``Clip``.
    """
    rate = embedder.fingerprint.sample_rate if embedder else SAMPLE_RATE
    with watch.stage("decode_s"):
        clip = read_clip(audio, rate, start_s, end_s)
    vector = None
    if embedder:
        with watch.stage("embed_s"):
            vector = embedder.embed([clip])[0]
    is_clip = isinstance(audio, Clip)
    source = audio.source if isinstance(audio, Clip) else os.fspath(audio)
    return Query(
        name=source or "clip",
        vector=vector,
        reference=ClipRef(
            audio=audio if isinstance(audio, Clip) else Path(audio),
            start_s=0.0 if is_clip else start_s,
            end_s=end_s,
            content_sha256=clip.content_sha256,
        ),
        guard=Guard(paths=_paths(source), content=clip.content_sha256, group=group),
    )


def read_clip(audio: Audio, sample_rate: int, start_s: float, end_s: float | None) -> Clip:
    """Return a recording at a rate; see ``read_query``."""
    if not isinstance(audio, Clip):
        return load_isolated(audio, sample_rate=sample_rate, start_s=start_s, end_s=end_s)
    if start_s or end_s is not None:
        raise ValueError("start_s and end_s are for files; a Clip is asked about as a whole")
    return resample(audio, sample_rate)


def _paths(source: str) -> frozenset[str]:
    return frozenset({os.path.abspath(source), os.path.realpath(source)} if source else ())
