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
from numpy.typing import NDArray
from safetensors.numpy import save as save_numbers
from safetensors.torch import save

from earful.errors import ModelError, PromptError
from earful.model import ClipRef, LanguageModel, Place, Prompt, Prototype, Text
from earful.model.audio import Clip
from earful.model.flamingo import Control, Flamingo, FlamingoTokenizer
from earful.model.flamingo.window_encoders import WindowEncoder
from earful.model.runtime import read_part
from earful.model.small import (
    N_CHANNELS,
    N_DESCRIPTORS,
    AcousticScale,
    SmallEmbedder,
    SmallHearing,
    SmallLanguageModel,
    load_small,
    load_small_lm,
    read_small_release,
)
from earful.model.tiny import read_release
from earful.testing import tiny_flamingo_config

RATE = 44100
WIDTH = 4
DIM = 384
MOST = round(33.25 * RATE)


@cache
def embedder() -> SmallEmbedder:
    return load_small(device="cpu")


def plain_scale() -> AcousticScale:
    n = N_DESCRIPTORS
    return AcousticScale(np.zeros(n), np.full(n, 4.0), np.zeros(n), np.eye(n))


@pytest.fixture(scope="module")
def hearing() -> SmallHearing:
    return SmallHearing(embedder(), plain_scale())


def clip(seed: int, n_samples: int = RATE // 2, sample_rate: int = RATE) -> Clip:
    """Make noise that grows louder, so that its stretches differ."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=n_samples) * np.linspace(0.01, 0.2, n_samples)
    return Clip(samples=samples.astype(np.float32), sample_rate=sample_rate)


def assert_heard(found: NDArray[np.float32], n_rows: int) -> None:
    assert found.shape == (n_rows, DIM + N_DESCRIPTORS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found[:, :DIM], axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found[:, DIM:], axis=1), 1.0, rtol=1e-5)


# --- what it hears ----------------------------------------------------------------------


def test_half_a_second_is_the_vector_that_retrieval_compares(hearing: SmallHearing) -> None:
    heard = hearing.hear(ClipRef(audio=clip(0)))
    assert_heard(heard, 1)
    np.testing.assert_array_equal(heard[:, :DIM], embedder().embed([clip(0)]))
    described = hearing.describe(ClipRef(audio=clip(0)))
    np.testing.assert_array_equal(described, heard[:, DIM:])


@pytest.mark.parametrize(("seconds", "n_rows"), [(3.0, 1), (6.0, 2), (10.0, 3), (20.0, 4)])
def test_a_longer_recording_is_up_to_four_stretches(
    hearing: SmallHearing, seconds: float, n_rows: int
) -> None:
    assert_heard(hearing.hear(ClipRef(audio=clip(0, round(seconds * RATE)))), n_rows)


@pytest.mark.slow
def test_what_is_beyond_the_longest_segment_is_not_heard(hearing: SmallHearing) -> None:
    whole = clip(0, MOST + 5 * RATE)
    cut = Clip(samples=whole.samples[:MOST], sample_rate=RATE)
    heard = hearing.hear(ClipRef(audio=cut))
    assert_heard(heard, 4)
    np.testing.assert_array_equal(hearing.hear(ClipRef(audio=whole)), heard)


def test_other_rates_are_resampled(hearing: SmallHearing) -> None:
    assert_heard(hearing.hear(ClipRef(audio=clip(0, 48_000, sample_rate=16_000))), 1)


def test_silence_is_nothing_at_all(hearing: SmallHearing) -> None:
    assert hearing.silence().shape == (1, DIM + N_CHANNELS)
    assert not hearing.silence().any()
    # A silent recording is a recording all the same.
    silent = Clip(samples=np.zeros(RATE, np.float32), sample_rate=RATE)
    assert_heard(hearing.hear(ClipRef(audio=silent)), 1)


def test_keys_of_caches_tell_content_and_maker(hearing: SmallHearing) -> None:
    encoder: WindowEncoder = hearing
    assert encoder.max_seconds == 33.25
    assert encoder.content_of(ClipRef(audio=clip(1))) == clip(1).content_sha256
    file = ClipRef(audio=Path("/s/a.wav"), start_s=1.0, content_sha256="ab12")
    assert encoder.content_of(file) == "ab12"
    assert encoder.content_of(replace(file, content_sha256="")) == ""
    assert embedder().fingerprint.weights_sha256 in encoder.maker


# --- the language model, of random weights ----------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SmallLanguageModel:
    """Load a folder whose Flamingo has random weights, and the others are those that ship."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(Path(str(files("earful.model.small"))) / "weights", folder, dirs_exist_ok=True)
    tokenizer = FlamingoTokenizer.from_bytes(
        read_part(read_release(), "tokenizer"), source="tokenizer"
    )
    config = replace(
        tiny_flamingo_config(),
        audio_dim=DIM + N_CHANNELS,
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
    told = json.loads((folder / "earful-small.json").read_text())
    blend = {"weight": 0.5, "temperature": 3.0}
    for part, data, settings in (
        ("flamingo", save(opened), {"config": config.to_dict(), "blend": blend}),
        ("acoustics", save_numbers(plain_scale().tensors()), {}),
    ):
        (folder / f"{part}.safetensors").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        told["parts"][part] = {"file": f"{part}.safetensors", "sha256": digest, **settings}
    (folder / "earful-small.json").write_text(json.dumps(told))
    loaded = load_small_lm(str(folder), device="cpu")
    parts = read_small_release(str(folder)).digest_of("encoder", "words", "flamingo", "acoustics")
    assert loaded.capabilities.weights_sha256 == parts
    for wish in ({"dtype": "int4"}, {"decoding": "loud"}, {"device": "tpu"}):
        with pytest.raises(ModelError, match=next(iter(wish.values()))):
            load_small_lm(str(folder), **wish)  # type: ignore[arg-type]
    return loaded


def test_a_folder_without_a_flamingo_is_no_language_model(tmp_path: Path) -> None:
    weights = Path(str(files("earful.model.small"))) / "weights"
    shutil.copytree(weights, tmp_path, dirs_exist_ok=True)
    told = json.loads((tmp_path / "earful-small.json").read_text())
    told["parts"].pop("flamingo", None)
    told["parts"].pop("acoustics", None)
    (tmp_path / "earful-small.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match=r"no flamingo and no acoustics.*training\.flamingo"):
        load_small_lm(str(tmp_path), device="cpu")


def ask(*shots: tuple[int, str], query: Clip) -> Prompt:
    parts: list[Text | Place] = [Text(kind="system", text="The task is event classification.")]
    for seed, answer in shots:
        parts += [
            ClipRef(audio=clip(seed), is_exemplar=True),
            Text(kind="exemplar", text="Classify this sound."),
            Text(kind="exemplar", text=answer, is_answer=True),
        ]
    parts += [ClipRef(audio=query), Text(kind="user", text="Classify this sound.")]
    return Prompt(parts=tuple(parts))


def test_a_loaded_model_says_what_it_is(model: SmallLanguageModel) -> None:
    assert isinstance(model, LanguageModel)
    told = model.capabilities
    assert (told.licence, told.max_seconds_per_audio) == ("CC-BY-4.0", 33.25)
    assert told.prototypes_by == embedder().fingerprint.weights_sha256
    assert told.blend == (0.5, 3.0)
    assert not told.lists_labels
    assert "small model" in told.caveat
    assert told.max_text_tokens == 256  # what it has positions for


def test_a_longer_recording_is_measured_as_cut(model: SmallLanguageModel) -> None:
    (cut,) = model.measure(ask(query=clip(0, MOST + RATE))).cut
    assert cut.startswith("clip: the language model hears only the first 33.25 s of 34.25 s; ask")
    assert model.measure(ask(query=clip(0, MOST))).cut == ()


def test_a_recording_is_its_vector_and_how_like_the_query_it_is(
    model: SmallLanguageModel, hearing: SmallHearing
) -> None:
    arrays = model.arrays(ask((1, "dog"), query=clip(2)))
    features = arrays.features
    assert features.shape == (2 * WIDTH, DIM + N_CHANNELS)
    assert arrays.window_mask.tolist() == [True, False, False, False, True, False, False, False]
    one, other = (hearing.hear(ClipRef(audio=clip(seed)))[0] for seed in (1, 2))
    shot, query = features[0], features[WIDTH]
    np.testing.assert_allclose(shot[:DIM], 4 * one[:DIM], atol=1e-5)
    np.testing.assert_allclose(query[:DIM], 4 * other[:DIM], atol=1e-5)
    similarity, acoustics = one[:DIM] @ other[:DIM], one[DIM:] @ other[DIM:]
    expected = [2 * (similarity - 0.3), 0, acoustics, 0, 1, 0, 0, 1]
    np.testing.assert_allclose(shot[DIM:], expected, atol=1e-5)
    assert query[DIM:].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert not features[1:4].any()


def test_a_label_is_what_retrieval_found_of_it_and_how_alike_its_exemplars_go(
    model: SmallLanguageModel, hearing: SmallHearing
) -> None:
    clips = tuple(ClipRef(audio=clip(seed), is_exemplar=True) for seed in (1, 3))
    label = Prototype(label="dog", clips=clips, similarity=0.5, heard=2.0)
    named = Prototype(label="cat", clips=(), similarity=0.4, heard=-1.0)
    prompt = ask(query=clip(2))
    answer = [
        Text(kind="exemplar", text="Classify this sound."),
        Text(kind="exemplar", text="dog", is_answer=True),
    ]
    opening, *rest = prompt.parts
    asked = Prompt(parts=(opening, label, *answer, named, *answer, *rest))
    features = model.arrays(asked).features
    own = hearing.describe(ClipRef(audio=clip(2)))[0]
    alike = [float(hearing.describe(ref)[0] @ own) for ref in clips]
    mean = np.log(np.exp(2 * np.array(alike)).mean()) / 2
    np.testing.assert_allclose(features[0, DIM:], [0.4, 0.5, mean, 1, 1, 1, 0, 1], atol=1e-5)
    np.testing.assert_allclose(features[WIDTH, DIM:], [0.2, -0.25, 0, 1, 0, 1, 0, 1], atol=1e-6)
    # A label's vector says nothing, and is as long as a recording's.
    assert features[0, :DIM].tolist() == features[WIDTH, :DIM].tolist() == [0.0] * (DIM - 1) + [4.0]
    with pytest.raises(PromptError, match="prompt of label, user: expected"):
        model.arrays(Prompt(parts=(label, Text(kind="user", text="What is it?"))))


def test_audio_words_and_case(model: SmallLanguageModel) -> None:
    def scored(prompt: Prompt) -> NDArray[np.float64]:
        return np.array([s.sum() for s in model.score(prompt, ["dog", "rain on a roof"])])

    base = scored(ask((1, "dog"), query=clip(2)))
    assert np.isfinite(base).all()
    for other in (ask((3, "dog"), query=clip(2)), ask((1, "cat"), query=clip(2))):
        assert np.abs(scored(other) - base).max() > 1e-5
    np.testing.assert_allclose(scored(ask((1, "DOG "), query=clip(2))), base, atol=1e-5)
    assert model.generate(ask((1, "dog"), query=clip(2))).n_tokens >= 1
