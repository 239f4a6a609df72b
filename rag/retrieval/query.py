"""Queries: recordings that are asked about, and the options of asking."""

from __future__ import annotations

import inspect
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.index import Index
from earful.index.storage import numbers_of
from earful.model import ClipRef, Embedder, FileAhead, ShotMode, embed_and_score
from earful.model.audio import (
    AudioFault,
    Clip,
    hearing_faults,
    load_isolated,
    resample,
)
from earful.object_stores import location_at, shown_path, stored_path
from earful.rag.retrieval.candidates import Exclusions
from earful.rag.task import Answerer
from earful.system import n_processors
from earful.values import short_repr

Samples = NDArray[np.generic]
Audio = str | os.PathLike[str] | Clip | bytes | BinaryIO | Samples | tuple[Samples, int]
"""A recording as a program gives it: see ``to_recording``."""
Readable = str | os.PathLike[str] | Clip | bytes
"""A recording as it is read: a file, a clip, or the bytes of a file."""

Method = TypeVar("Method", bound=Callable[..., Any])

READ_AT_ONCE = 16
_MOST_DECODERS = 8
_AS_LONG = 4.0  # times the exemplars' usual length


class AskOptions(TypedDict, total=False):
    """Options of every question to a ``FewShot``, as keyword arguments.

    Attributes:
        shots: How many exemplars; ``None``, the default, for the task's number, and 0 for
            none, which takes a language model.
        strategy: How they are chosen, a key of ``STRATEGIES``; ``None``, the default, for the
            task's way.
        shot_mode: How a language model is shown the exemplars. ``"interleaved"``: it hears each.
            ``"montage"``: it hears all in one recording with the query. ``"text"``: it reads
            their answers and similarities only. ``None``, the default: as suits it best.
        arm: What answers where answers are labels. ``"vote"``: the neighbour vote.
            ``"model"``: the language model's own scores. ``"zero-shot"``: the same without
            shots. ``"blend"``: model and vote, by a weight that is fitted by asking about
            exemplars; see ``rag/blend.py``. ``None``, the default: as the task says, except
            that a language model which was chosen by name takes part in any case.
        free_text: For ``ask``, ``caption`` and ``chat``: whether the language model writes in any
            case. ``False``, the default: a yes/no question is answered by scores, and a model that
            writes no captions answers from exemplars or declines.
        always_answer: Whether to give the best label without a doubt, however unlike everything
            a recording is; false by default. A task's ``abstain_below`` still counts.
        seed: For every random choice; 0 by default.
        group: The recording's group; exemplars of it are never shown.
        start_s: Where the segment begins in a file, in seconds.
        end_s: Where it ends (exclusive), in seconds; ``None``, the default, for the end of
            the file.
        sample_rate: Rate of samples that are given as an array alone, in Hz.
    """

    shots: int | None
    strategy: str | None
    shot_mode: ShotMode | None
    arm: Answerer | None
    free_text: bool
    always_answer: bool
    seed: int
    group: str
    start_s: float
    end_s: float | None
    sample_rate: float | None


_DEFAULTS = AskOptions(
    shots=None,
    strategy=None,
    shot_mode=None,
    arm=None,
    free_text=False,
    always_answer=False,
    seed=0,
    group="",
    start_s=0.0,
    end_s=None,
    sample_rate=None,
)


def spells_options(method: Method) -> Method:
    """Give a method's ``**ask`` the signature that it stands for, as ``help`` and Jupyter show it.

    Type checkers read ``Unpack[AskOptions]`` by themselves.
    """
    written = inspect.signature(method)
    named = [x for x in written.parameters.values() if x.kind is not x.VAR_KEYWORD]
    named += [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=AskOptions.__annotations__[name].__forward_arg__,
        )
        for name, default in _DEFAULTS.items()
        if name not in written.parameters
    ]
    method.__signature__ = written.replace(parameters=named)  # type: ignore[attr-defined]
    return method


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query:
    """A recording that something is asked about, decoded and embedded.

    Attributes:
        name: The recording, as it was given.
        vector: float32, shape ``(dim,)``, unit norm; ``None`` without an embedder.
        reference: Where its audio is.
        exclusions: What it must not meet among its shots.
        id: Name among other queries, such as an item's of an evaluation; empty for none.
        class_scores: float32, shape ``(n_classes,)``: logits; ``None`` without an embedder that
            scores classes.
        faults: What keeps an encoder from hearing it; see ``check_hearing``.
        duration_s: Its length, in seconds; 0 where it is not known.
    """

    name: str
    vector: NDArray[np.float32] | None
    reference: ClipRef
    exclusions: Exclusions
    id: str = ""
    class_scores: NDArray[np.float32] | None = None
    faults: tuple[AudioFault, ...] = ()
    duration_s: float = 0.0

    __repr__ = short_repr

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes about the recording for the reader."""
        return tuple(fault.text for fault in self.faults)

    @property
    def unusable(self) -> str:
        """Why nothing is left of it that could be heard; ``""`` for a usable one."""
        return next((fault.text for fault in self.faults if fault.unusable), "")


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

    def share(self, n: int) -> Stopwatch:
        """Return one of ``n`` equal shares of the time so far."""
        part = Stopwatch()
        part.spent_s = {name: spent_s / n for name, spent_s in self.spent_s.items()}
        return part


def read_queries(
    recordings: Sequence[Readable | Query],
    *,
    embedder: Embedder | None,
    sample_rate: int,
    start_s: float = 0.0,
    end_s: float | None = None,
    group: str = "",
    watch: Stopwatch,
) -> list[Query | AudioError]:
    """Decode recordings side by side, and embed them together.

    Args:
        recordings: Files, their bytes, clips, or queries that were read before.
        embedder: Embeds them; ``None`` to leave the vectors out.
        sample_rate: Rate at which they are decoded without an embedder, in Hz.
        start_s: Where the segment begins in each file, in seconds.
        end_s: Where it ends (exclusive), in seconds; ``None`` for the end of the file.
        group: The recordings' group.
        watch: Takes ``decode_s`` and ``embed_s``.

    Returns:
        A query for each recording, or why it cannot be read.

    Raises:
        ValueError: A segment is asked for of a ``Clip``.
    """
    rate = embedder.fingerprint.sample_rate if embedder else sample_rate
    places = [n for n, audio in enumerate(recordings) if not isinstance(audio, Query)]
    with watch.stage("decode_s"):
        fresh = [audio for audio in recordings if not isinstance(audio, Query)]
        opened = dict(zip(places, map(_open_bytes, fresh), strict=True))
        clips = dict(
            zip(places, _read_clips([*opened.values()], rate, start_s, end_s), strict=True)
        )
    vectors: dict[int, NDArray[np.float32]] = {}
    scores: dict[int, NDArray[np.float32]] = {}
    if embedder:
        with watch.stage("embed_s"):
            whole = {n: clip for n, clip in clips.items() if isinstance(clip, Clip)}
            if whole:
                rows, logits = embed_and_score(embedder, list(whole.values()))
                vectors = dict(zip(whole, rows, strict=True))
                scores = {} if logits is None else dict(zip(whole, logits, strict=True))
    found: list[Query | AudioError] = []
    for n, audio in enumerate(recordings):
        if isinstance(audio, Query):
            found.append(audio)
        elif isinstance(clip := clips[n], AudioError):
            found.append(clip)
        elif not isinstance(source := opened[n], AudioError):
            query = _query(source, clip, vectors.get(n), start_s, end_s, group)
            faults = hearing_faults(clip, embedder)
            found.append(replace(query, class_scores=scores.get(n), faults=faults))
    return found


def read_in_batches(
    recordings: Sequence[Readable | Query],
    embedder: Embedder | None,
    *,
    sample_rate: int = 0,
    ask: AskOptions | None = None,
) -> Iterator[Query | AudioError]:
    """Decode and embed any number of recordings, some at a time; see ``read_queries``.

    Args:
        recordings: As for ``read_queries``.
        embedder: Likewise.
        sample_rate: Likewise.
        ask: Gives segment and group.
    """
    ask = ask or {}
    for start in range(0, len(recordings), READ_AT_ONCE):
        yield from read_queries(
            recordings[start : start + READ_AT_ONCE],
            embedder=embedder,
            sample_rate=sample_rate,
            start_s=ask.get("start_s", 0.0),
            end_s=ask.get("end_s"),
            group=ask.get("group", ""),
            watch=Stopwatch(),
        )


def read_query(
    audio: Readable | Query, embedder: Embedder | None, *, ask: AskOptions | None = None
) -> Query:
    """Read one recording; see ``read_in_batches``.

    Raises:
        AudioError: It cannot be read.
    """
    (query,) = read_in_batches([audio], embedder, ask=ask)
    if isinstance(query, AudioError):
        raise query
    return query


def among_long_ones(query: Query | AudioError, index: Index | None) -> Query | AudioError:
    """Accept a long recording where those of the index are as long.

    Means of minutes are like other means of minutes, and like nothing shorter.
    """
    if not isinstance(query, Query) or index is None:
        return query
    if not any(fault.kind == "long" and fault.unusable for fault in query.faults):
        return query
    lengths_s = numbers_of(index.read_table(["duration_s"]).column("duration_s"))
    if index.not_labels:
        # A row that only says what is not there answers nothing.
        rows = index.vectors()
        answers = [not exemplar.is_negative for exemplar in rows.exemplars]
        lengths_s = np.array(rows.durations, dtype=np.float64)[answers]
    if not len(lengths_s) or query.duration_s > _AS_LONG * np.median(lengths_s):
        return query
    faults = [
        replace(fault, unusable=False) if fault.kind == "long" else fault for fault in query.faults
    ]
    return replace(query, faults=tuple(faults))


def read_clip(audio: Readable, sample_rate: int, start_s: float, end_s: float | None) -> Clip:
    """Return a recording at a rate; see ``read_queries``."""
    if isinstance(audio, bytes):
        audio = decode_bytes(audio)
    if isinstance(audio, FileAhead):
        return audio.load(sample_rate=sample_rate, start_s=start_s, end_s=end_s)
    if not isinstance(audio, Clip):
        return load_isolated(audio, sample_rate=sample_rate, start_s=start_s, end_s=end_s)
    if start_s or end_s is not None:
        raise ValueError("start_s and end_s are for files; a Clip is asked about as a whole")
    return resample(audio, sample_rate)


def decode_bytes(data: bytes) -> Clip:
    """Decode the bytes of an audio file at its own rate, where files are decoded.

    Raises:
        AudioError: They are no audio that can be read.
    """
    with tempfile.NamedTemporaryFile(prefix="earful-") as file:
        file.write(data)
        file.flush()
        try:
            return replace(load_isolated(file.name), source="")
        except AudioError as error:
            text = str(error).replace(file.name, f"{len(data):,} bytes of audio")
            raise AudioError(text) from None


def _open_bytes(audio: Readable) -> str | os.PathLike[str] | Clip | AudioError:
    if not isinstance(audio, bytes):
        return audio
    try:
        return decode_bytes(audio)
    except AudioError as error:
        return error


def _read_clips(
    recordings: Sequence[Readable | AudioError], rate: int, start_s: float, end_s: float | None
) -> list[Clip | AudioError]:
    def read(audio: Readable | AudioError) -> Clip | AudioError:
        if isinstance(audio, AudioError):
            return audio
        try:
            return read_clip(audio, rate, start_s, end_s)
        except AudioError as error:
            return error

    if len(recordings) < 2:
        return [read(audio) for audio in recordings]
    # Each file is decoded by a process of its own; these threads only wait for it.
    n_threads = min(_MOST_DECODERS, n_processors(), len(recordings))
    with ThreadPoolExecutor(n_threads) as threads:
        return list(threads.map(read, recordings))


def _query(
    audio: str | os.PathLike[str] | Clip,
    clip: Clip,
    vector: NDArray[np.float32] | None,
    start_s: float,
    end_s: float | None,
    group: str,
) -> Query:
    is_clip = isinstance(audio, Clip)
    source = audio.source if isinstance(audio, Clip) else os.fspath(audio)
    return Query(
        name=shown_path(source) if source else "clip",
        vector=vector,
        reference=ClipRef(
            audio=audio if isinstance(audio, Clip) else Path(audio),
            start_s=0.0 if is_clip else start_s,
            end_s=end_s,
            content_sha256=clip.content_sha256,
            duration_s=clip.duration_s,
        ),
        exclusions=Exclusions(paths=_paths(source), content=clip.content_sha256, group=group),
        duration_s=clip.duration_s,
    )


def _paths(source: str) -> frozenset[str]:
    if (stored := location_at(source)) is not None:
        return frozenset({str(stored_path(stored))})
    return frozenset({os.path.abspath(source), os.path.realpath(source)} if source else ())
