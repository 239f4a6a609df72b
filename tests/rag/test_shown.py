"""Objects as a notebook and a prompt of Python show them."""

import copy
import json
import pickle
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earful import Answer, Clip, Evaluation, EvaluationSettings, FewShot, Hit, Hits, Task, evaluate
from earful.errors import EvaluationError
from earful.model import ScriptedLanguageModel, load_embedder
from tests.support import browser

NASTY = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{ 123 * 321 }}"
MOST_BYTES = 2_000_000


@pytest.fixture
def answer(few: FewShot, query: Path) -> Answer:
    return few.classify(query)


@pytest.fixture(scope="module")
def found(few: FewShot) -> Evaluation:
    settings = EvaluationSettings(shots=(1,), resamples=100, near_duplicate=1.0)
    return evaluate(few, Task(name="tones"), settings=settings)


def html(shown: Any) -> str:
    text = shown._repr_html_()
    assert isinstance(text, str)
    assert "<script" not in text
    assert "<style" not in text
    assert len(text.encode()) < MOST_BYTES
    return text


def renamed(hit: Hit, **fields: Any) -> Hit:
    return replace(hit, exemplar=replace(hit.exemplar, **fields))


# --- reprs ---------------------------------------------------------------------------


def test_live_objects_are_told_in_one_short_line(
    few: FewShot, index: Path, found: Evaluation, corpus: Path, query: Path
) -> None:
    from earful import open_corpus

    asks = FewShot.open(index, model="earful-small")
    shown: Sequence[Any] = [
        few,
        asks,
        asks.model,
        few.index,
        few.retriever,
        few.embedder,
        load_embedder("earful-tiny"),
        load_embedder("earful-small"),
        ScriptedLanguageModel(),
        few.search(query),
        few.index and few.index.vectors(),
        found,
        found.scorecard,
        open_corpus(corpus),
    ]
    for one in shown:
        told = repr(one)
        assert told.startswith(type(one).__name__), told
        assert " at 0x" not in told
        assert "\n" not in told
        assert len(told) <= 120, told
    assert "logmel" in repr(few)
    assert "vote" in repr(found)


# --- HTML ----------------------------------------------------------------------------


def test_an_answer_is_shown_with_players_and_spectrograms(answer: Answer) -> None:
    text = html(answer)
    n = len(answer.evidence) + 1
    assert text.count("<audio") == text.count("<img") == n
    assert f"{answer.confidence:.0%}" in text
    assert all(hit.exemplar.id in text for hit in answer.evidence)
    assert html(answer) == text


def test_whatever_a_corpus_holds_stays_text(answer: Answer) -> None:
    hits = [renamed(hit, id=f"{NASTY}{n}", answer=NASTY) for n, hit in enumerate(answer.evidence)]
    nasty = replace(
        answer,
        audio=NASTY,
        text=NASTY,
        prompt=None,
        abstained=True,
        reason=NASTY,
        notes=(NASTY,),
        model=NASTY,
        evidence=tuple(hits),
        scores=tuple(replace(score, label=NASTY + score.label) for score in answer.scores),
    )
    for text in (html(nasty), html(Hits(hits))):
        assert "onerror=alert(1)>" not in text
        assert "&lt;script&gt;" in text
        assert "39483" not in re.sub(r'(base64,|class=|style=)[^"]*', "", text)


def test_what_is_not_there_is_named(answer: Answer, tmp_path: Path) -> None:
    gone = [replace(hit, path=tmp_path / "gone.wav") for hit in answer.evidence]
    text = html(replace(answer, prompt=None, audio="nowhere.wav", evidence=tuple(gone)))
    assert "nowhere.wav" in text
    assert text.count("gone.wav: no such file") == len(gone)
    assert "<audio" not in text


def test_samples_are_played_without_a_file(few: FewShot, query: Path) -> None:
    samples, rate = soundfile.read(query, dtype="float32")
    for audio in ((samples, rate), query.read_bytes(), Clip(samples=samples, sample_rate=rate)):
        answer = few.classify(audio)
        assert html(answer).count("<audio") == len(answer.evidence) + 1
        assert pickle.loads(pickle.dumps(answer)) == answer or isinstance(answer.query.audio, Clip)


def test_what_is_shown_is_bounded(few: FewShot, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, 44_100 * 60).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", noise, 44_100)
    hit = replace(few.search(tmp_path / "long.wav", k=1)[0], path=tmp_path / "long.wav")
    text = html(Hits([hit] * 5000))
    assert "4990 more not shown" in text
    assert 3 <= text.count("<audio") < 10
    assert "not embedded" in text
    answer = few.classify(tmp_path / "long.wav")
    text = html(replace(answer, text="words " * 9999, notes=("note " * 999,) * 99))
    assert "94 more notes" in text


def test_an_answer_without_a_guess_is_shown(few: FewShot) -> None:
    declined = Answer(
        audio="clip",
        text="cannot say: silence",
        confidence=0.0,
        abstained=True,
        scores=(),
        evidence=(),
        model="m",
    )
    assert "0%" not in html(declined)
    assert html(Hits()).strip()


def test_showing_never_fails(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    nothing: Any = None
    broken = replace(answer, evidence=(nothing,))
    assert broken._repr_html_() is None
    assert "cannot be shown" in caplog.text
    assert repr(broken)


def test_an_index_and_an_evaluation_are_shown(few: FewShot, found: Evaluation) -> None:
    text = html(few.index)
    assert "36 recordings, 3 labels" in text
    assert ">middle<" in text
    text = html(found)
    assert found.verdict.text in text
    assert text.count("<tr") == len(found.scorecard.arms) + 1


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_plays_and_draws(answer: Answer, tmp_path: Path, scheme: str) -> None:
    page = tmp_path / "answer.html"
    page.write_text(f'<!doctype html><meta charset="utf-8">{html(answer)}')
    with browser.opened(page, scheme=scheme) as opened:
        opened.wait_for_function(
            "[...document.querySelectorAll('audio')].every(a => a.duration > 0.4)"
        )
        sizes = "[...document.querySelectorAll('img')].map(i => i.naturalWidth)"
        assert min(opened.evaluate(sizes)) > 50


# --- hits, and what is computed --------------------------------------------------------


def test_hits_are_a_list(few: FewShot, query: Path) -> None:
    hits = few.search(query, k=4)
    assert hits == list(hits)
    assert isinstance(hits[:2], Hits)
    assert hits[:2] == list(hits)[:2]
    assert isinstance(hits[0], Hit)
    assert hits[-1] is list(hits)[-1]
    for again in (pickle.loads(pickle.dumps(hits)), copy.copy(hits), copy.deepcopy(hits)):
        assert type(again) is Hits
        assert again == hits
    plain = [hit.to_dict() for hit in hits]
    assert json.loads(json.dumps(plain)) == plain
    assert repr(hits).startswith(f"Hits(4: 'low' {hits[0].similarity:.2f}, ")
    assert repr(Hits()) == "Hits(none)"


def test_an_answer_has_a_margin(answer: Answer) -> None:
    first, second, *_ = answer.scores
    assert answer.margin == first.score - second.score
    assert answer.runners_up[0] == second
    assert answer.is_sure is not answer.abstained
    assert replace(answer, scores=()).margin == 0
    assert replace(answer, scores=answer.scores[:1]).margin == first.score


def test_an_evaluation_has_a_best_arm(found: Evaluation) -> None:
    assert found.best == found.verdict.arm
    assert found.accuracy() == found.accuracy(found.best) == found.accuracy(found.best.name)
    assert 0.3 < found.accuracy("majority") < 0.4
    with pytest.raises(EvaluationError, match=r"unknown arm 'votes@1'.*did you mean 'vote@1'"):
        found.accuracy("votes@1")


# --- data frames -----------------------------------------------------------------------


def test_data_frames(few: FewShot, found: Evaluation, query: Path) -> None:
    pytest.importorskip("pandas")
    assert few.index is not None
    rows = few.index.to_pandas()
    assert len(rows) == len(few.index) == 36
    assert rows["labels"].iloc[0] == ["high"]
    assert (rows["duration_s"] > 0.4).all()
    hits = few.search(query, k=3).to_pandas()
    assert list(hits["rank"]) == [0, 1, 2]
    assert list(Hits().to_pandas().columns) == list(hits.columns)
    answers = found.to_pandas()
    assert len(answers) == len(found.document["rows"])
    assert {"item", "truth", "arm", "text", "confidence"} <= set(answers.columns)


def test_without_pandas_a_data_frame_says_how_to_get_it(
    few: FewShot, found: Evaluation, query: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert few.index is not None
    for ask in (few.index.to_pandas, few.search(query).to_pandas, found.to_pandas):
        with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
            ask()
