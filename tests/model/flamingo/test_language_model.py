"""Audio Flamingo as a language model: limits, slots, kept features, text that stays text."""

import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import AudioError, ModelError, PromptError
from earful.model import ClipRef, GenerationOptions, KeepsFeatures, LanguageModel, Prompt, Text
from earful.model.audio import Clip
from earful.model.flamingo import Control, FlamingoLanguageModel, Mode, MsClapWindows
from earful.model.flamingo.checkpoint import load_flamingo
from earful.testing import write_flamingo

RATE = 8000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flamingo(tmp_path_factory.mktemp("models") / "flamingo")


@pytest.fixture(scope="module")
def model(folder: Path) -> FlamingoLanguageModel:
    return load_flamingo(str(folder), device="cpu")


def windows_of(model: FlamingoLanguageModel) -> MsClapWindows:
    assert isinstance(model.encoder, MsClapWindows)
    return model.encoder


def clip(seed: int, seconds: float = 0.5) -> Clip:
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=round(seconds * RATE)).astype(np.float32) * 0.1
    return Clip(samples=samples, sample_rate=RATE)


def ask(question: str = "What is it?", *shots: tuple[Clip, str, str], query: int = 99) -> Prompt:
    parts: list[Text | ClipRef] = [Text(kind="system", text="The task is x.")]
    for audio, its_question, answer in shots:
        parts += [
            ClipRef(audio=audio, is_exemplar=True),
            Text(kind="exemplar", text=its_question),
            Text(kind="exemplar", text=answer, is_answer=True),
        ]
    parts += [ClipRef(audio=clip(query)), Text(kind="user", text=question)]
    return Prompt(parts=tuple(parts))


class Memory:
    """A feature cache that counts."""

    def __init__(self) -> None:
        self.kept: dict[str, NDArray[np.float32]] = {}
        self.asked: list[str] = []

    def get(self, key: str) -> NDArray[np.float32] | None:
        self.asked.append(key)
        return self.kept.get(key)

    def put(self, key: str, features: NDArray[np.float32]) -> None:
        self.kept[key] = features


def test_it_is_what_it_says(model: FlamingoLanguageModel) -> None:
    assert isinstance(model, LanguageModel)
    assert isinstance(model, KeepsFeatures)
    told = model.capabilities
    assert (told.max_audios, told.max_seconds_per_audio, told.max_text_tokens) == (8, 33.25, 512)
    assert told.logprobs
    assert told.multi_turn
    assert told.licence == "random weights"
    assert told.decoding == "full"
    assert "max_audios" in told.to_dict()


def test_packed_scores_equal_one_answer_at_a_time(model: FlamingoLanguageModel) -> None:
    prompt = ask("What?", (clip(1), "What?", "dog"), (clip(2), "What?", "rain on a roof"))
    answers = ["dog", "dog bark", "rain", "a", "Rain on a roof"]
    together = model.score(prompt, answers)
    for answer, scores in zip(answers, together, strict=True):
        (alone,) = model.score(prompt, [answer])
        np.testing.assert_allclose(scores, alone, atol=1e-4)
        assert len(scores) == len(answer) + 1  # a byte a token, and the end


def test_audio_words_and_order_all_matter(model: FlamingoLanguageModel) -> None:
    def best(prompt: Prompt) -> NDArray[np.float64]:
        return np.array([s.sum() for s in model.score(prompt, ["dog", "cat"])])

    base = best(ask("What?", (clip(1), "What?", "dog")))
    for other in (
        ask("What?", (clip(2), "What?", "dog")),
        ask("What?", (clip(1), "What?", "cat")),
        ask("What?", (clip(1), "What?", "dog"), query=98),
        ask("What now?", (clip(1), "What?", "dog")),
    ):
        assert np.abs(best(other) - base).max() > 1e-4


# --- slots ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "slots", "wanted"),
    [
        ("foundation", None, {1: 1, 3: 3, 8: 8}),
        ("chat", None, {1: 4, 3: 4, 8: 8}),
        ("foundation", 8, {1: 8, 3: 8, 8: 8}),
    ],
)
def test_slots_are_as_released_or_as_asked(
    tmp_path: Path, variant: Any, slots: int | None, wanted: dict[int, int]
) -> None:
    path = write_flamingo(tmp_path / "f", variant=variant)
    model = load_flamingo(str(path), device="cpu", slots=slots)
    assert {n: model.slots_for(n) for n in wanted} == wanted
    shots = [(clip(n), "What?", "dog") for n in range(2)]
    assert model.measure(ask("What?", *shots)).slots == wanted[3]
    arrays = model.arrays(ask("What?", *shots))
    assert len(arrays.features) == len(arrays.window_mask) == 16 * wanted[3]
    assert int(arrays.window_mask.sum()) == 3


def test_empty_slots_hold_silence_and_change_the_answer(
    folder: Path, model: FlamingoLanguageModel
) -> None:
    wide = load_flamingo(str(folder), device="cpu", slots=4)
    arrays = wide.arrays(ask())
    silence = wide.features(ClipRef(audio=Clip(samples=np.zeros(9, np.float32), sample_rate=RATE)))
    np.testing.assert_array_equal(arrays.features[1], silence[0])
    np.testing.assert_array_equal(arrays.features[63], silence[0])
    (narrow,), (with_empty,) = model.score(ask(), ["dog"]), wide.score(ask(), ["dog"])
    assert np.abs(narrow - with_empty).max() > 1e-4
    assert np.isfinite(with_empty).all()


# --- limits -----------------------------------------------------------------------------


def test_nine_recordings_are_too_many(model: FlamingoLanguageModel) -> None:
    shots = [(clip(n), "a", "b") for n in range(8)]
    with pytest.raises(PromptError, match=r"9 recordings in one prompt, .* 8 for .*: show fewer"):
        model.score(ask("a", *shots), ["b"])
    assert len(model.score(ask("a", *shots[:7]), ["b"])) == 1


def test_a_text_beyond_the_budget_is_refused(model: FlamingoLanguageModel) -> None:
    with pytest.raises(PromptError, match=r"prompt of \d+ tokens, .* 512 for"):
        model.generate(ask("x" * 600))
    with pytest.raises(PromptError, match=r"has 2101 tokens, expected at most \d+ after"):
        model.score(ask(), ["y" * 2100])


def test_empty_and_equal_answers_are_refused(model: FlamingoLanguageModel) -> None:
    with pytest.raises(PromptError, match="an answer is empty"):
        model.score(ask(), ["dog", "  "])
    with pytest.raises(PromptError, match=r"answers 'dog' and 'dog' are the same .* lower case"):
        model.score(ask(), ["dog"] * 2)
    with pytest.raises(PromptError, match=r"answers 'Dog' and 'dog' are the same .* lower case"):
        model.score(ask(), ["Dog", "cat", "dog"])


def test_a_prompt_without_audio_is_refused(model: FlamingoLanguageModel) -> None:
    words = Prompt(parts=(Text(kind="user", text="What?"),))
    with pytest.raises(PromptError):
        model.measure(words)


def test_what_is_not_heard_is_said(model: FlamingoLanguageModel, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(b"\0\1" * (40 * RATE))
    parts = (ClipRef(audio=path), Text(kind="user", text="What?"))
    (cut,) = model.measure(Prompt(parts=parts)).cut
    heard = f"{path}: the language model hears only the first 33.25 s of 40.00 s; "
    assert cut == f"{heard}ask about another part by start_s and end_s"
    short = (replace(parts[0], end_s=33.25), parts[1])
    assert model.measure(Prompt(parts=short)).cut == ()
    gone = (ClipRef(audio=tmp_path / "gone.wav"), parts[1])
    assert model.measure(Prompt(parts=gone)).cut == ()
    with pytest.raises(AudioError, match=r"gone\.wav"):
        model.score(Prompt(parts=gone), ["dog"])


# --- features ---------------------------------------------------------------------------


def test_exemplars_are_encoded_once_and_the_query_is_not_kept(folder: Path) -> None:
    shots = [(clip(n), "What?", "dog") for n in range(3)]
    cache = Memory()
    first = load_flamingo(str(folder), device="cpu")
    first.keep_features(cache)
    scores = first.score(ask("What?", *shots), ["dog", "cat"])
    assert len(cache.kept) == 3
    encoded: list[int] = []
    second = load_flamingo(str(folder), device="cpu")
    second.keep_features(cache)
    network = windows_of(second).network
    encode = network.encode

    def counted(windows: torch.Tensor) -> torch.Tensor:
        encoded.append(len(windows))
        return encode(windows)

    network.encode = counted  # type: ignore[method-assign, assignment]
    again = second.score(ask("What?", *shots), ["dog", "cat"])
    assert encoded == [1, 1]  # silence and the query
    for one, other in zip(scores, again, strict=True):
        np.testing.assert_array_equal(one, other)
    third = second.score(ask("Why?", *shots), ["dog", "cat"])
    assert encoded == [1, 1]  # the query is remembered for a while
    assert np.isfinite(third[0]).all()


def test_what_is_in_memory_is_kept_all_the_same(folder: Path) -> None:
    model = load_flamingo(str(folder), device="cpu")
    first, second = Memory(), Memory()
    model.keep_features(first)
    model.features(ClipRef(audio=clip(1)))  # asked about, and then an exemplar
    for cache in (first, second):
        model.keep_features(cache)
        model.encode_exemplar(ClipRef(audio=clip(1)))
        model.encode_exemplar(ClipRef(audio=clip(1)))
        assert len(cache.kept) == 1
        assert len(cache.asked) == 1


def test_features_know_their_encoder_and_their_front_end(folder: Path, tmp_path: Path) -> None:
    other = write_flamingo(tmp_path / "other", seed=1)
    keys: set[str] = set()
    for path, decoding in ((folder, "full"), (folder, "compat"), (other, "full")):
        model = load_flamingo(str(path), device="cpu", decoding=decoding)
        cache = Memory()
        model.keep_features(cache)
        model.features(ClipRef(audio=clip(1), is_exemplar=True))
        keys |= set(cache.kept)
    assert len(keys) == 3
    assert {key.partition("/")[2] for key in keys} == {clip(1).content_sha256}


def test_memory_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_flamingo(str(folder), device="cpu")
    silent = np.zeros((1, 16), np.float32)
    monkeypatch.setattr(model.encoder, "hear", lambda ref: silent)
    for seed in range(70):
        model.features(ClipRef(audio=clip(seed, seconds=0.01)))
    assert len(model._memory) == 64


# --- writing ----------------------------------------------------------------------------


def test_what_is_told_while_writing_is_the_answer(model: FlamingoLanguageModel) -> None:
    for seed in range(2):
        told: list[str] = []
        options = GenerationOptions(max_new_tokens=20, temperature=1.0, seed=seed)
        written = model.generate(ask(), options, on_text=told.append)
        assert "".join(told).strip() == written.text
        assert written.n_tokens <= 20
        assert 0.0 <= (written.confidence or 0.0) <= 1.0
        again = model.generate(ask(), options)
        assert again == written


def test_writing_ends_before_a_stop(model: FlamingoLanguageModel) -> None:
    options = GenerationOptions(max_new_tokens=20, temperature=1.0, seed=1)
    whole = model.generate(ask(), options)
    stop = whole.text[len(whole.text) // 2]
    told: list[str] = []
    cut = model.generate(ask(), replace(options, stop=("never", stop)), on_text=told.append)
    assert cut.text == whole.text[: whole.text.index(stop)].rstrip()
    assert "".join(told).strip() == cut.text
    assert cut.stopped == "end"
    assert cut.n_tokens < whole.n_tokens
    with pytest.raises(ValueError, match="none of them empty"):
        replace(options, stop=("",))


def writes(text: str, model: FlamingoLanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a model write a text, a byte a token, and then end."""

    def steps(*_: object, **__: object) -> Iterator[tuple[int, float]]:
        for id_ in [*model.tokenizer.encode([text])[1:], model.network.config.bos_id]:
            yield id_, -0.5

    monkeypatch.setattr(model.network, "decode", steps)


@pytest.mark.parametrize("mode", ["full", "compat"])
@pytest.mark.parametrize("is_dialogue", [False, True])
@pytest.mark.parametrize(
    ("looping", "said"),
    [
        ("I hear a drum" + " and a drum" * 9, "I hear a drum"),
        ("A drum, a drum, a drum, a drum, a drum", "A drum"),
        ("a road near a dog." + " a road." * 8, "a road near a dog. a road"),
        ("no no no no no no", "no"),
        ("an answer of some length, then hmmmmmmm", "an answer of some length, then hm"),
    ],
)
def test_writing_ends_where_it_repeats_itself(
    model: FlamingoLanguageModel,
    monkeypatch: pytest.MonkeyPatch,
    looping: str,
    said: str,
    mode: Mode,
    is_dialogue: bool,
) -> None:
    monkeypatch.setattr(model, "decoding", mode)
    writes(looping, model, monkeypatch)
    told: list[str] = []
    prompt = replace(ask(), is_dialogue=is_dialogue)
    written = model.generate(prompt, on_text=told.append)
    assert written.stopped == "repetition"
    assert written.text == said
    # Nothing was shown that the answer does not hold.
    assert "".join(told) == written.text
    assert written.n_tokens < len(looping)
    assert 0.0 < (written.confidence or 0.0) < 1.0
    whole = model.generate(prompt, GenerationOptions(stop_repetition=False))
    assert (whole.text, whole.stopped) == (looping, "end")


@pytest.mark.parametrize(
    "text",
    [
        "ha ha ha",
        "A dog barks twice, then a dog barks again.",
        "1000",
        # Characters of several bytes, of which the parts look alike.
        "\u2603\u2604\u2605\u2606\u2607\u2608",
    ],
)
def test_what_people_write_is_no_repetition(
    model: FlamingoLanguageModel, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    writes(text, model, monkeypatch)
    told: list[str] = []
    written = model.generate(ask(), on_text=told.append)
    assert (written.text, written.stopped) == (text, "end")
    assert "".join(told) == text


@given(text=st.text(alphabet="ab ,", min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_what_was_shown_is_the_answer_whatever_is_cut_off(
    model: FlamingoLanguageModel, text: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        writes(text, model, patch)
        told: list[str] = []
        written = model.generate(ask(), on_text=told.append)
    assert "".join(told) == written.text


def test_both_ways_of_decoding_agree_on_one_recording(
    folder: Path, model: FlamingoLanguageModel
) -> None:
    compat = load_flamingo(str(folder), device="cpu", decoding="compat")
    assert compat.capabilities.decoding == "compat"
    options = GenerationOptions(max_new_tokens=12)
    assert compat.generate(ask(), options).text == model.generate(ask(), options).text
    shots = [(clip(n), "What?", "dog") for n in range(3)]
    one, other = (
        np.concatenate(m.score(ask("What?", *shots), ["dog", "cat"])) for m in (model, compat)
    )
    assert one[0] == pytest.approx(other[0], abs=1e-5)  # the prompt itself sees all
    assert np.abs(one - other).max() > 1e-4


def test_float16_is_as_good_as_its_rounding(folder: Path, model: FlamingoLanguageModel) -> None:
    half = load_flamingo(str(folder), device="cpu", dtype="bfloat16")
    one, other = (np.concatenate(m.score(ask(), ["dog", "cat"])) for m in (model, half))
    np.testing.assert_allclose(one, other, atol=0.3)
    ways = [m.capabilities.arithmetic for m in (model, half)]
    assert ways == ["float32, cpu", "bfloat16, cpu"]
    with pytest.raises(ModelError, match="dtype 'int4'"):
        load_flamingo(str(folder), dtype="int4")


SPECIAL = [control.value for control in Control] + ["<s>", "<unk>"]


@settings(max_examples=30)
@given(data=st.data())
def test_no_words_become_control_tokens(model: FlamingoLanguageModel, data: st.DataObject) -> None:
    words = st.lists(st.sampled_from([*SPECIAL, "a", " ", "\n", "<aud", "io>"]), max_size=4)
    question, its_question, answer = ("x" + "".join(data.draw(words)) for _ in range(3))
    asked = model.arrays(ask(question, (clip(1), its_question, answer))).ids
    config = model.network.config
    counts = {
        name: int((asked == number).sum())
        for name, number in (
            ("audio", config.audio_id),
            ("end", config.end_of_chunk_id),
            ("separator", config.separator_id),
            ("text", config.bos_id),
            ("pad", config.pad_id),
        )
    }
    assert counts == {"audio": 2, "end": 1, "separator": 2, "text": 2, "pad": 0}
    ids = model.answer_ids(answer)
    assert ids.count(config.end_of_chunk_id) == 1
    assert not {config.audio_id, config.separator_id, config.bos_id, config.pad_id} & set(ids)
