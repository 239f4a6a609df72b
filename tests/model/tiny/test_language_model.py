import hashlib
import json
import shutil
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save

from earful.errors import ModelError
from earful.model import ClipRef, LanguageModel, Prompt, Text
from earful.model.audio import Clip
from earful.model.flamingo import Control, Flamingo, FlamingoLanguageModel, FlamingoTokenizer
from earful.model.flamingo.window_encoders import WindowEncoder
from earful.model.runtime import release
from earful.model.tiny import (
    TinyEmbedder,
    TinyWindows,
    load_tiny,
    load_tiny_lm,
    read_part,
    read_release,
    spans,
)
from earful.testing import tiny_flamingo_config

RATE = 44100
WIDTH = 4
DIM = 256
MOST = round(33.25 * RATE)


@cache
def embedder() -> TinyEmbedder:
    return load_tiny(device="cpu")


@pytest.fixture(scope="module")
def windows() -> TinyWindows:
    return TinyWindows(embedder(), WIDTH)


def clip(seed: int, n_samples: int = RATE // 2, sample_rate: int = RATE) -> Clip:
    """Make noise that grows louder, so that its segments differ."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=n_samples) * np.linspace(0.01, 0.2, n_samples)
    return Clip(samples=samples.astype(np.float32), sample_rate=sample_rate)


def assert_features(found: NDArray[np.float32], n_rows: int) -> None:
    assert found.shape == (n_rows, DIM)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 4.0, rtol=1e-5)


# --- what it hears ----------------------------------------------------------------------


def test_half_a_second_is_one_feature_in_the_direction_of_its_vector(windows: TinyWindows) -> None:
    heard = windows.hear(ClipRef(audio=clip(0)))
    assert_features(heard, 1)
    np.testing.assert_allclose(heard, 4 * embedder().embed([clip(0)]), atol=1e-4)


@pytest.mark.parametrize(("seconds", "n_rows"), [(2.0, 1), (3.0, 2), (4.5, 3), (5.5, 4), (9.0, 4)])
def test_a_longer_recording_has_up_to_as_many_features_as_a_slot_has_windows(
    windows: TinyWindows, seconds: float, n_rows: int
) -> None:
    assert_features(windows.hear(ClipRef(audio=clip(0, round(seconds * RATE)))), n_rows)


def test_what_is_beyond_the_longest_segment_is_not_heard(windows: TinyWindows) -> None:
    whole = clip(0, MOST + 5 * RATE)
    cut = Clip(samples=whole.samples[:MOST], sample_rate=RATE)
    heard = windows.hear(ClipRef(audio=cut))
    assert_features(heard, 4)
    np.testing.assert_array_equal(windows.hear(ClipRef(audio=whole)), heard)
    assert np.abs(heard[0] - heard[3]).max() > 1e-3


def test_other_rates_are_resampled(windows: TinyWindows) -> None:
    assert_features(windows.hear(ClipRef(audio=clip(0, 48_000, sample_rate=16_000))), 2)


def test_silence_is_nothing_at_all(windows: TinyWindows) -> None:
    assert windows.silence().shape == (1, DIM)
    assert not windows.silence().any()
    # A silent recording is a recording all the same.
    silent = Clip(samples=np.zeros(RATE, np.float32), sample_rate=RATE)
    assert_features(windows.hear(ClipRef(audio=silent)), 1)


def test_keys_of_caches_tell_content_and_maker(windows: TinyWindows) -> None:
    encoder: WindowEncoder = windows
    assert encoder.max_seconds == 33.25
    assert encoder.content_of(ClipRef(audio=clip(1))) == clip(1).content_sha256
    file = ClipRef(audio=Path("/s/a.wav"), start_s=1.0, content_sha256="ab12")
    assert encoder.content_of(file) == "ab12"
    assert encoder.content_of(replace(file, content_sha256="")) == ""
    assert embedder().fingerprint.weights_sha256 in encoder.maker
    assert TinyWindows(embedder(), 5).maker != encoder.maker


# --- segments ---------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_segments_cover_all_windows_in_order_and_alike(n: int, most: int, seed: int) -> None:
    found = spans(np.eye(n, dtype=np.float32), most)
    assert found.shape == (min(n, most), n)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 4.0, rtol=1e-5)
    # Each window of an identity is a column: it is in one segment, and segments follow on.
    owners = [row.nonzero()[0] for row in found.T]
    assert [len(rows) for rows in owners] == [1] * n
    order = np.concatenate(owners)
    assert (np.diff(order) >= 0).all()
    sizes = np.bincount(order)
    assert sizes.max() - sizes.min() <= 1
    vectors = np.random.default_rng(seed).normal(size=(n, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    segments = spans(vectors, most)
    assert segments.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(segments, axis=1), 4.0, rtol=1e-4)
    if n <= most:
        np.testing.assert_allclose(segments, 4 * vectors, rtol=1e-5, atol=1e-5)


def test_windows_that_cancel_out_give_no_numbers_that_are_not() -> None:
    one = np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)
    assert spans(one, 1).tolist() == [[0.0, 0.0]]


# --- the language model, of random weights ----------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> FlamingoLanguageModel:
    """Load a model whose own part has random weights, and the others are those that ship."""
    weights = tmp_path_factory.mktemp("package") / "weights"
    shutil.copytree(Path(str(files("earful.model.tiny"))) / "weights", weights)
    tokenizer = FlamingoTokenizer.from_bytes(
        read_part(read_release(), "tokenizer"), source="tokenizer"
    )
    config = replace(
        tiny_flamingo_config(),
        audio_dim=DIM,
        windows_per_audio=WIDTH,
        max_positions=256,
        vocab_size=tokenizer.vocab_size,
        audio_id=tokenizer.id_of(Control.AUDIO),
        end_of_chunk_id=tokenizer.id_of(Control.END_OF_CHUNK),
        separator_id=tokenizer.id_of(Control.SEPARATOR),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Flamingo(config).state_dict()
    # Closed gates, as a new model has them, would make every answer deaf.
    opened = {k: torch.ones(1) if k.endswith("gate") else x.clone() for k, x in state.items()}
    data = save(opened)
    (weights / "random.safetensors").write_bytes(data)
    told = json.loads((weights / "earful-tiny.json").read_text())
    told["parts"]["flamingo"] = {
        "file": "random.safetensors",
        "sha256": hashlib.sha256(data).hexdigest(),
        "config": config.to_dict(),
    }
    (weights / "earful-tiny.json").write_text(json.dumps(told))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "files", lambda package: weights.parent)
        loaded = load_tiny_lm(device="cpu")
        parts = read_release().digest_of("trunk", "clap", "flamingo", "tokenizer")
        assert loaded.capabilities.weights_sha256 == parts
        for wish in ({"dtype": "int4"}, {"decoding": "loud"}, {"device": "tpu"}):
            with pytest.raises(ModelError, match=next(iter(wish.values()))):
                load_tiny_lm(**wish)  # type: ignore[arg-type]
    return loaded


def ask(*shots: tuple[int, str], query: Clip) -> Prompt:
    parts: list[Text | ClipRef] = [Text(kind="system", text="The task is event classification.")]
    for seed, answer in shots:
        parts += [
            ClipRef(audio=clip(seed), is_exemplar=True),
            Text(kind="exemplar", text="Classify this sound."),
            Text(kind="exemplar", text=answer, is_answer=True),
        ]
    parts += [ClipRef(audio=query), Text(kind="user", text="Classify this sound.")]
    return Prompt(parts=tuple(parts))


def test_a_loaded_model_says_what_it_is(model: FlamingoLanguageModel) -> None:
    assert isinstance(model, LanguageModel)
    told = model.capabilities
    assert (told.name, told.licence, told.max_seconds_per_audio) == (
        "earful-tiny",
        "CC-BY-4.0",
        33.25,
    )
    assert not told.lists_labels
    assert "small model" in told.caveat
    assert told.max_text_tokens == 256  # what it has positions for


def test_a_longer_recording_is_measured_as_cut(model: FlamingoLanguageModel) -> None:
    (cut,) = model.measure(ask(query=clip(0, MOST + RATE))).cut
    assert cut == "clip: only the first 33.25 s of 34.25 s are heard"
    assert model.measure(ask(query=clip(0, MOST))).cut == ()


def test_a_prompt_holds_the_features_of_its_recordings(
    model: FlamingoLanguageModel, windows: TinyWindows
) -> None:
    batch = model.batch(ask((1, "dog"), query=clip(2, 3 * RATE)))
    assert batch.features.shape == (1, 2 * WIDTH, DIM)
    assert batch.window_mask.tolist() == [[True, False, False, False, True, True, False, False]]
    for row, seed, n_samples in ((slice(0, 1), 1, RATE // 2), (slice(4, 6), 2, 3 * RATE)):
        heard = windows.hear(ClipRef(audio=clip(seed, n_samples)))
        np.testing.assert_allclose(batch.features[0, row], heard, atol=1e-4)
    assert not batch.features[0, 1:4].any()


def test_audio_words_and_case(model: FlamingoLanguageModel) -> None:
    def scored(prompt: Prompt) -> NDArray[np.float64]:
        return np.array([s.sum() for s in model.score(prompt, ["dog", "rain on a roof"])])

    base = scored(ask((1, "dog"), query=clip(2)))
    assert np.isfinite(base).all()
    for other in (ask((3, "dog"), query=clip(2)), ask((1, "cat"), query=clip(2))):
        assert np.abs(scored(other) - base).max() > 1e-5
    np.testing.assert_allclose(scored(ask((1, "DOG "), query=clip(2))), base, atol=1e-5)
    assert model.generate(ask((1, "dog"), query=clip(2))).n_tokens >= 1
