import json
import re
from pathlib import Path

import jinja2
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earful.html import Axis, Page, Point, Series
from earful.html.render import _environment

NASTY = "</script><script>alert(1)</script><!-- & \" '"
# Every macro of parts.html, given what the test passes.
PARTS = """{% extends "page.html" %}
{% from "parts.html" import bar, lines, number, play, table %}
{% block main %}
{% call table("t", text, ["rows", "#" ~ text], "cards") %}
<tr><th scope="row">{{ text }}</th>{{ number(1, text) }}{{ bar(0.5, text) }}
<td>{{ play(page, "here", text) }}{{ play(page, text, text) }}</td></tr>
{% endcall %}
{{ lines("p", text, text, series, axis, axis) }}
{% endblock %}"""


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a template that uses every part beside the package's own."""
    loader = _environment().loader
    assert loader is not None
    both = jinja2.ChoiceLoader([jinja2.DictLoader({"t.html": PARTS}), loader])
    monkeypatch.setattr(_environment(), "loader", both)


def made(page: Page, text: str) -> str:
    series = [Series(name=text, points=[Point(x=0.5, y=0.5, title=text)])]
    axis = Axis(start=0, end=100, title=text)
    return page.render("t.html", text=text, series=series, axis=axis)


def test_whatever_comes_out_of_a_corpus_stays_text() -> None:
    page = Page(NASTY)
    page.sounds = {"here": "data:,", NASTY: "data:,"}
    text = made(page, NASTY)
    # The page's own script, and what it plays; none of anybody else's making.
    assert len(re.findall(r"<script\b", text)) == 2
    assert "<!--" not in text
    assert "alert(1)</script>" not in text
    (sounds,) = re.findall(r'id="sounds">(.*?)</script>', text, re.DOTALL)
    assert json.loads(sounds) == page.sounds


@given(st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_id_comes_back_out_of_the_recordings(id_: str) -> None:
    page = Page("x")
    page.sounds = {id_: "data:,"}
    (sounds,) = re.findall(r'id="sounds">(.*?)</script>', made(page, "x"), re.DOTALL)
    assert json.loads(sounds) == page.sounds


def test_a_page_needs_no_network() -> None:
    text = made(Page("x"), "x")
    assert "default-src 'none'" in text
    assert not re.search(r'(?:src|href|url)[=(]"?https?:', text)


def test_recordings_are_cut_embedded_once_and_stop_at_the_budget(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 8000 * 10), 8000)
    page = Page("x", budget_bytes=100_000)
    page.add_sound("long", path)
    page.add_sound("long", path)
    assert page.sounds["long"].startswith("data:audio/flac;base64,")
    assert "named only" not in made(page, "x")
    # Six of the ten seconds, and then there is no room for another.
    page.add_sound("other", path, 1.0, 2.0)
    assert "other" not in page.sounds
    assert "1 recording is named only" in made(page, "x")
    Page("x").add_sound("gone", tmp_path / "gone.wav")


def test_a_page_speaks_of_six_seconds_only_where_more_was_there(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 8000 * 10), 8000)
    page = Page("x")
    page.add_sound("call", path, 1.0, 2.5)
    page.add_sound("to the end", path, 4.0)
    page.add_sound("beyond the end", path, 5.0, 30.0)
    assert "Choose a recording to hear it.</p>" in made(page, "x")
    page.add_sound("song", path, 0.5, 7.0)
    told = "Choose a recording to hear it, of a long one the first six seconds.</p>"
    assert told in made(page, "x")


def test_a_recording_that_cannot_be_played_is_named(tmp_path: Path) -> None:
    page = Page("x")
    page.add_sound("here", tmp_path / "gone.wav")
    assert page.sounds == {}
    assert '<span class="unplayed" title="here">dog</span>' in made(page, "dog")


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    values = {"text": "x", "series": [], "axis": Axis(start=0, end=1)}
    page = Page("x")
    page.write(tmp_path / "page.html", "t.html", **values)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(OSError, match="No such file"):
        page.write(tmp_path / "no/page.html", "t.html", **values)


@pytest.mark.parametrize(("high", "texts"), [(0.05, ["0%", "1%"]), (1.0, ["0%", "20%"])])
def test_ticks_are_round(high: float, texts: list[str]) -> None:
    axis = Axis(start=0, end=1, high=high, is_share=True)
    assert [text for _, text in axis.ticks()][:2] == texts


def test_a_logarithmic_axis_has_equal_steps_for_equal_ratios() -> None:
    axis = Axis(start=0, end=100, low=0.1, high=10, is_log=True)
    assert [axis.at(value) for value in (0.01, 0.1, 1, 10, 100)] == [0, 0, 50, 100, 100]
