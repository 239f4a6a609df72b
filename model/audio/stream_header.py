"""What a stream's header says, and the decoder protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHeader:
    """What a file says of itself, before anything is decoded.

    Attributes:
        sample_rate: In Hz.
        channels: How many.
        n_frames: Samples per channel; ``None`` where the file does not tell.
        slack_frames: By how much a sound file may differ from ``n_frames``, because its
            format rounds, or counts encoder delay and padding.
        format: Container, as the decoder names it.
        subtype: Coding of the samples, as the decoder names it.
        damage: What is known to be wrong with the end of the file; empty for nothing.
    """

    sample_rate: int
    channels: int
    n_frames: int | None
    slack_frames: int = 0
    format: str
    subtype: str
    damage: str = ""


class Decoder(Protocol):
    """Reads one stretch of one recording."""

    @property
    def header(self) -> StreamHeader:
        """What the file says of itself."""
        ...

    @property
    def n_decoded(self) -> int:
        """How many samples per channel were decoded so far, those before ``start`` included."""
        ...

    def blocks(self, start: int, stop: int | None) -> Iterator[NDArray[np.float32]]:
        """Decode a stretch; once only.

        Args:
            start: First sample, counted from the first that decoding the whole file gives.
            stop: Sample after the last; ``None`` for the end of the file.

        Yields:
            float32, shape ``(n, channels)``, full scale 1.0; empty where what was decoded
            lies before ``start``. Less than asked when the file ends early.

        Raises:
            AudioError: The data is damaged.
        """
        ...

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        ...
