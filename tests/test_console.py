import io
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful import console
from earful.rag import Answer, Blend, LabelScore
from earful.rag.blend import UNFITTED


@dataclass
class Progress:
    done: int
    total: int | None
    seconds: float
    skipped: int = 0


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_printable_text_cannot_steer_a_terminal(text: str) -> None:
    shown = console.printable(text)
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    assert "\u202e" not in shown


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"], include_characters=" ")))
def test_ordinary_text_is_printed_as_it_is(text: str) -> None:
    assert console.printable(text) == text


def test_a_lone_surrogate_of_a_file_name_is_escaped() -> None:
    assert console.printable("a\udcff.wav") == "a\\udcff.wav"


def test_a_table_aligns_columns_and_underlines_its_header() -> None:
    rows = [["kick", "+0.9"], ["snare drum", "+0.10"]]
    assert console.table(rows, header=["label", "sim"], right="1").splitlines() == [
        "label         sim",
        "----------  -----",
        "kick         +0.9",
        "snare drum  +0.10",
    ]


def test_plain_progress_says_rate_and_time_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    now = iter([0.0, 1.0, 6.0])
    monkeypatch.setattr("earful.console.time.monotonic", lambda: next(now))
    with console.progress_bar("embedding", stream) as show:
        show(Progress(done=1, total=100, seconds=1.0))  # type: ignore[arg-type]
        show(Progress(done=20, total=100, seconds=2.0))  # type: ignore[arg-type]
    assert stream.getvalue() == "embedding: 20 of 100, 10.0/s, 8 s to go\n"


@pytest.mark.parametrize(
    ("skipped", "told"),
    [(20, "20 of 100, nothing left to do"), (10, "20 of 100, 5.0/s, 16 s to go")],
)
def test_what_was_there_already_says_nothing_of_the_pace(
    monkeypatch: pytest.MonkeyPatch, skipped: int, told: str
) -> None:
    stream = io.StringIO()
    now = iter([0.0, 6.0])
    monkeypatch.setattr("earful.console.time.monotonic", lambda: next(now))
    with console.progress_bar("embedding", stream) as show:
        show(Progress(done=20, total=100, seconds=2.0, skipped=skipped))  # type: ignore[arg-type]
    assert stream.getvalue() == f"embedding: {told}\n"


def test_a_counter_shows_nothing_before_there_is_something_to_count() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with console.counter("weighing", stream):
        pass
    assert stream.getvalue() == ""
    with console.counter("weighing", stream) as show:
        show(1, 48)
    assert "weighing" in stream.getvalue()


@pytest.mark.parametrize(
    ("blend", "line"),
    [
        (
            Blend(
                weight=0.35,
                temperature=2**1.5,
                n_held_out=48,
                vote_accuracy=0.875,
                model_accuracy=0.75,
                blend_accuracy=0.9375,
            ),
            "  combined: the model counts for 35%, the vote for the rest. Tested on 48 exemplars: "
            "the vote is right on 88%, the model on 75%, both together on 94%",
        ),
        (
            Blend(weight=0.0, temperature=1.0, n_held_out=8, vote_accuracy=1, blend_accuracy=1),
            "  the answer is the vote's. Tested on 8 exemplars: the vote is right on 100%, the "
            "model on 0%, both together on 100%",
        ),
        (
            UNFITTED,
            "  combined: the model counts for 50%, the vote for the rest; there are too few "
            "exemplars to test which is right more often",
        ),
        (
            Blend(weight=0.0, temperature=2.0),
            "  the answer is the vote's; there are too few exemplars to test which is right more "
            "often",
        ),
    ],
)
def test_a_blend_is_one_line(blend: Blend, line: str) -> None:
    vote = (LabelScore(label="hum", score=0.9),)
    answer = Answer(
        audio="q.wav",
        text="hum",
        confidence=0.9,
        abstained=False,
        scores=vote,
        evidence=(),
        model="m",
        vote=vote,
        model_scores=(LabelScore(label="hiss", score=0.7),),
        blend=blend,
    )
    assert console.describe_answer(answer).splitlines() == [
        "q.wav: hum  90%",
        "  neighbour vote: hum 90%",
        "  language model: hiss 70%",
        line,
    ]


def test_an_answer_that_abstains_says_why() -> None:
    answer = Answer(
        audio="q.wav",
        text="hum",
        confidence=0.9,
        abstained=True,
        reason="'h\x1bum' has no exemplar, and its name is not clearly heard",
        scores=(LabelScore(label="hum", score=0.9),),
        evidence=(),
        model="m",
    )
    assert console.describe_answer(answer).splitlines() == [
        "q.wav: not sure (best guess: hum  90%)",
        r"  because 'h\x1bum' has no exemplar, and its name is not clearly heard",
    ]
