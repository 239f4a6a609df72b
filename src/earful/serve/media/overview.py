"""Overviews: a whole recording as tiles, from what a scan keeps of it or from a short file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model.encoders import OVERVIEW_BANDS, overview, overview_db
from earful.serve.faults import RequestError
from earful.serve.media.faults import MediaRangeError
from earful.serve.media.stretch import PlayedSource, read_frames
from earful.values import short_repr
from earful.wording import duration_text, printable

TILE_COLUMNS: Final = 4096
TILE_ROWS: Final = 96
LONGEST_COMPUTED_S: Final = 600.0
"""Longest source whose overview is computed where none is kept."""

MOST_POOLED: Final = 4096
STEP_S: Final = 8192 / 44100
"""Length of a step where an overview is computed, in seconds."""

_RANGE_DB: Final = 45.0
_SHADE_OF_MEDIAN: Final = 0.15
_ROWS_OF_MEDIAN: Final = 20_000


LOWEST_HZ: Final = 20.0
"""Lower end of the lowest band, in Hz."""


class NoOverviewError(RequestError):
    """A recording of which no overview is kept, and that is too long to compute one: status 404."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=404, code="no_overview", field="source")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overview:
    """Levels of a whole recording.

    Attributes:
        levels: See ``overview`` of the encoders: uint8, shape ``(n_steps, 48)``.
        middle_db: Median of each band, in dB, shape ``(48,)``.
        step_s: Length of a step, in seconds.
        high_hz: Upper end of the highest band; the lowest begins at 20 Hz.
    """

    levels: NDArray[np.uint8]
    middle_db: NDArray[np.float32]
    step_s: float
    high_hz: float

    __repr__ = short_repr

    @property
    def n_bytes(self) -> int:
        """Bytes in memory."""
        return self.levels.nbytes

    @classmethod
    def of(cls, levels: NDArray[np.uint8], step_s: float, high_hz: float) -> Overview:
        """Return an overview of levels, shape ``(n_steps, 48)``, one step at least."""
        # A night's median is that of twenty thousand of its steps.
        some = levels[:: max(1, len(levels) // _ROWS_OF_MEDIAN)]
        middle = overview_db(np.median(some, axis=0).astype(np.uint8))
        return cls(levels=levels, middle_db=middle, step_s=step_s, high_hz=high_hz)

    def n_columns(self, pool: int = 1) -> int:
        """Return the columns of the whole recording, ``pool`` steps each."""
        return -(-len(self.levels) // pool)

    def tile(self, column: int, n: int, pool: int = 1) -> NDArray[np.uint8]:
        """Return some columns as a picture.

        The loudest of the steps of a column is drawn. Each band is shown against its own median
        over the whole recording, so that tiles fit together.

        Args:
            column: The first one.
            n: How many, 1 to 4096; fewer where the recording ends.
            pool: Steps of a column, 1 to 4096.

        Returns:
            uint8, shape ``(96, n)``, the highest row first: each band is two rows.

        Raises:
            MediaRangeError: A number is outside its range, or the first column behind the end.
        """
        if not 1 <= pool <= MOST_POOLED:
            raise MediaRangeError(f"pool={pool}: expected 1 to {MOST_POOLED} steps", "pool")
        if not 1 <= n <= TILE_COLUMNS:
            raise MediaRangeError(f"n={n}: expected 1 to {TILE_COLUMNS} columns", "n")
        if not 0 <= column < self.n_columns(pool):
            raise MediaRangeError(
                f"column={column}: expected 0 to {self.n_columns(pool) - 1}, one column for "
                f"{self.step_s * pool:.3f} s",
                "column",
            )
        part = self.levels[column * pool : (column + n) * pool]
        if pool > 1:
            part = np.maximum.reduceat(part, np.arange(0, len(part), pool), axis=0)
        above = (overview_db(part) - self.middle_db) / np.float32(_RANGE_DB)
        shares = (np.float32(_SHADE_OF_MEDIAN) + above).clip(0, 1)
        shades = np.rint(shares * 255).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(shades.T[::-1], TILE_ROWS // OVERVIEW_BANDS, axis=0))


def compute_overview(source: PlayedSource) -> Overview:
    """Compute the overview of a short source from its audio.

    Raises:
        NoOverviewError: It is longer than ten minutes.
        AudioError: It cannot be decoded.
    """
    if source.duration_s > LONGEST_COMPUTED_S:
        raise NoOverviewError(
            f"{printable(source.name)}: no overview of it is kept, and it lasts "
            f"{duration_text(source.duration_s)}, expected {duration_text(LONGEST_COMPUTED_S)} at "
            "most to make one; run `earful scan` on it"
        )
    rate = source.sample_rate
    first = round(source.start_s * rate)
    stop = max(round((source.start_s + source.duration_s) * rate), first + 1)
    step = max(round(STEP_S * rate), 1)
    levels = overview(read_frames(source, first, stop), rate, step)
    return Overview.of(levels, step / rate, rate / 2)
