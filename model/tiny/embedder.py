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
from numpy.typing import NDArray

from earful.model.audio import Clip, require_sample_rate
from earful.model.flamingo import FlamingoTokenizer
from earful.model.protocols import Fingerprint
from earful.model.runtime import (
    in_threads,
    read_part,
    read_tensors,
    require_device_name,
    require_float32,
    require_release,
    require_shapes,
    unit_rows,
)
from earful.model.tiny.frames import (
    SAMPLE_RATE,
    WINDOW_FRAMES,
    WINDOW_HOP_FRAMES,
    FrontEnd,
    frame_count,
    window_starts,
)
from earful.model.tiny.network import (
    MAX_TEXT_TOKENS,
    AudioHead,
    TextTower,
    Trunk,
    head_shapes,
    text_shapes,
)
from earful.model.tiny.weights import NAME, read_release, read_trunk
from earful.values import embedder_repr

_WINDOWS_TOGETHER = 256  # in memory
_TEXTS_AT_ONCE = 64


def load_tiny(
    name: str = NAME, *, revision: str = "", device: str = "auto", dtype: str = "float32"
) -> TinyEmbedder:
    """Load the shipped encoder.

    Args:
        name: The registered name, or a folder of one's own, as ``training.ship`` writes it.
        revision: Empty, or the release that is there: an index asks for the one that made it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; it computes on the CPU
            whichever is given.
        dtype: ``"float32"``, the only arithmetic offered, or ``"auto"``, which means the same.

    Raises:
        UnknownNameError: The device is none of these.
        ModelError: Another release or dtype is requested, or the weights are missing or have
            changed since the release was made.
    """
    require_float32(dtype, name)
    require_device_name(device)
    release = read_release(name)
    require_release(release, revision, name)
    clap = read_part(release, "clap", name)
    tokenizer = FlamingoTokenizer.from_bytes(read_part(release, "tokenizer", name), source=name)
    dim = int(release.parts["clap"]["dim"])
    head, text = (read_tensors(clap, name, prefix=prefix) for prefix in ("head.", "text."))
    require_shapes(head, head_shapes(dim), name)
    require_shapes(text, text_shapes(tokenizer.vocab_size, dim), name)
    return TinyEmbedder(
        Trunk(read_trunk(release, name)),
        AudioHead(head),
        TextTower(text),
        tokenizer,
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
        fingerprint: To record in an index.
    """

    def __init__(
        self,
        network: Trunk,
        head: AudioHead,
        text: TextTower,
        tokenizer: FlamingoTokenizer,
        fingerprint: Fingerprint,
    ) -> None:
        self._fingerprint = fingerprint
        self._network = network
        self._head = head
        self._text = text
        self._tokenizer = tokenizer
        self._front_end = FrontEnd()

    __repr__ = embedder_repr

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides which vector a clip gets."""
        return self._fingerprint

    def n_windows(self, n_samples: int) -> int:
        """Return how many windows are averaged for a recording of so many samples."""
        return len(window_starts(frame_count(n_samples)))

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
            vectors = self.encode([window for _, window in batch])
            for (row, _), vector in zip(batch, vectors, strict=True):
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
        return self._outputs(list(self._front_end.windows(clip.samples)))

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
            ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
            mask = np.zeros(ids.shape, np.float32)
            for row, own in enumerate(rows):
                ids[row, : len(own)] = own
                mask[row, : len(own)] = 1.0
            found[start : start + len(rows)] = self._text(ids, mask)
        return found

    def encode(self, windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Map windows of frames, each ``(100, 96)``, to unit vectors, ``(n, dim)``."""
        return self._head(self._outputs(windows))

    def _outputs(self, windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        # One at a time, so that its bits do not depend on the windows beside it.
        found = in_threads(lambda number: self._network(windows[number][None]), len(windows))
        return np.concatenate(found)

    def _windows(self, clips: Sequence[Clip]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the row of each clip with each of its windows, shape ``(100, 96)``."""
        for row, clip in enumerate(clips):
            for window in self._front_end.windows(clip.samples):
                yield row, window


def text_ids(tokenizer: FlamingoTokenizer, text: str) -> list[int]:
    """Return the token ids of a text that the text tower reads, 1 to 64 of them."""
    return tokenizer.encode([text.strip().lower()])[:MAX_TEXT_TOKENS]
