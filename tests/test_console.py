import io
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful import console


@dataclass
class Progress:
    done: int
    total: int | None
    seconds: float


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
