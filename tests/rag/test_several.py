"""Several recordings, samples by themselves, and options as a notebook completes them."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earful import Answer, FewShot, Hits
from earful.errors import AudioError, PromptError
from earful.model import ScriptedLanguageModel
from earful.rag.retrieval import AskOptions

METHODS = ("classify", "classify_batch", "ask", "write", "caption", "chat", "request", "prompt_for")


@pytest.fixture
def writer(index: Path) -> FewShot:
    return FewShot.open(index, model=ScriptedLanguageModel(replies=["a low tone"]))


def test_a_list_of_recordings_has_a_list_of_answers(few: FewShot, queries: Path) -> None:
    paths = [queries / "low/100.wav", queries / "gone.wav", queries / "high/100.wav"]
    found = few.classify(paths)
    assert isinstance(found, list)
    assert [one.text if isinstance(one, Answer) else type(one) for one in found] == [
        "low",
        AudioError,
        "high",
    ]
    assert few.classify([]) == []
    assert [type(one) for one in few.search(paths, k=2)] == [Hits, AudioError, Hits]
    with pytest.raises(AudioError, match=r"gone\.wav"):
        few.classify(paths[1])
    with pytest.raises(AudioError, match=r"gone\.wav"):
        few.search(paths[1])


def test_a_list_of_questions_has_a_list_of_answers(writer: FewShot, queries: Path) -> None:
    paths = [queries / "low/100.wav", queries / "gone.wav", queries / "high/100.wav"]
    for found in (writer.ask(paths, "What is it?"), writer.caption(paths)):
        assert [one.text if isinstance(one, Answer) else type(one) for one in found] == [
            "a low tone",
            AudioError,
            "a low tone",
        ]
    one, _, _ = writer.ask(paths, "What is it?")
    alone = writer.ask(paths[0], "What is it?")
    assert isinstance(one, Answer)
    assert one.prompt_digest == alone.prompt_digest


def test_an_error_of_one_question_leaves_the_others(few: FewShot, corpus: Path) -> None:
    found = few.classify([corpus / "low/0.wav", corpus / "high/0.wav"], labels=["low"])
    assert len(found) == 2
    assert all(isinstance(one, Answer | PromptError) for one in found)


def test_samples_may_come_with_their_rate_beside_them(few: FewShot, query: Path) -> None:
    samples, rate = soundfile.read(query, dtype="float32")
    wanted = few.classify(query)
    given: list[Any] = [samples, samples.tolist(), np.stack([samples, samples], axis=1)]
    for audio in given:
        assert few.classify(audio, sample_rate=rate).prompt_digest == wanted.prompt_digest
    both = few.classify([samples, samples], sample_rate=rate)
    assert [one.prompt_digest for one in both if isinstance(one, Answer)] == [
        wanted.prompt_digest
    ] * 2
    assert few.search(samples, sample_rate=rate, k=3) == few.search(query, k=3)
    assert few.request(samples, sample_rate=rate).query.content_sha256
    with pytest.raises(TypeError, match="sample_rate=16000 goes with samples"):
        few.classify(query, sample_rate=16000)
    with pytest.raises(ValueError, match="got -1"):
        few.classify(samples, sample_rate=-1)


def test_a_column_of_paths_is_a_list(few: FewShot, queries: Path) -> None:
    paths = [str(queries / "low/100.wav"), str(queries / "high/100.wav")]
    for column in (np.array(paths), np.array(paths, dtype=object)):
        found: Any = few.classify(column)
        assert [one.text for one in found] == ["low", "high"]


@pytest.mark.parametrize("name", METHODS)
def test_options_are_in_the_signature(name: str) -> None:
    named = inspect.signature(getattr(FewShot, name)).parameters
    wanted = AskOptions.__annotations__.keys()
    assert wanted <= named.keys()
    assert not [x for x in named.values() if x.kind is x.VAR_KEYWORD]
    assert (named["seed"].default, named["shot_mode"].default) == (0, None)
    assert named["shots"].annotation == "int | None"


def test_defaults_in_the_signature_are_those_in_use(few: FewShot, query: Path) -> None:
    named = inspect.signature(few.classify).parameters
    spelt: Any = {x: named[x].default for x in AskOptions.__annotations__}
    assert few.classify(query, **spelt).to_dict() == few.classify(query).to_dict()


@pytest.mark.slow
def test_a_notebook_completes_options(few: FewShot) -> None:
    jedi = pytest.importorskip("jedi")
    calls = (("few.classify('a.wav', alw", "always_answer="), ("few.ask(st", "start_s="))
    for start, wanted in calls:
        found = jedi.Interpreter(start, [{"few": few}]).complete()
        assert wanted in [one.name for one in found]


def test_a_search_tells_of_a_recording_without_sound(
    few: FewShot, caplog: pytest.LogCaptureFixture
) -> None:
    silence = (np.zeros(16000, np.float32), 16000)
    few.search(silence)
    assert "silen" in caplog.text
