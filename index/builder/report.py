"""Build progress, the final report, and rejected rows as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from earful.index.builder.changes import Contested
from earful.index.corpus import Rejection
from earful.index.intake import DoubtfulAudio as DoubtfulAudio
from earful.index.intake import Replaced as Replaced
from earful.plain import plain_fields
from earful.values import short_repr
from earful.wording import printable

_MOST_ALIKE = 3


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


def rejection_lines(rejections: Sequence[Rejection], before: str) -> list[str]:
    """Render rejected files and rows, of those with one reason the first three and a count.

    Args:
        rejections: In the corpus's order.
        before: What each line begins with, such as ``"rejected "``.
    """
    of_reason: dict[tuple[str, bool], list[Rejection]] = {}
    for rejection in rejections:
        of_reason.setdefault((_reason(rejection), rejection.is_earlier), []).append(rejection)
    lines = []
    for (_, is_earlier), alike in of_reason.items():
        start = f"{before.rstrip()} by an earlier build: " if is_earlier else before
        lines += [start + _describe_rejection(rejection) for rejection in alike[:_MOST_ALIKE]]
        if (n_more := len(alike) - _MOST_ALIKE) > 0:
            lines.append(f"  and {n_more:,} more for the same reason; --json lists all")
    return lines


def _reason(rejection: Rejection) -> str:
    """Return why a row was rejected, without what is its own: its file and numbers."""
    error = rejection.error.rpartition(f"{rejection.audio}: ")[2]
    error = re.sub(r"\(looked in [^()]*\)", "", error)
    return re.sub(r"'[^']*'|[0-9]+([.][0-9]+)?", "", error)


def _describe_rejection(rejection: Rejection) -> str:
    """Render the place of a rejected file or row, once, and the reason."""
    where, error = printable(rejection.where), printable(rejection.error)
    return error if error.startswith(f"{where}: ") else f"{where}: {error}"
