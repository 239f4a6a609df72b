"""What ``earful.model.protocols.Embedder`` promises, kept by every one that needs no hub."""

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.model import (
    ClassScorer,
    Embedder,
    Fingerprint,
    TextEmbedder,
    list_embedders,
    load_embedder,
)
from earful.model.audio import Clip

NAMES = [entry.name for entry in list_embedders() if entry.kind != "hub"]
# None levels recordings: all say so, and a quiet far-off sound is not a loud near one.
KEEP_LOUDNESS = {"earful-small", "earful-tiny", "logmel", "yamnet"}

embedders = pytest.mark.parametrize("name", NAMES)
TEXT_NAMES = [entry.name for entry in list_embedders() if entry.text and entry.kind != "hub"]
text_embedders = pytest.mark.parametrize("name", TEXT_NAMES)


@cache
def embedder_of(name: str) -> Embedder:
    return load_embedder(name, device="cpu")


def clip(embedder: Embedder, samples: NDArray[np.floating]) -> Clip:
    rate = embedder.fingerprint.sample_rate
    return Clip(samples=samples.astype(np.float32, copy=False), sample_rate=rate)


def sound(n_samples: int, seed: int) -> NDArray[np.float64]:
    """A decaying tone in noise, other for every seed."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples) / 44100
    tone = np.sin(2 * np.pi * rng.uniform(80, 6000) * t) * np.exp(-rng.uniform(0, 8) * t)
    return np.asarray(0.3 * tone + 0.03 * rng.standard_normal(n_samples))


@embedders
def test_it_is_an_embedder_that_says_its_name(name: str) -> None:
    embedder = embedder_of(name)
    assert isinstance(embedder, Embedder)
    assert embedder.fingerprint.name == name


@embedders
@settings(max_examples=6, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 130_000), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_rows_are_finite_unit_vectors_whatever_stands_beside_them(
    name: str, lengths: list[int], seed: int
) -> None:
    embedder = embedder_of(name)
    clips = [clip(embedder, sound(n, seed + i)) for i, n in enumerate(lengths)]
    batch = embedder.embed(clips)
    assert batch.dtype == np.float32
    assert batch.shape == (len(clips), embedder.fingerprint.dim)
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1.0, atol=1e-5)
    single = np.concatenate([embedder.embed([one]) for one in clips])
    np.testing.assert_allclose(batch, single, atol=1e-5)


@embedders
def test_no_clips_give_no_rows(name: str) -> None:
    embedder = embedder_of(name)
    assert embedder.embed([]).shape == (0, embedder.fingerprint.dim)


@embedders
@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(1),
        np.zeros(44100),
        np.ones(1),
        np.full(44100, -1.0),
        np.full(5000, 1e-38),
        np.full(5000, 3e38),
    ],
    ids=["silent sample", "silence", "one sample", "constant", "denormal", "huge"],
)
def test_degenerate_clips_have_finite_unit_vectors(name: str, samples: NDArray[np.float64]) -> None:
    embedder = embedder_of(name)
    (vector,) = embedder.embed([clip(embedder, samples)])
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


@embedders
def test_equal_clips_have_equal_vectors_and_others_are_farther(name: str) -> None:
    embedder = embedder_of(name)
    one, again, other = embedder.embed([clip(embedder, sound(60_000, seed)) for seed in (1, 1, 2)])
    np.testing.assert_allclose(again, one, atol=1e-6)
    assert one @ again > one @ other + 1e-3


@embedders
def test_clips_are_not_changed(name: str) -> None:
    embedder = embedder_of(name)
    samples = np.full(200_000, 3e38, np.float32)
    samples.flags.writeable = False
    embedder.embed([clip(embedder, samples)])
    assert np.array_equal(samples, np.full(200_000, 3e38, np.float32))


@embedders
def test_loudness_counts_only_where_that_is_said(name: str) -> None:
    embedder = embedder_of(name)
    loud = sound(60_000, 3)
    one, soft = embedder.embed([clip(embedder, loud), clip(embedder, loud / 30)])
    assert (one @ soft < 0.999) == (name in KEEP_LOUDNESS)


@embedders
def test_another_sample_rate_is_refused_naming_the_clip(name: str) -> None:
    embedder = embedder_of(name)
    right = clip(embedder, sound(1000, 0))
    rate = embedder.fingerprint.sample_rate
    wrong = Clip(samples=right.samples, sample_rate=rate // 2)
    with pytest.raises(ValueError, match=rf"clip 1 .*{rate // 2} Hz, expected {rate} Hz"):
        embedder.embed([right, wrong])


@embedders
def test_the_fingerprint_is_stable_and_survives_json(name: str) -> None:
    fingerprint = embedder_of(name).fingerprint
    assert load_embedder(name, device="cpu").fingerprint == fingerprint
    assert Fingerprint.from_dict(json.loads(json.dumps(fingerprint.to_dict()))) == fingerprint


@embedders
def test_it_loads_again_from_what_its_fingerprint_says(name: str) -> None:
    wanted = embedder_of(name).fingerprint
    found = load_embedder(wanted.name, revision=wanted.revision, device="cpu", dtype=wanted.dtype)
    assert found.fingerprint == wanted


@embedders
def test_it_embeds_text_if_the_registry_says_so(name: str) -> None:
    assert isinstance(embedder_of(name), TextEmbedder) == (name in TEXT_NAMES)


@text_embedders
def test_texts_are_unit_rows_of_the_same_space_whatever_stands_beside_them(name: str) -> None:
    embedder = embedder_of(name)
    assert isinstance(embedder, TextEmbedder)
    texts = ["a dog barking", "piano", "a piano", "thunder, far off"]
    batch = embedder.embed_text(texts)
    assert batch.dtype == np.float32
    assert batch.shape == (len(texts), embedder.fingerprint.dim)
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1.0, atol=1e-5)
    single = np.concatenate([embedder.embed_text([text]) for text in texts])
    np.testing.assert_allclose(batch, single, atol=1e-5)
    assert batch[1] @ batch[2] > batch[1] @ batch[0]
    assert embedder.embed_text([]).shape == (0, embedder.fingerprint.dim)


@text_embedders
def test_classes_are_scored_in_the_pass_that_embeds(name: str) -> None:
    embedder = embedder_of(name)
    if not isinstance(embedder, ClassScorer):
        pytest.skip(f"{name} scores no classes")
    clips = [clip(embedder, sound(20_000, seed)) for seed in range(3)]
    vectors, scores = embedder.embed_and_score(clips)
    np.testing.assert_array_equal(vectors, embedder.embed(clips))
    assert scores.dtype == np.float32
    assert scores.shape == (3, embedder.n_classes)
    assert np.isfinite(scores).all()
    texts = ["a dog barking", "piano"]
    weights = embedder.text_weights(texts)
    assert weights.dtype == np.float32
    assert weights.shape == (2, embedder.n_classes)
    assert np.isfinite(weights).all()
    assert embedder.text_weights([]).shape == (0, embedder.n_classes)
