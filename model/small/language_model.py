"""The language model ``earful-small``: a small Flamingo with the small encoder.

The classes are Audio Flamingo's, the sizes are not: it was trained from scratch by
``training/flamingo`` on permissively licensed sounds, to weigh what speaks for each label of a
prompt. It hears the vectors that retrieval compares, and beside them how a recording goes
(``acoustics.py``), which they leave out. Beyond its exemplars it knows little: docs/small-model.md
says what it can do.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import Any, Final, cast, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from earful.errors import ModelError
from earful.model import runtime, tiny
from earful.model.audio import Clip, resample
from earful.model.flamingo import (
    MAX_SAMPLES,
    MAX_SECONDS,
    FlamingoConfig,
    FlamingoLanguageModel,
    FlamingoTokenizer,
    Mode,
    NumpyFlamingo,
    flamingo_shapes,
    read_samples,
)
from earful.model.kept_features import FeatureCache
from earful.model.prompt import ClipRef, Prompt, Prototype
from earful.model.runtime import Release, read_tensors, require_float32, require_shapes
from earful.model.small.acoustics import ACOUSTICS_RATE, N_DESCRIPTORS, describe_acoustics
from earful.model.small.embedder import SmallEmbedder, load_small
from earful.model.small.evidence import (
    N_CHANNELS,
    AcousticScale,
    channels,
    features_of_clip,
    features_of_label,
    likeness,
)
from earful.model.small.weights import NAME, WEIGHTS, read_small_release
from earful.model.tiny import SAMPLE_RATE

Features = NDArray[np.float32]
Numbers = NDArray[np.float64]

STYLE: Final = "brief"
_SECONDS_APART: Final = 3.4
"""Longest stretch that is heard as one: clips of training have three seconds at most."""
_DESCRIBED_IN_MEMORY: Final = 4096
_CAVEAT = (
    "earful-small is a small model: it names sounds by the exemplars it is shown, and what it says "
    "without any is seldom right; --model takes a larger one"
)


def load_small_lm(
    name: str = NAME,
    *,
    device: str = "auto",
    dtype: str = "auto",
    decoding: str = "full",
    slots: int | None = None,
) -> SmallLanguageModel:
    """Load the shipped language model.

    Args:
        name: The registered name, or a folder of one's own, as ``training.small`` and
            ``training.flamingo`` write it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; it computes on the CPU
            whichever is given.
        dtype: ``"float32"`` or ``"auto"``, which is the same.
        decoding: ``"full"``, the only way it was trained.
        slots: Places for audio; ``None`` for as many as a prompt has audios.

    Raises:
        UnknownNameError: The device is none of these.
        ModelError: Another choice is unknown, or the weights are missing or have changed since
            the release was made.
    """
    require_float32(dtype, name)
    if decoding not in get_args(Mode):
        raise ModelError(f"decoding {decoding!r}, expected {' or '.join(get_args(Mode))}")
    release = read_small_release(name)
    if missing := [part for part in ("flamingo", "acoustics") if part not in release.parts]:
        raise ModelError(
            f"{name}: {WEIGHTS.description} has no {' and no '.join(missing)}, so it is no "
            "language model; train one with `python -m training.flamingo`"
        )
    blend = release.parts["flamingo"]["blend"]
    config = FlamingoConfig.from_dict(release.parts["flamingo"]["config"])
    weights = read_tensors(runtime.read_part(release, "flamingo", name), name)
    require_shapes(weights, flamingo_shapes(config), name)
    embedder = load_small(name, device=device)
    return SmallLanguageModel(
        hearing=SmallHearing(embedder, _read_scale(release, name)),
        network=NumpyFlamingo(config, weights),
        tokenizer=FlamingoTokenizer.from_bytes(
            runtime.read_part(tiny.read_release(), "tokenizer"), source=name
        ),
        name=release.name,
        weights_sha256=release.digest_of("encoder", "words", "flamingo", "acoustics"),
        decoding=cast(Mode, decoding),
        slots=slots,
        licence=release.licence,
        lists_labels=False,
        style=STYLE,
        caveat=_CAVEAT,
        writes_captions=False,
        prototypes_by=embedder.fingerprint.weights_sha256,
        blend=(float(blend["weight"]), float(blend["temperature"])),
    )


class SmallHearing:
    """Window encoder: up to W stretches of a recording, each a vector, and how it goes.

    Args:
        embedder: Embeds stretches.
        scale: Of acoustic descriptors.
    """

    max_seconds = MAX_SECONDS

    def __init__(self, embedder: SmallEmbedder, scale: AcousticScale) -> None:
        self.embedder = embedder
        self.scale = scale
        self.maker = f"1:{embedder.fingerprint.weights_sha256}:{N_DESCRIPTORS}"

    def hear(self, ref: ClipRef) -> Features:
        """Return the vectors of a recording's stretches, and beside each how all of it goes.

        Returns:
            float32, shape ``(n, dim + N_DESCRIPTORS)``, 1 to 4 stretches of equal length.
        """
        # An exemplar's file may have changed since its label was given; reading it tells.
        known = None if ref.is_exemplar else self.embedder.recall(self.content_of(ref))
        if known is None or known[0].samples.size > MAX_SAMPLES:
            known, samples = None, read_samples(ref, mode="full")[:MAX_SAMPLES]
        else:
            samples = known[0].samples
        n = min(4, max(1, round(samples.size / SAMPLE_RATE / _SECONDS_APART)))
        if known is not None and n == 1:
            vectors = known[1][None]
        else:
            parts = np.array_split(samples, n)
            clips = [Clip(samples=part, sample_rate=SAMPLE_RATE) for part in parts]
            vectors = self.embedder.embed(clips)
        described = np.repeat(self._describe(samples)[None], n, axis=0)
        return np.concatenate([vectors, described.astype(np.float32)], axis=1)

    def describe(self, ref: ClipRef) -> Features:
        """Return how a recording goes, without a network; shape ``(1, N_DESCRIPTORS)``."""
        samples = read_samples(ref, mode="full")[:MAX_SAMPLES]
        return self._describe(samples)[None].astype(np.float32)

    def silence(self) -> Features:
        """Return the features of an empty window: zeros, as in training."""
        return np.zeros((1, self.embedder.fingerprint.dim + N_CHANNELS), dtype=np.float32)

    def content_of(self, ref: ClipRef) -> str:
        """Return a key that identifies what is heard of a recording; see ``WindowEncoder``."""
        return ref.known_content

    def _describe(self, samples: NDArray[np.float32]) -> Numbers:
        clip = resample(Clip(samples=samples, sample_rate=SAMPLE_RATE), ACOUSTICS_RATE)
        return self.scale.rows(describe_acoustics(clip.samples))


class SmallLanguageModel(FlamingoLanguageModel):
    """Small Flamingo whose audios carry evidence, each beside the query.

    Args:
        hearing: Its window encoder.
        options: As for ``FlamingoLanguageModel``, but for the encoder.
    """

    def __init__(self, *, hearing: SmallHearing, **options: Any) -> None:
        super().__init__(encoder=hearing, **options)
        self.hearing = hearing
        described = f"descriptors:{hearing.maker}"
        self._descriptions = hashlib.sha256(described.encode()).hexdigest()[:32]
        self._dim = hearing.embedder.fingerprint.dim
        self._described: OrderedDict[str, Features] = OrderedDict()
        self._one_at_a_time = Lock()

    def features_of(self, prompt: Prompt) -> list[Features]:
        """Return the features of each of a prompt's places for audio, in order.

        Raises:
            AudioError: A recording cannot be read.
        """
        *shots, _ = prompt.places
        query = self.features(prompt.clips[-1])
        own = query[0, self._dim :]
        found = [self._beside(place, query, own) for place in shots]
        return [*found, features_of_clip(query[:, : self._dim], channels(is_query=True))]

    def _beside(self, place: ClipRef | Prototype, query: Features, own: Features) -> Features:
        if isinstance(place, ClipRef):
            heard = self.features(place)
            alike = channels(
                similarity=float(_mean(heard[:, : self._dim]) @ _mean(query[:, : self._dim])),
                acoustics=likeness(heard[:1, self._dim :], own),
            )
            return features_of_clip(heard[:, : self._dim], alike)
        rows = [self._describe(clip) for clip in place.clips]
        return features_of_label(
            self._dim,
            channels(
                similarity=place.similarity,
                heard=place.heard,
                acoustics=likeness(np.concatenate(rows), own) if rows else None,
                is_label=True,
            ),
        )

    def encode_exemplar(self, clip: ClipRef) -> None:
        """Store an exemplar's features in the cache; see ``KeepsFeatures``."""
        super().encode_exemplar(clip)
        self._describe(clip)

    def describe_exemplar(self, clip: ClipRef) -> None:
        """Store what a label's prototype takes of an exemplar; see ``DescribesExemplars``."""
        self._describe(clip)

    def keep_features(self, cache: FeatureCache) -> None:
        """Look up exemplars' features in a cache, and store new ones there."""
        super().keep_features(cache)
        self._described.clear()

    def _describe(self, clip: ClipRef) -> Features:
        """Return how an exemplar goes, from memory or a cache where possible."""
        content = self.encoder.content_of(clip)
        with self._one_at_a_time:
            if content and content in self._described:
                self._described.move_to_end(content)
                return self._described[content]
        key = f"{self._descriptions}/{content}" if content else ""
        cache = self._cache if key else None
        found = cache.get(key) if cache is not None else None
        if found is None:
            with clip.naming_exemplar():
                found = self.hearing.describe(clip)
            if cache is not None:
                cache.put(key, found)
        if content:
            with self._one_at_a_time:
                self._described[content] = found
                if len(self._described) > _DESCRIBED_IN_MEMORY:
                    self._described.popitem(last=False)
        return found


def _mean(vectors: Features) -> NDArray[np.float64]:
    total = vectors.astype(np.float64).sum(axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-9))


def _read_scale(release: Release, name: str) -> AcousticScale:
    try:
        return AcousticScale.from_tensors(load(runtime.read_part(release, "acoustics", name)))
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(
            f"{name}: not a scale of acoustic descriptors ({error}); use an undamaged one"
        ) from error
