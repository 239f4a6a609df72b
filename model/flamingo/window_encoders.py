"""What a Flamingo hears of a recording: the features of its windows.

``FlamingoLanguageModel`` knows only ``WindowEncoder``; the released checkpoints hear with
MS-CLAP (here), the shipped small one with ``earful-tiny`` (``tiny_lm``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from earful.model.audio import Clip
from earful.model.encoders import MsClapEncoder
from earful.model.flamingo.audio import MAX_SECONDS, WINDOW_SAMPLES, cut_windows, read_samples
from earful.model.flamingo.decoding import Mode
from earful.model.prompt import ClipRef

Features = NDArray[np.float32]


class WindowEncoder(Protocol):
    """Makes features of recordings, each by itself."""

    @property
    def max_seconds(self) -> float:
        """Longest stretch it hears."""
        ...

    @property
    def maker(self) -> str:
        """What decides a recording's features besides its content: a key of caches."""
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
        """Return what tells apart what is heard of recordings; empty when unknown."""
        ...


class MsClapWindows:
    """Up to sixteen windows of 7 s, each a vector of MS-CLAP's; a ``WindowEncoder``.

    Args:
        encoder: In evaluation mode, on its device.
        sha256: Hex SHA-256 over the weights it was made with: once packed for a CPU, it does
            not show all of them any more.
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
        """Return what tells apart what is heard of recordings."""
        content = content_digest(ref)
        if content and self.decoding == "compat" and not isinstance(ref.audio, Clip):
            # Its channel and its peak are not told by the digest of the averaged stretch.
            where = f"{Path(ref.audio)}:{ref.start_s}:{ref.end_s}"
            content += hashlib.sha256(where.encode()).hexdigest()[:16]
        return content

    def _encode(self, windows: Features) -> Features:
        with torch.inference_mode():
            encoded = self.network.encode(torch.from_numpy(windows).to(self._device))
            return np.asarray(encoded.float().cpu().numpy())


def content_digest(ref: ClipRef) -> str:
    """Return the digest of what a recording holds; empty when unknown."""
    if not ref.content_sha256 and isinstance(ref.audio, Clip):
        return ref.audio.content_sha256
    return ref.content_sha256
