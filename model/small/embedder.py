"""The embedder ``earful-small``: a pair of encoders that know different things of a sound.

One half of a vector is the ``aisfx`` network of ``earful-tiny`` (A. B. Ma and A. Lerch, ISMIR
2022), which hears timbre well, narrowed to half its arithmetic and with windows side by side.
The other is YAMNet (M. Plakal and D. Ellis, Google), which knows more kinds of sound. Each has
a linear head that shrinks what varies among recordings of one label; ``training/small`` fitted
everything in closed form. Out of the same pass come YAMNet's scores of AudioSet's 521 classes,
and with them what a name says of a recording (``words.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from earful.model import runtime, tiny
from earful.model.audio import Clip, require_sample_rate, resample
from earful.model.label_words import LabelWords
from earful.model.protocols import Fingerprint
from earful.model.runtime import (
    in_threads,
    n_cores,
    require_device_name,
    require_directions,
    require_float32,
    require_release,
)
from earful.model.small.frames import window_groups, window_starts
from earful.model.small.heads import YAMNET_SHARE, Heads
from earful.model.small.network import Factors, NarrowNetwork
from earful.model.small.steps import MARGIN_STEPS, STEP_SAMPLES, SmallSteps
from earful.model.small.weights import NAME, digest_of_all, read_encoder, read_small_release
from earful.model.small.words import NameWords, WordMaps, read_word_maps
from earful.model.tiny import OUTPUT_DIM, SAMPLE_RATE, WINDOW_FRAMES, FrontEnd, frame_count
from earful.model.yamnet import N_CLASSES, YamnetEmbedder, load_yamnet
from earful.model.yamnet import SAMPLE_RATE as YAMNET_RATE
from earful.model.yamnet import WINDOWING as YAMNET_WINDOWING
from earful.values import embedder_repr

# Both front ends clip so far, and a resampler must not overflow before.
_LOUDEST: Final = np.float32(1e6)
_FEWEST_SAMPLES: Final = 4  # that make one at 16 kHz
_REMEMBERED: Final = 120 * SAMPLE_RATE
"""Samples of the clips that are remembered, 21 MB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """Outputs of both networks for some clips.

    Attributes:
        outputs: The narrowed network's, float32, shape ``(n_windows, 512)``, clip by clip.
        counts: Windows of each clip.
        pooled: YAMNet's mean embeddings, float32, shape ``(n, 1024)``.
    """

    outputs: NDArray[np.float32]
    counts: tuple[int, ...]
    pooled: NDArray[np.float32]


class Ears:
    """Both networks, without heads.

    Args:
        network: The narrowed one.
        yamnet: The other.

    Attributes:
        network: The narrowed one.
        yamnet: The other.
    """

    def __init__(self, network: NarrowNetwork, yamnet: YamnetEmbedder) -> None:
        self.yamnet = yamnet
        self.network = network
        self._front_end = FrontEnd()

    def hear(self, clips: Sequence[Clip]) -> Heard:
        """Run both networks.

        Args:
            clips: ``n`` clips at 44100 Hz, of any length.

        Raises:
            ValueError: A clip has another sample rate.
        """
        require_sample_rate(clips, SAMPLE_RATE)
        by_clip = in_threads(
            lambda row: list(window_groups(self._front_end, clips[row].samples)), len(clips)
        )
        groups = [group for own in by_clip for group in own]
        # A group is of one clip, so that its bits do not depend on the clips beside it.
        if len(groups) < n_cores():
            # A short clip leaves cores to the other network.
            with ThreadPoolExecutor(1, "earful-yamnet") as beside:
                pooling = beside.submit(self._pool, clips)
                outputs = in_threads(lambda number: self.network(groups[number]), len(groups))
                pooled = pooling.result()
        else:
            outputs = in_threads(lambda number: self.network(groups[number]), len(groups))
            pooled = self._pool(clips)
        return Heard(
            outputs=np.concatenate([np.zeros((0, OUTPUT_DIM), dtype=np.float32), *outputs]),
            counts=tuple(sum(map(len, own)) for own in by_clip),
            pooled=pooled,
        )

    def _pool(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        return self.yamnet.pool(in_threads(lambda row: _for_yamnet(clips[row]), len(clips)))


def load_small(
    name: str = NAME, *, revision: str = "", device: str = "auto", dtype: str = "float32"
) -> SmallEmbedder:
    """Load the shipped pair of encoders, or share one that is in use already.

    Args:
        name: The registered name, or a folder of one's own, as ``python -m training.small``
            writes it.
        revision: Empty, or the release that is there: an index asks for the one that made it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; it computes on the CPU
            whichever is given.
        dtype: ``"float32"``, the only arithmetic offered, or ``"auto"``, which is the same.

    Raises:
        UnknownNameError: The device is none of these.
        ModelError: Another release or dtype is requested, or the weights are missing, have
            changed since the release was made, or were fitted beside others than those that
            ship.
    """
    loaded = load_small_steps(name, revision=revision, device=device, dtype=dtype)
    _ = loaded.ears  # now, and not while somebody waits for an answer
    return loaded


def load_small_steps(
    name: str = NAME, *, revision: str = "", device: str = "auto", dtype: str = "float32"
) -> SmallEmbedder:
    """Load it as ``load_small`` does, but the networks only when something is embedded first.

    Where all steps of recordings are kept, their windows need no network.
    """
    require_float32(dtype, name)
    require_device_name(device)
    release = read_small_release(name)
    require_release(release, revision, name)
    # Read in any case, so that weights which have changed since are refused.
    encoder = read_encoder(release, name)
    words = release.parts.get("words", {}).get("sha256", "")
    key = (release.name, release.number, digest_of_all(release), str(words))
    if (loaded := _in_use.get(key)) is not None:
        return loaded
    heads = encoder.heads
    loaded = SmallEmbedder(
        lambda: load_ears(encoder.factors, load_yamnet()),
        heads,
        Fingerprint(
            name=release.name,
            revision=release.number,
            weights_sha256=digest_of_all(release),
            dim=len(heads.narrow.project) + len(heads.yamnet.project),
            sample_rate=SAMPLE_RATE,
            windowing=(
                f"{WINDOW_FRAMES} frames side by side, last at end, mean; short: repeat; beside "
                f"{YAMNET_SHARE} of {YAMNET_WINDOWING} at {YAMNET_RATE} Hz"
            ),
            dtype="float32",
        ),
        # Read when a name is embedded first; most of those who load it never do.
        lambda: read_word_maps(runtime.read_part(release, "words", name), name),
    )
    _in_use[key] = loaded
    return loaded


def load_ears(factors: Mapping[int, Factors], yamnet: YamnetEmbedder) -> Ears:
    """Load the trunk that ships with ``earful-tiny`` and narrow it.

    Args:
        factors: By the number of the convolution that they narrow.
        yamnet: The other network.

    Raises:
        ModelError: The trunk's weights are missing or have changed.
    """
    trunk = tiny.read_trunk(tiny.read_release(), tiny.NAME)
    return Ears(NarrowNetwork(trunk, factors), yamnet)


class SmallEmbedder:
    """Embedder by two encoders; a ``ClassScorer``, a ``LabelNamer`` and a ``StepEmbedder``.

    The narrowed network hears windows of 100 frames (2.3 s) side by side, the last one aligned
    to the end; a shorter recording is repeated until it fills one. YAMNet hears the recording
    at 16 kHz, in patches of its own.

    Args:
        ears: Both networks, or what loads them when something is embedded first.
        heads: What joins them in a vector.
        fingerprint: To record in an index.
        read_maps: Reads what was fitted for words; called when a name is embedded first.

    Attributes:
        heads: What joins the networks.
    """

    def __init__(
        self,
        ears: Ears | Callable[[], Ears],
        heads: Heads,
        fingerprint: Fingerprint,
        read_maps: Callable[[], WordMaps],
    ) -> None:
        self._given_ears = ears
        self.heads = heads
        self._fingerprint = fingerprint
        self._read_maps = read_maps
        self._latest: dict[str, tuple[Clip, NDArray[np.float32]]] = {}

    __repr__ = embedder_repr

    @cached_property
    def ears(self) -> Ears:
        """Both networks."""
        return self._given_ears if isinstance(self._given_ears, Ears) else self._given_ears()

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides which vector a clip gets."""
        return self._fingerprint

    @property
    def n_classes(self) -> int:
        """Number of classes, 521."""
        return N_CLASSES

    @property
    def class_names(self) -> tuple[str, ...]:
        """Display names of AudioSet's classes, in the order of the scores."""
        return self.ears.yamnet.class_names

    def n_windows(self, n_samples: int) -> int:
        """Return how many windows of the narrowed network are averaged for so many samples."""
        return len(window_starts(frame_count(n_samples)))

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Embed a batch.

        Args:
            clips: ``n`` clips at 44100 Hz, of any length.

        Returns:
            float32, shape ``(n, dim)``; unit rows.

        Raises:
            ValueError: A clip has another sample rate.
            ModelError: A network gave numbers that are not finite, or a vector that is zero.
        """
        return self._join(self.ears.hear(clips))

    def embed_and_score(
        self, clips: Sequence[Clip]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embed a batch, with the scores of AudioSet's classes out of the same pass.

        Args:
            clips: ``n`` clips at 44100 Hz, of any length.

        Returns:
            float32 of shape ``(n, dim)``, unit rows; and float32 of shape ``(n, 521)``, YAMNet's
            logits, each the mean over a clip's patches.

        Raises:
            ValueError: A clip has another sample rate.
            ModelError: A network gave numbers that are not finite, or a vector that is zero.
        """
        heard = self.ears.hear(clips)
        vectors = self._join(heard)
        ends = np.cumsum([clip.samples.size for clip in clips])
        self._latest = {
            clip.content_sha256: (clip, vector)
            for clip, vector, end in zip(clips, vectors, ends, strict=True)
            if end <= _REMEMBERED
        }
        return vectors, self.ears.yamnet.scores_of(heard.pooled)

    def recall(self, content_sha256: str) -> tuple[Clip, NDArray[np.float32]] | None:
        """Return a clip that was embedded and scored in the last batch, with its vector.

        A recording that is asked about is embedded to find its shots, and right after heard by
        the language model.

        Args:
            content_sha256: Digest of the clip's content.

        Returns:
            ``None`` where it was not, or was beyond the first two minutes of the batch.
        """
        return self._latest.get(content_sha256)

    def text_weights(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return how much each class's score counts for each text; see ``ClassScorer``.

        Returns:
            float32, shape ``(m, 521)``; see ``ClassWords.search_weights``.

        Raises:
            PromptError: A text has no word that the table of words knows, or holds half a
                character.
            ModelError: The table of words is missing or not what it was at the release.
        """
        return self.ears.yamnet.text_weights(texts)

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts as the recordings that their words suggest; see ``label_words``.

        Args:
            texts: ``n`` texts in English; never read as anything but text.

        Returns:
            float32, shape ``(n, dim)``; unit rows.

        Raises:
            PromptError: A text has no word that the table of words knows, or holds half a
                character.
            ModelError: The weights of words are missing or not what they were at the release.
        """
        return self._words.imagined(texts).astype(np.float32)

    def label_words(self, names: Sequence[str]) -> LabelWords:
        """Return how clearly names of labels are heard in recordings; see ``LabelNamer``.

        Args:
            names: ``m`` names in English; of "-" and "_" either is read as a space.

        Raises:
            ModelError: The weights of words are missing or not what they were at the release.
        """
        return self._words.of_labels(names)

    def explain_text(self, text: str) -> str:
        """Return a warning where no class of AudioSet is near a text; ``""`` where one is.

        Raises:
            PromptError: The text has no word that the table of words knows, or holds half a
                character.
            ModelError: The table of words is missing or not what it was at the release.
        """
        return self.ears.yamnet.explain_text(text)

    def standardise(self, class_scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return class scores in standard deviations of the clips that it was fitted on.

        Args:
            class_scores: Logits, shape ``(..., 521)``.

        Raises:
            ModelError: The weights of words are missing or not what they were at the release.
        """
        return self._maps.standardise(class_scores)

    @property
    def steps_fingerprint(self) -> Fingerprint:
        """Everything that decides the vector of a window of a recording."""
        return self._steps.fingerprint

    @property
    def steps_rate(self) -> int:
        """Sample rate of ``embed_steps``, 44100 Hz."""
        return SAMPLE_RATE

    @property
    def step_samples(self) -> int:
        """Samples of a step, 8192."""
        return STEP_SAMPLES

    @property
    def margin_steps(self) -> int:
        """Steps of context on either side with which a part has the steps of the whole."""
        return MARGIN_STEPS

    @property
    def step_dim(self) -> int:
        """Numbers of a step."""
        return self._steps.dim

    def embed_steps(
        self, samples: NDArray[np.float32], *, band_hz: tuple[float, float] | None = None
    ) -> NDArray[np.float32]:
        """Embed a recording of any length as steps of 0.186 s; see ``StepEmbedder``.

        Raises:
            ValueError: The band holds none of the bands that it hears.
            ModelError: A network gave numbers that are not finite.
        """
        return self._steps.embed(samples, band_hz)

    def pool_steps(self, steps: NDArray[np.floating], length: int) -> NDArray[np.float32]:
        """Pool the vectors of all windows of ``length`` steps; see ``StepEmbedder``.

        Raises:
            ValueError: ``length`` is below 1, or ``steps`` are of another shape.
        """
        return self._steps.pool(steps, length)

    @cached_property
    def _steps(self) -> SmallSteps:
        return SmallSteps(lambda: self.ears.network, self.heads, self._fingerprint)

    @cached_property
    def _maps(self) -> WordMaps:
        return self._read_maps()

    @cached_property
    def _words(self) -> NameWords:
        return NameWords(self.ears.yamnet.class_words, self._maps)

    def _join(self, heard: Heard) -> NDArray[np.float32]:
        with np.errstate(invalid="ignore", over="ignore"):  # which is told of below
            means = self.heads.window_means(heard.outputs, heard.counts)
            vectors = self.heads.join(means, heard.pooled)
        require_directions(np.linalg.norm(vectors, axis=1), self._fingerprint.name)
        return vectors


# Whoever opens an index and loads the language model needs both networks once.
_in_use: WeakValueDictionary[tuple[str, ...], SmallEmbedder] = WeakValueDictionary()


def _for_yamnet(clip: Clip) -> Clip:
    """Return a clip as YAMNet takes it, however short or loud."""
    samples = clip.samples
    if samples.size < _FEWEST_SAMPLES:
        samples = np.pad(samples, (0, _FEWEST_SAMPLES - samples.size))
    if max(samples.max(), -samples.min()) > _LOUDEST:
        samples = samples.clip(-_LOUDEST, _LOUDEST)
    return resample(replace(clip, samples=samples), YAMNET_RATE)
