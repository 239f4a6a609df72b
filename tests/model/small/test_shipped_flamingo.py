"""The language model that ships, against torch with the same weights, and what it hears twice."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.errors import AudioError
from earful.model import ClipRef, GenerationOptions, Place, Prompt, Prototype, Text
from earful.model.audio import Clip, load_audio
from earful.model.flamingo import Flamingo, TorchFlamingo
from earful.model.runtime import fill, read_part, without_weights
from earful.model.small import (
    SmallEmbedder,
    SmallLanguageModel,
    load_small,
    load_small_lm,
    read_small_release,
)
from tests.support.small_flamingos import one_thread

RATE = 44100
LABELS = ("dog bark", "rain on a roof", "siren", "church bell", "engine", "a door that creaks")


@pytest.fixture(scope="module")
def model() -> SmallLanguageModel:
    return load_small_lm()


@pytest.fixture(scope="module")
def by_torch(model: SmallLanguageModel) -> Iterator[TorchFlamingo]:
    with without_weights():
        network = Flamingo(model.network.config)
    with one_thread():
        yield TorchFlamingo(fill(network, read_part(read_small_release(), "flamingo", "x"), "x"))


def clip(seed: int, seconds: float = 1.0) -> Clip:
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * rng.uniform(200, 4000) * time_s) * rng.uniform(0.1, 0.5)
    noise = rng.normal(scale=rng.uniform(0.01, 0.2), size=time_s.size)
    return Clip(samples=(tone + noise).astype(np.float32), sample_rate=RATE)


def classify(*shown: Place) -> Prompt:
    """Build a prompt that shows some places, each with a label, and asks about a recording."""
    parts: list[Text | Place] = [Text(kind="system", text="The task is event classification.")]
    for number, place in enumerate(shown):
        parts += [
            place,
            Text(kind="exemplar", text="Classify this sound."),
            Text(kind="exemplar", text=LABELS[number % len(LABELS)], is_answer=True),
        ]
    parts += [ClipRef(audio=clip(99)), Text(kind="user", text="Classify this sound.")]
    return Prompt(parts=tuple(parts))


RECORDINGS = tuple(ClipRef(audio=clip(seed), is_exemplar=True) for seed in range(4))
PROTOTYPES = tuple(
    Prototype(label=label, clips=RECORDINGS[row % 3 : row], similarity=0.2 * row, heard=row - 2.0)
    for row, label in enumerate(LABELS)
)
PROMPTS = {
    "no shots": classify(),
    "recordings": classify(*RECORDINGS),
    "labels": classify(*PROTOTYPES),
    "recordings and a label": classify(*RECORDINGS[:2], PROTOTYPES[3]),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_probabilities_are_torchs(
    name: str, model: SmallLanguageModel, by_torch: TorchFlamingo
) -> None:
    arrays = model.arrays(PROMPTS[name])
    answers = [model.answer_ids(label) for label in LABELS]
    ours, theirs = (
        np.exp([scores.sum() for scores in network.score(arrays, answers)])
        for network in (model.network, by_torch)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_words_are_torchs(
    temperature: float, model: SmallLanguageModel, by_torch: TorchFlamingo
) -> None:
    arrays = model.arrays(PROMPTS["recordings"])
    options = GenerationOptions(max_new_tokens=24, temperature=temperature, seed=5)
    ours, theirs = (
        list(network.decode(arrays, options, stop_ids=[])) for network in (model.network, by_torch)
    )
    assert [token for token, _ in ours] == [token for token, _ in theirs]
    np.testing.assert_allclose([x for _, x in ours], [x for _, x in theirs], atol=1e-4)


# --- one embedder, and one hearing ---------------------------------------------------------


def test_an_embedder_in_use_is_shared(model: SmallLanguageModel) -> None:
    assert model.hearing.embedder is load_small() is load_small(device="cpu")


def hears(
    model: SmallLanguageModel, monkeypatch: pytest.MonkeyPatch, ref: ClipRef
) -> tuple[np.ndarray, int, int]:
    """Return what is heard of a recording, how many clips were embedded, how many files read."""
    embedded: list[int] = []
    read: list[object] = []
    embedder = model.hearing.embedder
    embed = embedder.embed

    def count_embedded(clips: list[Clip]) -> np.ndarray:
        embedded.append(len(clips))
        return embed(clips)

    def count_read(source: Path, **options: float) -> Clip:
        read.append(source)
        return load_audio(source, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(embedder, "embed", count_embedded)
        patch.setattr("earful.model.flamingo.audio.load_isolated", count_read)
        heard = model.hearing.hear(ref)
    return heard, sum(embedded), len(read)


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "n_embedded"), [(2.0, 0), (7.0, 2)])
def test_a_recording_embedded_right_before_is_not_read_again(
    seconds: float,
    n_embedded: int,
    model: SmallLanguageModel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, clip(7, seconds).samples, RATE)
    read = load_audio(path, sample_rate=RATE)
    ref = ClipRef(audio=path, content_sha256=read.content_sha256)
    embedder = model.hearing.embedder
    embedder.embed_and_score([clip(1)])
    anew, n_anew, n_files = hears(model, monkeypatch, ref)
    assert (n_anew, n_files) == (max(1, n_embedded), 1)
    embedder.embed_and_score([clip(1), read, clip(2)])
    known, n_known, n_files = hears(model, monkeypatch, ref)
    assert (n_known, n_files) == (n_embedded, 0)
    np.testing.assert_allclose(known, anew, atol=1e-6)
    # An exemplar may have changed since it was labelled, so its file is read.
    _, _, n_files = hears(model, monkeypatch, replace(ref, is_exemplar=True))
    assert n_files == 1
    path.unlink()
    with pytest.raises(AudioError, match=r"a\.wav"):
        model.hearing.hear(replace(ref, is_exemplar=True))


@pytest.mark.slow
def test_only_the_last_batch_is_remembered_and_two_minutes_of_it() -> None:
    embedder: SmallEmbedder = load_small()
    one, other, long = clip(1), clip(2), clip(3, 119.0)
    embedder.embed_and_score([one, long, other])
    assert embedder.recall(other.content_sha256) is None
    found = embedder.recall(one.content_sha256)
    assert found is not None
    assert found[0] is one
    np.testing.assert_allclose(found[1], embedder.embed([one])[0], atol=1e-6)
    embedder.embed_and_score([other])
    assert embedder.recall(one.content_sha256) is None
