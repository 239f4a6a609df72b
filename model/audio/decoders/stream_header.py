"""The stream header and the decoder protocol, which all audio decoders share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHeader:
    """Properties that a file claims for itself, before anything is decoded.

    Attributes:
        sample_rate: In Hz.
        channels: Number of channels.
        n_frames: Samples per channel; ``None`` where the file does not say.
        slack_frames: How far an intact file may differ from ``n_frames``, because its
            format rounds, or counts encoder delay and padding.
        format: Container, as the decoder names it.
        subtype: Coding of the samples, as the decoder names it.
        damage: Known damage at the end of the file; empty for none.
        notes: What a reader should know of the file, such as a header that was not believed.
    """

    sample_rate: int
    channels: int
    n_frames: int | None
    slack_frames: int = 0
    format: str
    subtype: str
    damage: str = ""
    notes: tuple[str, ...] = ()


class Decoder(Protocol):
    """Reader of one segment of one recording."""

    @property
    def header(self) -> StreamHeader:
        """Properties that the file claims for itself."""
        ...

    @property
    def n_decoded(self) -> int:
        """Samples per channel decoded so far, including those before ``start``."""
        ...

    def blocks(self, start: int, stop: int | None) -> Iterator[NDArray[np.float32]]:
        """Decode a segment; may be called once only.

        Args:
            start: First sample, counted from the first one that decoding the whole file gives.
            stop: Sample after the last; ``None`` for the end of the file.

        Yields:
            float32, shape ``(n, channels)``, full scale 1.0; empty while the decoded samples
            lie before ``start``. Fewer samples than requested when the file ends early.

        Raises:
            AudioError: The data is damaged.
        """
        ...

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        ...
