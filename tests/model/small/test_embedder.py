import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.demo import DemoCorpus
from earful.errors import ModelError
from earful.model import ClassScorer, LabelNamer, load_embedder
from earful.model.audio import Clip, load_audio, resample
from earful.model.small import SmallEmbedder, load_small, read_small_release
from earful.model.small.weights import digest_of_all
from earful.model.yamnet import load_yamnet
from tests.support.facilities import needs

DEMO = DemoCorpus.find().sounds.parent
DIM = 384
# The first numbers of each half, and the two highest classes of recordings that ship.
GOLDEN = {
    "sounds/bird/bird.flac": (
        [0.1375, 0.1300, -0.0362, 0.0031, -0.0031, -0.0613],
        {"Animal": -2.95, "Bird": -3.32},
    ),
    "sounds/cymbal/ride1.flac": (
        [0.1566, -0.1936, 0.0539, 0.1483, 0.0645, 0.1312],
        {"Music": 4.77, "Cymbal": -0.89},
    ),
    "unseen/queries/thunder/environment-lightning-thunder5.flac": (
        [0.2348, 0.0714, -0.1029, 0.1383, -0.0927, -0.0464],
        {"Explosion": 0.94, "Fireworks": 0.72},
    ),
}
# Hears a second, then half an hour, and prints the memory that this took, in parts of its size.
LONG = """
import resource, numpy as np
from earful.model.audio import Clip
from earful.model.small import load_small
embedder = load_small(device="cpu")
embedder.ears.network = lambda windows: np.ones((len(windows), 512), np.float32)
embedder.ears.yamnet.pool = lambda clips: np.ones((len(clips), 1024), np.float32)
second = np.random.default_rng(0).standard_normal(44100, dtype=np.float32)
embedder.embed([Clip(samples=second, sample_rate=44100)])
clip = Clip(samples=np.tile(second, 1800), sample_rate=44100)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
embedder.embed([clip])
taken = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
print(taken / clip.samples.nbytes)
"""


@cache
def load() -> SmallEmbedder:
    return load_small(device="cpu")


@pytest.fixture
def embedder() -> SmallEmbedder:
    return load()


def clip(samples: NDArray[np.floating], sample_rate: int = 44_100) -> Clip:
    return Clip(samples=samples.astype(np.float32), sample_rate=sample_rate)


def noise(n_samples: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(scale=0.1, size=n_samples)


def test_it_is_what_it_says(embedder: SmallEmbedder) -> None:
    told = embedder.fingerprint
    assert (told.name, told.dim, told.sample_rate, told.dtype) == (
        "earful-small",
        DIM,
        44_100,
        "float32",
    )
    release = read_small_release()
    assert told.revision == release.number
    assert told.weights_sha256 == digest_of_all(release)
    assert isinstance(embedder, ClassScorer)
    assert isinstance(embedder, LabelNamer)
    again = load_embedder("earful-small", revision=release.number, device="cpu").fingerprint
    assert again == told


@pytest.mark.parametrize("path", GOLDEN)
def test_recordings_that_ship_have_the_numbers_that_they_had(
    embedder: SmallEmbedder, path: str
) -> None:
    numbers, logits = GOLDEN[path]
    vectors, scores = embedder.embed_and_score([load_audio(DEMO / path, sample_rate=44_100)])
    np.testing.assert_allclose(vectors[0, [0, 1, 2, 128, 129, 130]], numbers, atol=1e-3)
    found = {embedder.class_names[n]: scores[0, n] for n in np.argsort(-scores[0])[:2]}
    assert found == pytest.approx(logits, abs=0.02)


def test_both_halves_have_the_lengths_that_are_said(embedder: SmallEmbedder) -> None:
    vectors = embedder.embed([clip(noise(50_000)), clip(noise(200_000, 1))]).astype(np.float64)
    assert vectors.shape == (2, DIM)
    narrow, yamnet = (
        np.linalg.norm(vectors[:, :128], axis=1),
        np.linalg.norm(vectors[:, 128:], axis=1),
    )
    np.testing.assert_allclose(yamnet / narrow, 0.9, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


@pytest.mark.slow
def test_class_scores_are_yamnets_of_the_recording_at_its_rate(embedder: SmallEmbedder) -> None:
    clips = [clip(noise(70_000)), clip(noise(9000, 1))]
    vectors, scores = embedder.embed_and_score(clips)
    np.testing.assert_array_equal(vectors, embedder.embed(clips))
    yamnet = load_yamnet(device="cpu")
    wanted = yamnet.class_scores([resample(one, 16_000) for one in clips])
    np.testing.assert_array_equal(scores, wanted)
    assert scores.shape == (2, embedder.n_classes)
    weights = embedder.text_weights(["a dog", "thunder"])
    np.testing.assert_array_equal(weights, yamnet.text_weights(["a dog", "thunder"]))
    assert "no class like" in embedder.explain_text("philosophy of science")
    assert embedder.explain_text("thunder") == ""


# --- batches, lengths, threads ----------------------------------------------------------


@settings(max_examples=4)
@given(st.lists(st.integers(1, 250_000), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_a_clip_has_the_same_numbers_alone_and_in_a_batch(lengths: list[int], seed: int) -> None:
    embedder = load()
    clips = [clip(noise(n, seed + number)) for number, n in enumerate(lengths)]
    vectors, scores = embedder.embed_and_score(clips)
    alone = [embedder.embed_and_score([one]) for one in clips]
    np.testing.assert_allclose(vectors, np.concatenate([v for v, _ in alone]), atol=1e-5)
    np.testing.assert_allclose(scores, np.concatenate([s for _, s in alone]), atol=1e-4)


def test_the_narrowed_network_gives_the_same_bits_alone_and_in_a_batch(
    embedder: SmallEmbedder,
) -> None:
    clips = [clip(noise(n, n)) for n in (250_000, 3000, 120_000, 99 * 1024)]
    together = embedder.ears.hear(clips)
    alone = [embedder.ears.hear([one]) for one in clips]
    assert together.counts == (3, 1, 2, 1)
    assert together.outputs.tobytes() == b"".join(one.outputs.tobytes() for one in alone)


@pytest.mark.parametrize("lengths", [[8000], [30_000, 300_000], [9000] * 9])
def test_the_number_of_threads_changes_no_bit(
    embedder: SmallEmbedder, lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [clip(noise(n + 1000 * number, number)) for number, n in enumerate(lengths)]
    found = []
    for n_threads in (1, 2, 3):
        monkeypatch.setenv("OMP_NUM_THREADS", str(n_threads))
        vectors, scores = embedder.embed_and_score(clips)
        found.append((vectors.tobytes(), scores.tobytes()))
    assert found[1:] == found[:1] * 2


def test_a_short_recording_is_that_repeated_for_one_half_only(embedder: SmallEmbedder) -> None:
    samples = noise(20_000)
    short, repeated = embedder.embed([clip(samples), clip(np.resize(samples, 99 * 1024))])
    np.testing.assert_allclose(short[:128], repeated[:128], atol=1e-6)
    assert np.abs(short[128:] - repeated[128:]).max() > 1e-3


@pytest.mark.parametrize("n_samples", [1, 2, 3, 5, 2048])
def test_clips_however_short_quiet_or_loud_have_unit_vectors_and_scores(
    embedder: SmallEmbedder, n_samples: int
) -> None:
    loud = np.full(n_samples, 3e38)
    for samples in (np.zeros(n_samples), noise(n_samples), loud, -loud):
        vectors, scores = embedder.embed_and_score([clip(samples)])
        assert np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-5)
        assert np.isfinite(scores).all()


def test_nothing_gives_no_rows(embedder: SmallEmbedder) -> None:
    vectors, scores = embedder.embed_and_score([])
    assert vectors.shape == (0, DIM)
    assert scores.shape == (0, 521)


@needs("resource")
@pytest.mark.slow
def test_half_an_hour_takes_a_few_times_its_own_memory() -> None:
    found = subprocess.run([sys.executable, "-c", LONG], check=True, capture_output=True, text=True)
    assert float(found.stdout) < 2.5


# --- refusals ---------------------------------------------------------------------------


def test_another_sample_rate_is_refused(embedder: SmallEmbedder) -> None:
    for what in (embedder.embed, embedder.embed_and_score):
        with pytest.raises(ValueError, match="expected 44100 Hz"):
            what([clip(noise(4000), sample_rate=16_000)])


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_told(
    wrong: float, embedder: SmallEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.full((len(windows), 512), wrong, np.float32)

    monkeypatch.setattr(embedder.ears, "network", broken)
    with pytest.raises(ModelError, match="earful-small: a vector is zero or not finite"):
        embedder.embed([clip(noise(4000))])


@pytest.mark.parametrize("wish", [{"revision": "main"}, {"dtype": "bfloat16"}, {"device": "tpu"}])
def test_what_is_not_there_is_refused(wish: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=next(iter(wish.values()))):
        load_small(**wish)


@pytest.mark.gpu
def test_a_gpu_gives_the_vectors_of_the_cpu() -> None:
    clips = [load_audio(Path(DEMO / path), sample_rate=44_100) for path in GOLDEN]
    clips.append(clip(noise(500_000)))
    on_gpu = load_small(device="cuda").embed_and_score(clips)
    for found, wanted, atol in zip(
        on_gpu, load().embed_and_score(clips), (1e-4, 5e-3), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=atol)
