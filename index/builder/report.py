"""What a build tells on its way, and when it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from earful.index.corpus import Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProgress:
    """Where a build stands.

    Attributes:
        done: Rows dealt with.
        total: Rows in the corpus.
        accepted: Rows with a vector, committed or about to be.
        committed: Rows of those that a kill can no longer lose, the corpus's first ones.
        skipped: Rows that were there unchanged.
        rejected: Rows that could not be used.
        seconds: Since the build began.
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
    """What a build did.

    Attributes:
        accepted: Rows that were written.
        reused: Rows of those that took a vector made before for the same audio.
        skipped: Rows that were there unchanged.
        rejected: Rows that could not be used, each with its reason, in the corpus's
            order; tried again next time.
        stale: Ids of rows of the index from this corpus root that the corpus no longer has.
            They are kept. None are told for a single recording.
        seconds: How long it took.
        audio_s: Length of the audio embedded, in seconds.
        n: Rows in the index now.
    """

    accepted: int
    reused: int
    skipped: int
    rejected: tuple[Rejection, ...]
    stale: tuple[str, ...]
    seconds: float
    audio_s: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            "accepted": self.accepted,
            "reused": self.reused,
            "rejected": [rejection.to_dict() for rejection in self.rejected],
            "skipped": self.skipped,
            "stale": list(self.stale),
            "seconds": round(self.seconds, 3),
            "audio_s": round(self.audio_s, 3),
            "n": self.n,
        }
