"""File or bytes to ``Clip``: decode under limits, mix to mono, resample, check."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Decoded mono audio that knows its rate and where it came from.

    Attributes:
        samples: float32, shape ``(n_samples,)``, full scale 1.0, loudness as recorded.
        sample_rate: In Hz.
        source: Path or name of the recording; empty for audio made in memory.
        start_s: Where the clip begins in its source, in seconds.
        content_sha256: Hex SHA-256 over the stretch's mono samples at the file's own
            rate, rounded to 16 bits: equal audio in two containers gives equal digests.
            Computed from ``samples`` when left empty.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    source: str = ""
    start_s: float = 0.0
    content_sha256: str = ""
