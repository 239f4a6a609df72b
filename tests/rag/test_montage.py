"""Montages: where recordings lie in them, how long and how loud, and who is shown one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import PromptError
from earful.model import Capabilities, ClipRef, ScriptedLanguageModel, ShotMode, Text
from earful.model.audio import Clip
from earful.model.scripted import CAPABILITIES
from earful.rag import FewShot
from earful.rag.generation.request import silenced
from earful.rag.montage import (
    GAP_S,
    choose_shot_mode,
    make_montage,
    most_shots,
    span_text,
    without_query,
)

Opener = Callable[[ScriptedLanguageModel], FewShot]

RATE = 16_000
ONE = replace(
    CAPABILITIES,
    max_audios=1,
    max_seconds_per_audio=30.0,
    sample_rate=RATE,
    shot_modes=("interleaved", "montage", "text"),
)


def tone(seconds: float, level: float = 0.1, hz: float = 440.0) -> ClipRef:
    samples = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return ClipRef(audio=Clip(samples=samples.astype(np.float32), sample_rate=RATE))


def test_recordings_stand_one_after_the_other_and_the_query_last() -> None:
    montage = make_montage([tone(2.0), tone(1.0, hz=880)], tone(3.0, hz=220), ONE)
    assert montage.spans == ((0.0, 2.0), (2.5, 3.5), (4.0, 7.0))
    assert montage.clip.duration_s == 7.0
    samples = montage.clip.samples
    for before, after in ((2.0, 2.5), (3.5, 4.0)):
        assert not samples[round(before * RATE) : round(after * RATE)].any()
    for number, hz in enumerate((440, 880, 220)):
        start_s, end_s = montage.spans[number]
        part = samples[round(start_s * RATE) : round(end_s * RATE)]
        assert np.fft.rfft(part).__abs__().argmax() / (end_s - start_s) == pytest.approx(hz, abs=1)
    assert span_text(montage.spans[2]) == "4.0-7.0 s"
    assert montage.clip.notes == ()


def test_every_recording_is_as_loud_as_the_others() -> None:
    montage = make_montage([tone(1.0, 0.001), tone(1.0, 0.9)], tone(1.0, 0.05), ONE)
    samples = montage.clip.samples
    levels = [
        samples[round(start_s * RATE) : round(end_s * RATE)].std()
        for start_s, end_s in montage.spans
    ]
    np.testing.assert_allclose(levels, 0.05, rtol=1e-3)
    silence = ClipRef(audio=Clip(samples=np.zeros(RATE, np.float32), sample_rate=RATE))
    assert not make_montage([silence], silence, ONE).clip.samples.any()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.2, 40.0), min_size=1, max_size=8),
    st.floats(0.2, 60.0),
    st.floats(6.0, 60.0),
)
def test_a_montage_is_never_longer_than_the_model_hears(
    lengths: list[float], query_s: float, limit_s: float
) -> None:
    limits = replace(ONE, max_seconds_per_audio=limit_s)
    # A low rate, so that a minute is few samples.
    slow = replace(limits, sample_rate=100)
    shots = [
        ClipRef(audio=Clip(samples=np.ones(max(round(s * 100), 1), np.float32), sample_rate=100))
        for s in lengths
    ]
    query = ClipRef(
        audio=Clip(samples=np.ones(max(round(query_s * 100), 1), np.float32), sample_rate=100)
    )
    shown = shots[: most_shots(query, slow)]
    montage = make_montage(shown, query, slow)
    assert montage.clip.duration_s <= limit_s + 0.02 * (len(shown) + 1)
    assert len(montage.spans) == len(shown) + 1
    for (_, end_s), (start_s, _) in zip(montage.spans, montage.spans[1:], strict=False):
        assert start_s - end_s == pytest.approx(GAP_S)
    # Whoever is cut is named.
    n_cut = sum(
        end_s - start_s < length - 0.02
        for (start_s, end_s), length in zip(
            montage.spans, (*lengths[: len(shown)], query_s), strict=True
        )
    )
    assert len(montage.clip.notes) == n_cut


def test_only_the_query_falls_silent() -> None:
    montage = make_montage([tone(1.0)], tone(1.0), ONE)
    place = ClipRef(audio=montage.clip, query_from_s=montage.spans[-1][0])
    quiet = without_query(place)
    assert isinstance(quiet.audio, Clip)
    np.testing.assert_array_equal(quiet.audio.samples[:RATE], montage.clip.samples[:RATE])
    assert not quiet.audio.samples[round(1.5 * RATE) :].any()
    assert montage.clip.samples[round(1.5 * RATE) :].any()


def test_the_digest_is_of_what_is_in_it() -> None:
    same = [make_montage([tone(1.0)], tone(2.0), ONE).clip.content_sha256 for _ in range(2)]
    other = make_montage([tone(1.1)], tone(2.0), ONE).clip.content_sha256
    assert same[0] == same[1] != other


@pytest.mark.parametrize(
    ("max_audios", "modes", "wanted", "chosen"),
    [
        (8, ("interleaved", "montage", "text"), None, "interleaved"),
        (1, ("interleaved", "montage", "text"), None, "montage"),
        (1, ("interleaved", "text"), None, "text"),
        (1, ("montage", "text"), "text", "text"),
        (8, ("interleaved",), "montage", None),
        (1, ("interleaved", "montage"), "interleaved", None),
    ],
)
def test_the_best_mode_that_a_model_takes(
    max_audios: int, modes: tuple[ShotMode, ...], wanted: ShotMode | None, chosen: str | None
) -> None:
    limits = replace(ONE, max_audios=max_audios, shot_modes=modes)
    if chosen is None:
        with pytest.raises(PromptError, match="cannot be shown exemplars"):
            choose_shot_mode(wanted, limits)
    else:
        assert choose_shot_mode(wanted, limits) == chosen


@pytest.fixture
def asked(index: Path) -> Opener:
    return lambda model: FewShot.open(index, model=model)


def listener(**limits: object) -> ScriptedLanguageModel:
    capabilities: Capabilities = replace(ONE, **limits)  # type: ignore[arg-type]
    return ScriptedLanguageModel(replies=["low"], capabilities=capabilities)


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("query") / "q.wav"
    soundfile.write(path, 0.1 * np.sin(np.arange(24_000) / 10), RATE)
    return path


def test_a_model_of_one_recording_is_shown_a_montage(asked: Opener, query: Path) -> None:
    model = listener()
    answer = asked(model).ask(query, "What is it?", shots=2)
    (prompt,) = model.prompts
    assert prompt.n_clips == 1
    (place,) = prompt.clips
    words = [part for part in prompt.parts if isinstance(part, Text)]
    assert [part.is_answer for part in words] == [False, False, True, False, True, False]
    assert words[1].text.startswith("0.0-")
    assert words[-1].text.startswith(f"{place.query_from_s:.1f}-")
    assert any("joined into one" in note for note in answer.notes)
    assert len(answer.evidence) == 2
    quiet = silenced(model, prompt)
    assert isinstance(quiet.clips[0].audio, Clip)
    assert quiet.clips[0].audio.samples[: RATE // 2].any()


def test_words_alone_name_the_similarity(asked: Opener, query: Path) -> None:
    model = listener()
    asked(model).ask(query, "What is it?", shots=2, shot_mode="text")
    (prompt,) = model.prompts
    words = [part.text for part in prompt.parts if isinstance(part, Text) and not part.is_answer]
    assert words[1].startswith("Recording 1, similarity ")
    assert prompt.n_clips == 1


def test_a_short_model_is_shown_fewer(asked: Opener, query: Path) -> None:
    model = listener(max_seconds_per_audio=4.0)
    answer = asked(model).ask(query, "What is it?", shots=4)
    assert len(answer.evidence) == 1
    assert any("1 of 4 shots are shown" in note and "4 s of audio" in note for note in answer.notes)
