"""Corpus surveys: rows, files, labels and seconds, counted without embedding anything.

``earful index build --dry-run`` shows one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earful.errors import AudioError, MissingExtraError
from earful.index.corpus.corpus import Corpus, Rejection
from earful.model.audio import AudioInfo, AudioLimits, probe_isolated

_TOLERANCE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Contents of a corpus, as its tables and audio headers declare them.

    Attributes:
        n: Rows, the rejected ones included.
        n_files: Distinct audio files.
        total_s: Length of all usable segments, in seconds; several rows of one segment, such as
            its captions, count once.
        shortest_s: The shortest usable segment, in seconds; 0 when there is none.
        longest_s: The longest usable segment, in seconds; 0 when there is none.
        labels: Label to number of rows, most frequent first, ties by name.
        splits: Split to number of rows, by name; rows without one under ``""``.
        rejected: Rows that a build would reject by their header or their segment. Damage
            further inside a file is only found when it is decoded.
    """

    n: int
    n_files: int
    total_s: float
    shortest_s: float
    longest_s: float
    labels: Mapping[str, int]
    splits: Mapping[str, int]
    rejected: tuple[Rejection, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            "n": self.n,
            "n_files": self.n_files,
            "total_s": round(self.total_s, 3),
            "shortest_s": round(self.shortest_s, 3),
            "longest_s": round(self.longest_s, 3),
            "labels": dict(self.labels),
            "splits": dict(self.splits),
            "rejected": [rejection.to_dict() for rejection in self.rejected],
        }


def survey_corpus(
    corpus: Corpus,
    *,
    limits: AudioLimits = AudioLimits(),
    progress: Callable[[int], None] | None = None,
) -> Survey:
    """Read a whole corpus and the header of every audio file in it.

    Args:
        corpus: The corpus to count.
        limits: Limits of the audio that a build would accept.
        progress: Called with the number of rows done.

    Raises:
        CorpusError: A table or a row of it is broken.
    """
    headers: dict[Path, AudioInfo | str] = {}
    labels: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    rejected: list[Rejection] = []
    lengths: dict[tuple[Path, float, float | None], float] = {}
    n = 0
    for row in corpus:
        n += 1
        exemplar = row.exemplar
        labels.update(exemplar.labels)
        splits[exemplar.split] += 1
        path = corpus.path(exemplar)
        if path not in headers:
            headers[path] = _read_header(path, limits)
        length = _segment_length(headers[path], exemplar.start_s, exemplar.end_s, limits)
        if isinstance(length, str):
            rejected.append(Rejection(audio=str(exemplar.audio), where=row.where, error=length))
        else:
            lengths[path, exemplar.start_s, exemplar.end_s] = length
        if progress is not None:
            progress(n)
    return Survey(
        n=n,
        n_files=len(headers),
        total_s=sum(lengths.values()),
        shortest_s=min(lengths.values(), default=0.0),
        longest_s=max(lengths.values(), default=0.0),
        labels=dict(sorted(labels.items(), key=lambda item: (-item[1], item[0]))),
        splits=dict(sorted(splits.items())),
        rejected=tuple(rejected),
    )


def _read_header(path: Path, limits: AudioLimits) -> AudioInfo | str:
    try:
        return probe_isolated(path, limits=limits)
    except (AudioError, MissingExtraError) as error:
        return str(error)


def _segment_length(
    header: AudioInfo | str, start_s: float, end_s: float | None, limits: AudioLimits
) -> float | str:
    """Return the length of a segment in seconds, or why it cannot be used."""
    if isinstance(header, str):
        return header
    if start_s >= header.duration_s:
        return f"start_s={start_s:g} is not before the end, {header.duration_s:.3f} s"
    if end_s is not None and end_s > header.duration_s + _TOLERANCE_S:
        return f"end_s={end_s:g} lies after the end, {header.duration_s:.3f} s"
    length = min(end_s or header.duration_s, header.duration_s) - start_s
    if length > limits.max_duration_s:
        return f"is {length:.1f} s long; expected at most {limits.max_duration_s:g} s"
    return length
