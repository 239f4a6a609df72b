"""Build options: batches, commits, threads and limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from earful.model.audio import AudioLimits
from earful.system import n_processors
from earful.values import short_repr

# More threads than this only wait for the disk or for the embedder.
_MOST_DECODERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Options of a build; the rows it makes do not depend on them.

    >>> BuildOptions(n_decoders=4)
    BuildOptions(n_decoders=4)

    Attributes:
        limits: Limits on the audio that is accepted.
        batch_clips: Most clips given to the embedder at once.
        batch_s: Most seconds of audio given to it at once, a single longer clip apart.
        ahead_bytes: Most memory for audio decoded before the embedder asks for it; a
            single larger recording is still decoded.
        commit_rows: Commit after this many rows.
        commit_s: Commit after this many seconds.
        n_decoders: Threads that decode; 0 for one per CPU that this process may use, up
            to 16.
    """

    limits: AudioLimits = field(default_factory=AudioLimits)
    batch_clips: int = 32
    batch_s: float = 320.0
    ahead_bytes: int = 256 << 20
    commit_rows: int = 512
    commit_s: float = 30.0
    n_decoders: int = 0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name in ("batch_clips", "batch_s", "ahead_bytes", "commit_rows", "commit_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected more than 0")
        if self.n_decoders < 0:
            raise ValueError(f"n_decoders={self.n_decoders}: expected 0 or more")

    @property
    def n_threads(self) -> int:
        """Number of threads that decode."""
        return self.n_decoders or min(_MOST_DECODERS, n_processors())
