"""The language model ``earful-tiny``: a small Flamingo with the small encoder.

The classes are Audio Flamingo's, the sizes are not: it was trained from scratch by
``training/flamingo`` on permissively licensed sounds, to read names from the exemplars in
its prompt. Beyond them it knows little: docs/small-model.md says what it can do.
"""

from __future__ import annotations

from typing import Final, cast, get_args

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip
from earful.model.flamingo import (
    MAX_SAMPLES,
    MAX_SECONDS,
    Flamingo,
    FlamingoConfig,
    FlamingoLanguageModel,
    FlamingoTokenizer,
    Mode,
    content_digest,
    read_samples,
)
from earful.model.prompt import ClipRef
from earful.model.runtime import pick_device, without_weights
from earful.model.tiny.embedder import TinyEmbedder, load_tiny
from earful.model.tiny.frames import SAMPLE_RATE
from earful.model.tiny.weights import NAME, fill, read_part, read_release

Features = NDArray[np.float32]

_CAVEAT = (
    "earful-tiny is a small model: it names sounds by the exemplars it is shown, and what it says "
    "without any is seldom right; --model takes a larger one"
)

STYLE: Final = "brief"
FEATURE_SCALE: Final = 4.0
"""Length of a feature; it must be large compared with the positions that are added to it."""


def load_tiny_lm(
    name: str = NAME,
    *,
    device: str = "auto",
    dtype: str = "auto",
    decoding: str = "full",
    slots: int | None = None,
) -> FlamingoLanguageModel:
    """Load the shipped language model.

    Args:
        name: The registered name, or a folder of one's own, as ``training.ship`` writes it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        dtype: ``"float32"`` or ``"auto"``, which is the same.
        decoding: ``"full"``, the only way it was trained.
        slots: Places for audio; ``None`` for as many as a prompt has audios.

    Raises:
        ModelError: A choice is unknown, the device does not exist, or the weights are missing
            or have changed since the release was made.
    """
    if dtype not in {"auto", "float32"}:
        raise ModelError(f"{name}: dtype {dtype!r}, expected 'float32'")
    if decoding not in get_args(Mode):
        raise ModelError(f"decoding {decoding!r}, expected {' or '.join(get_args(Mode))}")
    release = read_release(name)
    data = read_part(release, "flamingo", name)
    config = FlamingoConfig.from_dict(release.parts["flamingo"]["config"])
    with without_weights():
        model = Flamingo(config)
    fill(model, data, name)
    return FlamingoLanguageModel(
        model=model.to(pick_device(device)),
        encoder=TinyWindows(load_tiny(name, device=device), config.windows_per_audio),
        tokenizer=FlamingoTokenizer.from_bytes(read_part(release, "tokenizer", name), source=name),
        name=release.name,
        weights_sha256=release.digest_of("trunk", "clap", "flamingo", "tokenizer"),
        decoding=cast(Mode, decoding),
        slots=slots,
        licence=release.licence,
        lists_labels=False,
        style=STYLE,
        caveat=_CAVEAT,
        writes_captions=False,
        unfitted_weight=0.0,
    )


class TinyWindows:
    """Window encoder: up to W segments of a recording, each an embedder's mean vector.

    Args:
        embedder: Embeds short windows, whose vectors are averaged over a segment.
        windows_per_audio: W.
    """

    max_seconds = MAX_SECONDS

    def __init__(self, embedder: TinyEmbedder, windows_per_audio: int) -> None:
        self.embedder = embedder
        self.maker = f"1:{embedder.fingerprint.weights_sha256}:{windows_per_audio}"
        self._width = windows_per_audio

    def hear(self, ref: ClipRef) -> Features:
        """Return a recording's features; see ``WindowEncoder``."""
        samples = read_samples(ref, mode="full")[:MAX_SAMPLES]
        clip = Clip(samples=samples, sample_rate=SAMPLE_RATE)
        return spans(self.embedder.embed_windows(clip), self._width)

    def silence(self) -> Features:
        """Return the features of an empty window: zeros, as in training."""
        return np.zeros((1, self.embedder.fingerprint.dim), dtype=np.float32)

    def content_of(self, ref: ClipRef) -> str:
        """Return a key that identifies what is heard of a recording; see ``WindowEncoder``."""
        return content_digest(ref)


def spans(vectors: Features, most: int) -> Features:
    """Average window vectors over at most W segments of equal length.

    Args:
        vectors: Shape ``(n_windows, dim)``, in order of time.
        most: W.

    Returns:
        float32, shape ``(min(n_windows, W), dim)``, rows of length ``FEATURE_SCALE``.

    >>> spans(np.eye(4, dtype=np.float32)[:3], 2).round(1)
    array([[4. , 0. , 0. , 0. ],
           [0. , 2.8, 2.8, 0. ]], dtype=float32)
    """
    parts = [
        vectors[i * len(vectors) // most : (i + 1) * len(vectors) // most] for i in range(most)
    ]
    means = np.stack([part.mean(axis=0) for part in parts if len(part)])
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(FEATURE_SCALE * means / np.maximum(norms, 1e-6), dtype=np.float32)
