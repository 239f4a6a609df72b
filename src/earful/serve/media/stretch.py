"""Stretches: parts of recordings of any length, decoded from where they begin."""

from __future__ import annotations

import math
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio import STRETCH_OF_LONG, Clip, load_isolated
from earful.serve.media.faults import MediaRangeError, RecordingGoneError
from earful.values import short_repr
from earful.wording import printable

# Two ends that differ by less are one: a page's numbers are rounded.
_SAME_S: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedSource:
    """A recording, or a part of one, that can be played; its time 0 is ``start_s`` of the file.

    Attributes:
        id: What names it in a request.
        name: What people call it.
        path: The audio file.
        start_s: Where it begins in the file, in seconds.
        duration_s: Its length in seconds.
        sample_rate: Of the file, in Hz.
    """

    id: str
    name: str
    path: Path
    start_s: float
    duration_s: float
    sample_rate: int

    __repr__ = short_repr

    @property
    def version(self) -> tuple[int, int]:
        """What differs when the file is changed: its size and time of change.

        Raises:
            RecordingGoneError: The file is not there.
        """
        return file_version(self.path, self.name)


def file_version(path: Path, name: str) -> tuple[int, int]:
    """Return the size of a file and its time of change in nanoseconds.

    Args:
        path: The file.
        name: What people call it.

    Raises:
        RecordingGoneError: It is not there.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise gone(name) from error
    if not stat.S_ISREG(found.st_mode):
        raise gone(name)
    return found.st_size, found.st_mtime_ns


def gone(name: str) -> RecordingGoneError:
    """Return the error of a recording that is not there."""
    return RecordingGoneError(
        f"{printable(name)}: is no longer there, expected it where it was scanned or indexed; put "
        "it back, or start `earful serve` in the folder of that time"
    )


def clamp_stretch(
    source: PlayedSource, start_s: float, end_s: float | None, *, most_s: float
) -> tuple[float, float]:
    """Return a stretch within a source.

    Args:
        source: What it is a part of.
        start_s: Where it begins, in seconds of the source.
        end_s: Where it ends; ``None`` for the end of the source, or ``most_s`` later if that is
            earlier. What lies behind the source's end is cut.
        most_s: Longest stretch, in seconds.

    Raises:
        MediaRangeError: It is empty, too long, or not in the source.
    """
    name = printable(source.name)
    if not (math.isfinite(start_s) and 0 <= start_s < source.duration_s):
        raise MediaRangeError(
            f"start_s={start_s:g}: {name} lasts {source.duration_s:.3f} s, expected 0 or more and "
            "less than that",
            "start_s",
        )
    if end_s is None:
        end_s = min(source.duration_s, start_s + most_s)
    if not (math.isfinite(end_s) and end_s > start_s):
        raise MediaRangeError(
            f"end_s={end_s:g}: expected more than start_s={start_s:g}; correct the times", "end_s"
        )
    end_s = min(end_s, source.duration_s)
    if end_s - start_s > most_s + _SAME_S:
        raise MediaRangeError(
            f"end_s={end_s:g}: a stretch of {end_s - start_s:.1f} s, expected {most_s:g} s at "
            "most; ask for parts of it",
            "end_s",
        )
    if round((source.start_s + end_s) * source.sample_rate) <= round(
        (source.start_s + start_s) * source.sample_rate
    ):
        raise MediaRangeError(
            f"end_s={end_s:g}: shorter than one sample at {source.sample_rate} Hz; take a longer "
            "stretch",
            "end_s",
        )
    return float(start_s), float(end_s)


def read_stretch(source: PlayedSource, start_s: float, end_s: float) -> Clip:
    """Read a stretch of a source as mono, decoded in the sandbox.

    Args:
        source: Where it is.
        start_s: Where it begins, in seconds of the source.
        end_s: Where it ends (exclusive).

    Returns:
        A clip at the file's own rate.

    Raises:
        AudioError: It cannot be decoded.
    """
    return load_isolated(
        source.path,
        start_s=source.start_s + start_s,
        end_s=source.start_s + end_s,
        limits=STRETCH_OF_LONG,
    )


def read_frames(source: PlayedSource, first: int, stop: int) -> NDArray[np.float32]:
    """Read samples of the file by their numbers, zeros before its beginning.

    Args:
        source: Whose file is read: also what is before the source, and nothing behind its end,
            where there are zeros.
        first: Number of the first sample in the file; may be negative.
        stop: Number of the sample behind the last.

    Returns:
        float32, shape ``(stop - first,)``, at the file's own rate.

    Raises:
        AudioError: They cannot be decoded.
    """
    rate = source.sample_rate
    # Of a header that promises more than there is, only what the scan could read is believed.
    end = round((source.start_s + source.duration_s) * rate)
    found = np.zeros(stop - first, np.float32)
    begun, over = max(first, 0), min(stop, end)
    if begun < over:
        clip = load_isolated(
            source.path, start_s=begun / rate, end_s=over / rate, limits=STRETCH_OF_LONG
        )
        if clip.sample_rate != rate:
            raise AudioError(
                f"{printable(source.name)}: has a sample rate of {clip.sample_rate} Hz, expected "
                f"{rate} Hz; it was changed since it was scanned: scan it again"
            )
        samples = clip.samples[: over - begun]
        found[begun - first : begun - first + samples.size] = samples
    return found
