"""Players: recordings as data URIs, until a budget of bytes is spent."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from earful.errors import AudioError
from earful.model.audio import Clip, load_isolated, probe_isolated

PLAYER_RATE = 16_000
_MOST_PLAYED_S = 6.0


class Players:
    """Audio of one page.

    Args:
        budget_bytes: Most audio that is embedded; recordings beyond it get no player.

    Attributes:
        n_left_out: Recordings that were beyond the budget.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.n_left_out = 0
        self._left = budget_bytes

    def source(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> str:
        """Return a recording as a data URI; empty when it cannot be read or exceeds the budget."""
        if self._left <= 0:
            self.n_left_out += 1
            return ""
        try:
            return self.source_of(read_for_player(path, start_s, end_s))
        except AudioError:
            return ""

    def source_of(self, clip: Clip) -> str:
        """Return a clip from ``read_for_player`` as a data URI; empty beyond the budget."""
        import soundfile

        if self._left <= 0:
            self.n_left_out += 1
            return ""
        file = io.BytesIO()
        soundfile.write(file, clip.samples, clip.sample_rate, format="FLAC", subtype="PCM_16")
        encoded = base64.b64encode(file.getvalue()).decode("ascii")
        self._left -= len(encoded)
        return f"data:audio/flac;base64,{encoded}"


def read_for_player(path: Path, start_s: float, end_s: float | None) -> Clip:
    """Read what a player plays of a recording: its first six seconds, at 16 kHz.

    Raises:
        AudioError: It cannot be read.
    """
    until_s = start_s + _MOST_PLAYED_S
    if end_s is None or end_s > until_s:
        end_s = until_s if probe_isolated(path).duration_s > until_s else None
    return load_isolated(path, sample_rate=PLAYER_RATE, start_s=start_s, end_s=end_s)
