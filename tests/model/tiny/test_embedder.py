from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.demo import DemoCorpus
from earful.errors import ModelError, PromptError
from earful.model import TextEmbedder
from earful.model.audio import Clip, load_audio
from earful.model.tiny import embedder as tiny
from earful.model.tiny import read_release

Samples = NDArray[np.float32]
Wave = Callable[[int], Samples]
DIM = 256
LONG = "a dog barks in the street, " * 40


@cache
def load() -> tiny.TinyEmbedder:
    return tiny.load_tiny(device="cpu")


@pytest.fixture
def embedder() -> tiny.TinyEmbedder:
    return load()


def clip(samples: Samples, sample_rate: int = 44100) -> Clip:
    return Clip(samples=samples.astype(np.float32), sample_rate=sample_rate)


def assert_unit(vectors: NDArray[np.float32], n: int) -> None:
    assert vectors.shape == (n, DIM)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_it_is_what_it_says(embedder: tiny.TinyEmbedder) -> None:
    assert isinstance(embedder, TextEmbedder)
    told = embedder.fingerprint
    assert (told.name, told.dim, told.sample_rate, told.dtype) == (
        "earful-tiny",
        DIM,
        44100,
        "float32",
    )
    release = read_release()
    assert told.revision == release.number
    assert told.weights_sha256 == release.digest_of("trunk", "clap", "tokenizer")
    again = tiny.load_tiny(revision=release.number, device="cpu").fingerprint
    assert again == told


# --- recordings -------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=5)
@given(st.lists(st.integers(1, 120_000), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_a_clip_has_the_same_vector_alone_and_in_a_batch(lengths: list[int], seed: int) -> None:
    embedder = load()
    rng = np.random.default_rng(seed)
    clips = [clip(0.1 * rng.standard_normal(n).astype(np.float32)) for n in lengths]
    batch = embedder.embed(clips)
    single = np.concatenate([embedder.embed([one]) for one in clips])
    np.testing.assert_allclose(batch, single, atol=1e-5)
    assert_unit(batch, len(lengths))


@pytest.mark.parametrize(
    "n_clips", [1, 2, 3, *(pytest.param(n, marks=pytest.mark.slow) for n in (9, 17))]
)
def test_the_number_of_threads_changes_no_bit(
    embedder: tiny.TinyEmbedder, wave: Wave, n_clips: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [clip(wave(60_000 + 1000 * number)) for number in range(n_clips)]
    found = []
    for n_threads in (1, 2, 3):
        monkeypatch.setenv("OMP_NUM_THREADS", str(n_threads))
        found.append(embedder.embed(clips).tobytes())
    assert found[1:] == found[:1] * 2


def embed_windows(embedder: tiny.TinyEmbedder, one: Clip) -> Samples:
    """Embed each window of a clip by itself, in order of time."""
    windows = list(embedder._front_end.windows(one.samples))
    return embedder.encode(windows).astype(np.float32)


@pytest.mark.parametrize("n_samples", [1, 44100, 99 * 1024, 5 * 44100, 14 * 44100])
def test_a_clips_vector_is_the_direction_of_its_windows_mean(
    embedder: tiny.TinyEmbedder, wave: Wave, n_samples: int
) -> None:
    one = clip(wave(n_samples))
    windows = embed_windows(embedder, one)
    # Windows of 100 frames every 50, of 1 + ceil(n / 1024) frames; the last one at the end.
    n_frames = max(100, 1 + -(-n_samples // 1024))
    assert_unit(windows, 1 + -(-(n_frames - 100) // 50))
    mean = windows.mean(axis=0)
    (vector,) = embedder.embed([one])
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_windows_are_in_order_of_time(embedder: tiny.TinyEmbedder, wave: Wave) -> None:
    first, last = wave(99 * 1024), np.random.default_rng(0).normal(size=99 * 1024) * 0.1
    both = np.concatenate([first, last.astype(np.float32)])
    windows = embed_windows(embedder, clip(both))
    alone = embedder.embed([clip(first), clip(both[99 * 1024 :])])
    similarities = windows @ alone.T
    assert similarities[0].argmax() == 0
    assert similarities[-1].argmax() == 1


@pytest.mark.parametrize("n_samples", [99 * 1024, 149 * 1024])
def test_the_published_outputs_can_be_had_to_compare_with(
    embedder: tiny.TinyEmbedder, wave: Wave, published: Mapping[str, Samples], n_samples: int
) -> None:
    outputs = embedder.published_outputs(clip(wave(n_samples)))
    wanted = published[f"{n_samples}.outputs"]
    assert outputs.shape == wanted.shape
    np.testing.assert_allclose(outputs, wanted, atol=2e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("n_samples", [1, 2048, 44100])
def test_silence_has_a_finite_unit_vector(embedder: tiny.TinyEmbedder, n_samples: int) -> None:
    assert_unit(embedder.embed([clip(np.zeros(n_samples, np.float32))]), 1)


def test_samples_far_beyond_full_scale_have_a_finite_vector(
    embedder: tiny.TinyEmbedder, wave: Wave
) -> None:
    assert_unit(embedder.embed([clip(np.float32(1e30) * wave(3000))]), 1)


def test_another_sample_rate_is_refused(embedder: tiny.TinyEmbedder, wave: Wave) -> None:
    other = clip(wave(4000), sample_rate=16000)
    with pytest.raises(ValueError, match="expected 44100 Hz"):
        embedder.embed([other])
    with pytest.raises(ValueError, match="expected 44100 Hz"):
        embedder.published_outputs(other)


def test_nothing_gives_no_vectors(embedder: tiny.TinyEmbedder) -> None:
    assert embedder.embed([]).shape == (0, DIM)
    assert embedder.embed_text([]).shape == (0, DIM)


def test_numbers_that_are_not_finite_are_told(
    embedder: tiny.TinyEmbedder, wave: Wave, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in (0.0, float("nan")):
        monkeypatch.setattr(
            embedder, "encode", lambda windows, x=wrong: np.full((len(windows), DIM), x)
        )
        with pytest.raises(ModelError, match="a vector is zero or not finite"):
            embedder.embed([clip(wave(3000))])


# --- texts ------------------------------------------------------------------------------


def test_texts_of_different_length_have_the_same_vectors_alone(
    embedder: tiny.TinyEmbedder,
) -> None:
    texts = [
        "dog",
        "",
        "rain on a tin roof, far away",
        LONG,
        "🐕 狗 café\n\t",
        "\x00",
        "</s><audio>",
    ]
    together = embedder.embed_text(texts)
    assert_unit(together, len(texts))
    for text, vector in zip(texts, together, strict=True):
        (alone,) = embedder.embed_text([text])
        np.testing.assert_allclose(alone, vector, atol=1e-5)
    assert np.abs(together[0] - together[2]).max() > 1e-2


def test_more_texts_than_are_read_at_once_keep_their_order(embedder: tiny.TinyEmbedder) -> None:
    texts = ["a dog", *["a cat that purrs on a sofa"] * 98, "a dog"]
    vectors = embedder.embed_text(texts)
    assert_unit(vectors, 100)
    np.testing.assert_allclose(vectors[0], vectors[-1], atol=1e-5)
    np.testing.assert_allclose(vectors[1:-1], np.tile(vectors[1], (98, 1)), atol=1e-5)


@settings(max_examples=20)
@given(st.text(max_size=40))
def test_any_text_has_a_unit_vector(text: str) -> None:
    assert_unit(load().embed_text([text]), 1)


@settings(max_examples=20)
@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=40))
def test_neither_case_nor_spaces_around_matter(text: str) -> None:
    lower, upper, wide = load().embed_text([text.lower(), text.upper(), f" \n{text}\t "])
    np.testing.assert_allclose(upper, lower, atol=1e-5)
    np.testing.assert_allclose(wide, lower, atol=1e-5)


def test_what_is_beyond_the_most_tokens_is_not_read(embedder: tiny.TinyEmbedder) -> None:
    ids = tiny.text_ids(embedder._tokenizer, LONG)
    assert len(ids) == 64
    assert 1 <= len(tiny.text_ids(embedder._tokenizer, "")) < 64
    one, other = embedder.embed_text([LONG, LONG + "and a cat"])
    np.testing.assert_array_equal(one, other)


def test_half_a_character_is_refused(embedder: tiny.TinyEmbedder) -> None:
    with pytest.raises(PromptError, match="half a character"):
        embedder.embed_text(["a dog", "a dog \ud83d"])


@pytest.mark.slow
def test_recordings_are_nearer_to_the_words_for_them_than_to_others(
    embedder: tiny.TinyEmbedder,
) -> None:
    folders = sorted(path for path in DemoCorpus.find().sounds.iterdir() if path.is_dir())
    clips = [load_audio(min(folder.iterdir()), sample_rate=44100) for folder in folders]
    words = embedder.embed_text([folder.name.replace("-", " ") for folder in folders])
    similarities = embedder.embed(clips) @ words.T
    # Of each word's: how loudly it is said of everything else is no merit of a recording.
    standard = (similarities - similarities.mean(axis=0)) / similarities.std(axis=0)
    assert standard.diagonal().mean() > 0.5  # 0 for towers that share nothing


# --- loading ----------------------------------------------------------------------------


def test_loading_leaves_the_random_numbers_of_the_caller_alone() -> None:
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    tiny.load_tiny(device="cpu")
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("wish", [{"revision": "main"}, {"dtype": "bfloat16"}, {"device": "tpu"}])
def test_what_is_not_there_is_refused(wish: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=next(iter(wish.values()))):
        tiny.load_tiny(**wish)


@pytest.mark.gpu
def test_a_gpu_gives_the_vectors_of_the_cpu(wave: Wave) -> None:
    clips = [clip(wave(n_samples)) for n_samples in (30_000, 99 * 1024, 149 * 1024)]
    on_gpu = tiny.load_tiny(device="cuda")
    np.testing.assert_allclose(on_gpu.embed(clips), load().embed(clips), atol=1e-4)
    texts = ["a dog", LONG, ""]
    np.testing.assert_allclose(on_gpu.embed_text(texts), load().embed_text(texts), atol=1e-4)
