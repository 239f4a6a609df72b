"""Players: recordings as data URIs, until a budget of bytes is spent."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from earful.errors import AudioError
from earful.html.spectrogram import draw_spectrogram
from earful.model.audio import STRETCH_OF_LONG, Clip, load_isolated, probe_isolated, resample

PLAYER_RATE = 16_000
_MOST_PLAYED_S = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A recording as a page shows it.

    Attributes:
        source: Its audio as a data URI; empty when it cannot be played.
        picture: Its spectrogram as a data URI; empty when it cannot be played.
        fault: Why it cannot be played; empty when it can.
    """

    source: str = ""
    picture: str = ""
    fault: str = ""


class Players:
    """Audio of one page.

    Args:
        budget_bytes: Most audio that is embedded; recordings beyond it get no player.

    Attributes:
        n_left_out: Recordings that were beyond the budget.
        n_cut: Recordings that last longer than what is played of them.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.n_left_out = 0
        self.n_cut = 0
        self._left = budget_bytes

    def source(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> str:
        """Return a recording as a data URI; empty when it cannot be read or exceeds the budget."""
        if self._is_spent():
            return ""
        try:
            return self._encode(self._read(path, start_s, end_s))
        except AudioError:
            return ""

    def show(self, audio: Path | Clip, start_s: float = 0.0, end_s: float | None = None) -> Played:
        """Return a recording with its spectrogram, or why it cannot be played."""
        if self._is_spent():
            return Played(fault="not embedded, to keep this output small")
        try:
            if isinstance(audio, Clip):
                clip = self._cut(audio)
            else:
                clip = self._read(audio, start_s, end_s)
        except AudioError as error:
            return Played(fault=str(error))
        return Played(source=self._encode(clip), picture=draw_spectrogram(clip))

    def _is_spent(self) -> bool:
        self.n_left_out += self._left <= 0
        return self._left <= 0

    def _encode(self, clip: Clip) -> str:
        import soundfile

        file = io.BytesIO()
        soundfile.write(file, clip.samples, PLAYER_RATE, format="FLAC", subtype="PCM_16")
        encoded = base64.b64encode(file.getvalue()).decode("ascii")
        self._left -= len(encoded)
        return f"data:audio/flac;base64,{encoded}"

    def _read(self, path: Path, start_s: float, end_s: float | None) -> Clip:
        """Read the first six seconds of a segment of a file, at 16 kHz."""
        until_s = start_s + _MOST_PLAYED_S
        if end_s is None or end_s > until_s:
            length_s = probe_isolated(path, limits=STRETCH_OF_LONG).duration_s
            self.n_cut += length_s > until_s
            end_s = until_s if length_s > until_s else None
        return load_isolated(
            path, sample_rate=PLAYER_RATE, start_s=start_s, end_s=end_s, limits=STRETCH_OF_LONG
        )

    def _cut(self, clip: Clip) -> Clip:
        """Return the first six seconds of a clip, at 16 kHz."""
        samples = clip.samples[: round(_MOST_PLAYED_S * clip.sample_rate)]
        self.n_cut += len(samples) < len(clip.samples)
        return resample(Clip(samples=samples, sample_rate=clip.sample_rate), PLAYER_RATE)
