"""Window encoders: a recording as the features of its windows, a Flamingo's audio input.

``FlamingoLanguageModel`` knows only the protocol ``WindowEncoder``; the released checkpoints
have MS-CLAP (here), the shipped small one has ``earful-small`` (``small.language_model``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from earful.model.audio import Clip
from earful.model.flamingo.audio import MAX_SECONDS, WINDOW_SAMPLES, cut_windows, read_samples
from earful.model.flamingo.decoding import Mode
from earful.model.prompt import ClipRef

if TYPE_CHECKING:
    from earful.model.encoders import MsClapEncoder

Features = NDArray[np.float32]


class WindowEncoder(Protocol):
    """Encoder of recordings as features, each recording by itself."""

    @property
    def max_seconds(self) -> float:
        """Longest segment that it hears, in seconds."""
        ...

    @property
    def maker(self) -> str:
        """Key of caches: all that decides a recording's features besides its content."""
        ...

    def hear(self, ref: ClipRef) -> Features:
        """Return a recording's features.

        Returns:
            float32, shape ``(n_windows, dim)``, 1 to W windows.

        Raises:
            AudioError: The recording cannot be read.
        """
        ...

    def silence(self) -> Features:
        """Return the features of a silent window, shape ``(1, dim)``."""
        ...

    def content_of(self, ref: ClipRef) -> str:
        """Return a key that identifies what is heard of a recording; empty when unknown."""
        ...


class MsClapWindows:
    """Window encoder of MS-CLAP: up to sixteen windows of 7 s, a vector each.

    Args:
        encoder: In evaluation mode, on its device.
        sha256: Hex SHA-256 over its weights; once packed for a CPU, the encoder no longer
            shows all of them.
        decoding: ``"compat"`` for the release's choice of channel and peak.
    """

    max_seconds = MAX_SECONDS

    def __init__(self, encoder: MsClapEncoder, *, sha256: str, decoding: Mode = "full") -> None:
        self.network = encoder
        self.decoding = decoding
        self.maker = f"1:{sha256}:{decoding}"
        self._device = next(encoder.parameters()).device

    def hear(self, ref: ClipRef) -> Features:
        """Return a recording's features; see ``WindowEncoder``."""
        return self._encode(cut_windows(read_samples(ref, mode=self.decoding)))

    def silence(self) -> Features:
        """Return the features of a silent window."""
        return self._encode(np.zeros((1, WINDOW_SAMPLES), dtype=np.float32))

    def content_of(self, ref: ClipRef) -> str:
        """Return a key that identifies what is heard of a recording; see ``WindowEncoder``."""
        content = ref.known_content
        if content and self.decoding == "compat" and not isinstance(ref.audio, Clip):
            # The digest of the averaged segment does not show its channel and its peak.
            where = f"{Path(ref.audio)}:{ref.start_s}:{ref.end_s}"
            content += hashlib.sha256(where.encode()).hexdigest()[:16]
        return content

    def _encode(self, windows: Features) -> Features:
        # The language model that ships hears without it.
        import torch

        with torch.inference_mode():
            encoded = self.network.encode(torch.from_numpy(windows).to(self._device))
            return np.asarray(encoded.float().cpu().numpy())
