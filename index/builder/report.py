"""Build progress and the final report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from earful.index.builder.changes import Contested, Replaced
from earful.index.builder.doubtful import DoubtfulAudio
from earful.index.corpus import Rejection
from earful.plain import plain_fields
from earful.values import short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProgress:
    """Progress of a build.

    Attributes:
        done: Rows finished.
        total: Rows in the corpus.
        accepted: Rows with a vector, committed or about to be.
        committed: Rows of those that a kill can no longer lose, the first ones of the corpus.
        skipped: Rows that the index already held, unchanged.
        rejected: Rows that could not be used.
        seconds: Time since the build began.
    """

    done: int
    total: int
    accepted: int
    committed: int
    skipped: int
    rejected: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """Result of a build.

    >>> import earful
    >>> report = earful.build_index("sounds", "sounds.index", embedder="logmel")
    >>> report.accepted, report.skipped, report.n, report.rejected
    (0, 15, 15, ())

    Attributes:
        accepted: Rows that were written.
        reused: Rows of those that reused a vector made earlier for the same audio.
        rejected: Rows that could not be used, each with its reason, in the corpus's
            order; tried again next time.
        skipped: Rows that the index already held, unchanged.
        stale: Ids of rows in the index from this corpus root that the corpus no longer has.
            They are kept. Always empty for a single recording.
        seconds: How long it took.
        audio_s: Length of the audio embedded, in seconds.
        n: Rows in the index now.
        replaced: Rows that took the place of one with their id, with the labels of both.
        contested: Recordings of the index that stand in several rows whose labels differ.
        notes: What the corpus's owner should know of it, a sentence each.
        outdated: Ids of rejected rows that are still in the index, made of earlier audio or fields.
        doubtful: Rows of which an encoder hears little, by what is wrong; of those that were
            decoded in this run.
    """

    accepted: int
    reused: int
    rejected: tuple[Rejection, ...]
    skipped: int
    stale: tuple[str, ...]
    seconds: float
    audio_s: float
    n: int
    replaced: tuple[Replaced, ...] = ()
    contested: Contested = field(default_factory=Contested)
    notes: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    doubtful: tuple[DoubtfulAudio, ...] = ()

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self, digits=3)
