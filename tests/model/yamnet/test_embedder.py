import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful import FewShot
from earful.demo import DemoCorpus
from earful.errors import ModelError
from earful.model import TextEmbedder, load_embedder
from earful.model.audio import Clip, load_audio
from earful.model.yamnet import YamnetEmbedder, load_yamnet, read_yamnet_release
from earful.model.yamnet.front_end import n_patches

Samples = NDArray[np.float32]
DEMO = DemoCorpus.find().sounds.parent

# What the float network said in another implementation (ONNX Runtime) of recordings that ship:
# patches, mean of the pooled embedding, and the three highest mean logits.
GOLDEN = {
    "sounds/bird/bird.flac": (
        2,
        0.0715,
        {"Animal": -2.95, "Bird": -3.32, "Wild animals": -3.66},
    ),
    "sounds/bell/tubular-bells-c7.flac": (
        2,
        0.0706,
        {"Music": -1.12, "Bell": -2.09, "Musical instrument": -2.15},
    ),
    "sounds/cymbal/ride1.flac": (
        2,
        0.1093,
        {"Music": 4.77, "Cymbal": -0.89, "Hi-hat": -2.01},
    ),
    "unseen/queries/door/doors-fencegate-close.flac": (
        1,
        0.0560,
        {"Keys jangling": -0.57, "Engine starting": -2.17, "Motor vehicle (road)": -2.39},
    ),
    "unseen/queries/laughter/clonk-skin-steampunk-laughter1.flac": (
        2,
        0.0522,
        {"Speech": -2.06, "Laughter": -2.18, "Inside, small room": -2.95},
    ),
    "unseen/queries/thunder/environment-lightning-thunder5.flac": (
        2,
        0.0696,
        {"Explosion": 0.94, "Fireworks": 0.72, "Firecracker": -0.90},
    ),
}


@cache
def load() -> YamnetEmbedder:
    return load_yamnet(device="cpu")


@pytest.fixture
def embedder() -> YamnetEmbedder:
    return load()


def clip(samples: NDArray[np.floating], sample_rate: int = 16_000) -> Clip:
    return Clip(samples=samples.astype(np.float32), sample_rate=sample_rate)


def noise(n_samples: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(scale=0.1, size=n_samples)


def heard(embedder: YamnetEmbedder, samples: NDArray[np.floating], n: int) -> list[str]:
    (scores,) = embedder.class_scores([clip(samples)])
    return [embedder.class_names[number] for number in np.argsort(-scores)[:n]]


def test_it_is_what_it_says(embedder: YamnetEmbedder) -> None:
    told = embedder.fingerprint
    assert (told.name, told.dim, told.sample_rate, told.dtype) == (
        "yamnet",
        1024,
        16_000,
        "float32",
    )
    release = read_yamnet_release()
    assert told.revision == release.number
    assert told.weights_sha256 == release.parts["network"]["sha256"]
    assert isinstance(embedder, TextEmbedder)
    again = load_embedder("yamnet", revision=release.number, device="cpu").fingerprint
    assert again == told


# --- what it says of sounds -------------------------------------------------------------


@pytest.mark.parametrize("path", GOLDEN)
def test_recordings_that_ship_are_heard_as_in_another_implementation(
    embedder: YamnetEmbedder, path: str
) -> None:
    n, mean, logits = GOLDEN[path]
    one = load_audio(DEMO / path, sample_rate=16_000)
    assert n_patches(one.samples.size) == n
    pooled = embedder.pool([one])
    assert pooled.mean() == pytest.approx(mean, abs=1e-3 * mean + 5e-5)
    (scores,) = embedder.class_scores([one])
    found = {embedder.class_names[number]: scores[number] for number in np.argsort(-scores)[:3]}
    assert list(found) == list(logits)
    assert found == pytest.approx(logits, abs=0.01)


def test_signals_are_named_as_the_publishers_own_test_wants_them(
    embedder: YamnetEmbedder,
) -> None:
    """Three seconds each, among the ten highest: ``yamnet_test.py`` of the model garden."""
    time_s = np.arange(3 * 16_000) / 16_000
    assert "Silence" in heard(embedder, np.zeros(3 * 16_000), 10)
    uniform = np.random.default_rng(51773).uniform(-1.0, 1.0, 3 * 16_000)
    assert "White noise" in heard(embedder, uniform, 10)
    assert "Sine wave" in heard(embedder, np.sin(2 * np.pi * 440 * time_s), 10)


def test_a_vector_is_the_square_root_of_the_mean_at_unit_length(embedder: YamnetEmbedder) -> None:
    clips = [clip(noise(40_000)), clip(noise(5000, seed=1))]
    pooled = embedder.pool(clips).astype(np.float64)
    roots = np.sqrt(pooled)
    expected = roots / np.linalg.norm(roots, axis=1, keepdims=True)
    found = embedder.embed(clips)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(found, embedder.unit_rows(embedder.pool(clips)))
    assert found.min() >= 0


def test_a_clips_embedding_is_the_mean_of_its_patches(embedder: YamnetEmbedder) -> None:
    samples = noise(15_600 + 3 * 7680)
    parts = [samples[start : start + 15_600] for start in range(0, 4 * 7680, 7680)]
    apart = embedder.pool([clip(part) for part in parts])
    (together,) = embedder.pool([clip(samples)])
    np.testing.assert_allclose(together, apart.mean(axis=0), atol=1e-5)
    scores = embedder.class_scores([clip(part) for part in parts])
    np.testing.assert_allclose(
        embedder.class_scores([clip(samples)])[0], scores.mean(axis=0), atol=1e-4
    )


# --- batches, lengths, threads ----------------------------------------------------------


@settings(max_examples=5)
@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_a_clip_has_the_same_numbers_alone_and_in_a_batch(lengths: list[int], seed: int) -> None:
    embedder = load()
    clips = [clip(noise(n, seed + number)) for number, n in enumerate(lengths)]
    for what in (embedder.embed, embedder.class_scores):
        alone = np.concatenate([what([one]) for one in clips])
        np.testing.assert_allclose(what(clips), alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "lengths",
    [
        [8000],
        [30_000],
        [9000] * 9,
        *(pytest.param(long, marks=pytest.mark.slow) for long in ([200_000], [40_000] * 17)),
    ],
)
def test_the_number_of_threads_changes_no_bit(
    embedder: YamnetEmbedder, lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [clip(noise(n + 1000 * number, number)) for number, n in enumerate(lengths)]
    found = []
    for n_threads in (1, 2, 3, 8):
        monkeypatch.setenv("OMP_NUM_THREADS", str(n_threads))
        found.append((embedder.embed(clips).tobytes(), embedder.class_scores(clips).tobytes()))
    assert found[1:] == found[:1] * 3


@pytest.mark.slow
def test_a_long_recording_is_heard_to_its_end_in_pieces(
    embedder: YamnetEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.zeros(40 * 16_000)
    samples[-8000:] = noise(8000)
    one = clip(samples)
    whole = embedder.pool([one])
    assert np.abs(whole - embedder.pool([clip(np.zeros(40 * 16_000))])).max() > 1e-3
    monkeypatch.setattr("earful.model.yamnet.embedder._PATCHES_AT_ONCE", 3)
    np.testing.assert_allclose(embedder.pool([one]), whole, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 100, 400, 15_599, 15_600, 15_601])
def test_clips_of_any_length_have_unit_vectors_and_scores(
    embedder: YamnetEmbedder, n_samples: int
) -> None:
    for samples in (np.zeros(n_samples), noise(n_samples)):
        (vector,) = embedder.embed([clip(samples)])
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
        (scores,) = embedder.class_scores([clip(samples)])
        assert scores.shape == (521,)
        assert np.isfinite(scores).all()


def test_a_short_clip_is_followed_by_silence(embedder: YamnetEmbedder) -> None:
    samples = noise(3000)
    padded = np.pad(samples, (0, 12_600))
    short, long = embedder.pool([clip(samples), clip(padded)])
    np.testing.assert_allclose(short, long, atol=1e-5)


def test_nothing_gives_no_rows(embedder: YamnetEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 1024)
    assert embedder.class_scores([]).shape == (0, 521)


# --- commands ---------------------------------------------------------------------------


def test_an_index_is_built_with_it_and_answers(
    tmp_path: Path, earful_command: Callable[..., tuple[int, str, str]]
) -> None:
    time_s = np.arange(16_000) / 16_000
    for label, hz in (("high", 3000), ("low", 150)):
        (tmp_path / "corpus" / label).mkdir(parents=True)
        for number in range(2):
            sound = 0.3 * np.sin(2 * np.pi * (hz + 10 * number) * time_s)
            soundfile.write(tmp_path / "corpus" / label / f"{number}.wav", sound, 16_000)
    soundfile.write(tmp_path / "asked.wav", 0.3 * np.sin(2 * np.pi * 3020 * time_s), 16_000)
    index = tmp_path / "sounds.index"
    build = ("index", "build", tmp_path / "corpus", "--index", index, "--embedder", "yamnet")
    code, out, _ = earful_command(*build)
    assert code == 0
    assert "4 embedded" in out
    asked = ("classify", tmp_path / "asked.wav", "--index", index, "--model", "none", "--json")
    code, out, _ = earful_command(*asked)
    assert code == 0
    assert json.loads(out)["text"] == "high"
    sought = ("search", "--text", "a high sine wave", "--index", index, "--json")
    code, out, _ = earful_command(*sought)
    assert code == 0
    assert len(json.loads(out)["evidence"]) == 4
    assert len(FewShot.open(index).search(text="a sine wave", k=2)) == 2
    code, _, error = earful_command("search", "--text", "?!", "--index", index)
    assert code != 0
    assert "has no word that the table of words knows" in error
    _, out, _ = earful_command("models", "list")
    assert re.search(r"^yamnet +shipped +audio, text +Apache-2\.0 ", out, re.MULTILINE)


# --- refusals ---------------------------------------------------------------------------


def test_another_sample_rate_is_refused(embedder: YamnetEmbedder) -> None:
    for what in (embedder.embed, embedder.class_scores, embedder.pool):
        with pytest.raises(ValueError, match="expected 16000 Hz"):
            what([clip(noise(4000), sample_rate=44_100)])


def test_a_device_that_computes_wrongly_is_told(embedder: YamnetEmbedder) -> None:
    for wrong in (0.0, float("nan"), float("inf")):
        with pytest.raises(ModelError, match="yamnet: a vector is zero or not finite"):
            embedder.unit_rows(np.full((1, 1024), wrong, dtype=np.float32))
    with pytest.raises(ModelError, match="yamnet: a class score is not finite"):
        embedder.scores_of(np.full((1, 1024), np.nan, dtype=np.float32))


@pytest.mark.parametrize("wish", [{"revision": "main"}, {"dtype": "bfloat16"}, {"device": "tpu"}])
def test_what_is_not_there_is_refused(wish: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=next(iter(wish.values()))):
        load_yamnet(**wish)


def test_loading_leaves_the_random_numbers_of_the_caller_alone() -> None:
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    load_yamnet(device="cpu")
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.gpu
def test_a_gpu_gives_the_vectors_of_the_cpu() -> None:
    clips = [load_audio(Path(DEMO / path), sample_rate=16_000) for path in GOLDEN]
    clips.append(clip(noise(500_000)))
    on_gpu = load_yamnet(device="cuda")
    np.testing.assert_allclose(on_gpu.embed(clips), load().embed(clips), atol=1e-4)
    np.testing.assert_allclose(on_gpu.class_scores(clips), load().class_scores(clips), atol=5e-3)
