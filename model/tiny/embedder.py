"""The embedder ``earful-tiny``: the small audio-text encoder that ships in the package.

Its audio tower begins with a convolutional network of 4.7 M parameters by A. B. Ma and
A. Lerch ("Representation Learning for the Automatic Indexing of Sound Effects Libraries",
ISMIR 2022; published as ``aisfx``, weights CC BY 4.0), trained on sound-effect libraries;
``training/convert_aisfx.py`` converted it. On top of it is a linear head, and beside it a
text tower, both trained by ``training/clap`` on labelled sounds under permissive licences. It
needs no hub and no GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from earful.model.audio import Clip, require_sample_rate
from earful.model.flamingo import FlamingoTokenizer
from earful.model.protocols import Fingerprint
from earful.model.runtime import (
    fill,
    in_parts,
    pick_device,
    read_part,
    require_float32,
    require_release,
    unit_rows,
    without_weights,
)
from earful.model.tiny.frames import SAMPLE_RATE, WINDOW_FRAMES, WINDOW_HOP_FRAMES, FrontEnd
from earful.model.tiny.network import MAX_TEXT_TOKENS, AudioHead, Network, TextTower
from earful.model.tiny.weights import NAME, read_release
from earful.values import embedder_repr

_WINDOWS_AT_ONCE = 8  # per thread
_WINDOWS_TOGETHER = 256  # shared out among the threads, the same for any number of them
_TEXTS_AT_ONCE = 64


def load_tiny(
    name: str = NAME, *, revision: str = "", device: str = "auto", dtype: str = "float32"
) -> TinyEmbedder:
    """Load the shipped encoder.

    Args:
        name: The registered name, or a folder of one's own, as ``training.ship`` writes it.
        revision: Empty, or the release that is there: an index asks for the one that made it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        dtype: ``"float32"``, the only arithmetic offered, or ``"auto"``, which means the same.

    Raises:
        ModelError: Another release or dtype is requested, the device does not exist, or the
            weights are missing or have changed since the release was made.
    """
    require_float32(dtype, name)
    release = read_release(name)
    require_release(release, revision, name)
    clap = read_part(release, "clap", name)
    tokenizer = FlamingoTokenizer.from_bytes(read_part(release, "tokenizer", name), source=name)
    dim = int(release.parts["clap"]["dim"])
    with without_weights():
        network, head = Network(), AudioHead(dim)
        text = TextTower(vocab_size=tokenizer.vocab_size, dim=dim)
    return TinyEmbedder(
        fill(network, read_part(release, "trunk", name), name),
        fill(head, clap, name, prefix="head."),
        fill(text, clap, name, prefix="text."),
        tokenizer,
        pick_device(device),
        Fingerprint(
            name=release.name,
            revision=release.number,
            weights_sha256=release.digest_of("trunk", "clap", "tokenizer"),
            dim=dim,
            sample_rate=SAMPLE_RATE,
            windowing=(
                f"{WINDOW_FRAMES} frames every {WINDOW_HOP_FRAMES}, last at end, mean; "
                "short: repeat"
            ),
            dtype="float32",
        ),
    )


class TinyEmbedder:
    """Embedder of audio and sentences as unit vectors in one space; a ``TextEmbedder``.

    A recording is cut into windows of 100 frames (2.3 s) every 50 frames, the last one
    aligned to its end; a shorter one is repeated until it fills a window. The windows'
    unit vectors are averaged and normalised.

    Args:
        network: Maps frames ``(n, 100, 96)`` to ``(n, 512)``.
        head: Maps the network's outputs to the shared space.
        text: Maps token ids to the shared space.
        tokenizer: Maps text to token ids.
        device: Where to compute.
        fingerprint: To record in an index.
    """

    def __init__(
        self,
        network: Network,
        head: AudioHead,
        text: TextTower,
        tokenizer: FlamingoTokenizer,
        device: torch.device,
        fingerprint: Fingerprint,
    ) -> None:
        self._fingerprint = fingerprint
        # This memory layout is a fifth faster on a CPU.
        self._network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._head = head.to(device)
        self._text = text.to(device)
        self._tokenizer = tokenizer
        self._device = device
        self._front_end = FrontEnd(device)

    __repr__ = embedder_repr

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides which vector a clip gets."""
        return self._fingerprint

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Embed a batch.

        Args:
            clips: ``n`` clips at 44100 Hz, of any length.

        Returns:
            float32, shape ``(n, dim)``; unit rows.

        Raises:
            ValueError: A clip has another sample rate.
            ModelError: The network gave a vector that is zero or not finite.
        """
        require_sample_rate(clips, SAMPLE_RATE)
        sums = np.zeros((len(clips), self._fingerprint.dim))
        windows = self._windows(clips)
        while batch := list(islice(windows, _WINDOWS_TOGETHER)):
            vectors = self.encode(torch.stack([window for _, window in batch]))
            for (row, _), vector in zip(batch, vectors.cpu().numpy(), strict=True):
                sums[row] += vector
        return unit_rows(sums, self._fingerprint.name)

    def published_outputs(self, clip: Clip) -> NDArray[np.float32]:
        """Return the published network's own outputs for each window, for comparisons.

        Returns:
            float32, shape ``(n_windows, 512)``.

        Raises:
            ValueError: The clip has another sample rate.
        """
        require_sample_rate([clip], SAMPLE_RATE)
        windows = torch.stack(list(self._front_end.windows(clip.samples)))
        with torch.inference_mode():
            return np.asarray(self._network(windows).cpu().numpy())

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed sentences, in lower case and up to 64 tokens.

        Args:
            texts: ``n`` sentences; never read as anything but text.

        Returns:
            float32, shape ``(n, dim)``; unit rows in the space of ``embed``.

        Raises:
            PromptError: A text holds half a character.
        """
        found = np.zeros((len(texts), self._fingerprint.dim), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            rows = [text_ids(self._tokenizer, text) for text in texts[start:][:_TEXTS_AT_ONCE]]
            ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
            mask = torch.zeros(ids.shape)
            for row, own in enumerate(rows):
                ids[row, : len(own)] = torch.tensor(own)
                mask[row, : len(own)] = 1.0
            with torch.inference_mode():
                vectors = self._text(ids.to(self._device), mask.to(self._device))
            found[start : start + len(rows)] = vectors.cpu().numpy()
        return found

    def encode(self, windows: torch.Tensor) -> torch.Tensor:
        """Map windows of frames, shape ``(n, 100, 96)``, to unit vectors, ``(n, dim)``."""
        vectors = torch.empty((len(windows), self._fingerprint.dim), device=self._device)

        def encode(first: int, stop: int) -> None:
            vectors[first:stop] = self._head(self._network(windows[first:stop]))

        # TF32, a GPU's default in convolutions, would give vectors that differ from a CPU's.
        with torch.backends.cudnn.flags(allow_tf32=False):
            in_parts(encode, len(windows), at_most=_WINDOWS_AT_ONCE, device=self._device)
        return vectors

    def _windows(self, clips: Sequence[Clip]) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the row of each clip with each of its windows, shape ``(100, 96)``."""
        for row, clip in enumerate(clips):
            for window in self._front_end.windows(clip.samples):
                yield row, window


def text_ids(tokenizer: FlamingoTokenizer, text: str) -> list[int]:
    """Return the token ids of a text that the text tower reads, 1 to 64 of them."""
    return tokenizer.encode([text.strip().lower()])[:MAX_TEXT_TOKENS]
