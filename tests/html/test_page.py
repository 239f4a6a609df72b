import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from earful.html import Cell, Page

NASTY = "</script><script>alert(1)</script><!-- & \" '"


def test_whatever_comes_out_of_a_corpus_stays_text(tmp_path: Path) -> None:
    page = Page(NASTY)
    page.verdict(NASTY, [NASTY])
    page.items([NASTY])
    page.section(NASTY)
    page.details(NASTY, NASTY)
    page.table([NASTY], [[NASTY], [Cell("<b>ours</b>", NASTY)]], name="t")
    page.plot("p", [{"type": "bar", "y": [NASTY], "x": [1]}], {}, NASTY)
    text = page.render()
    # The page's own scripts, and the figure's data; none of anybody else's making.
    assert len(re.findall(r"<script\b", text)) - text.count("<script>!function") <= 4
    assert "alert(1)</script>" not in text
    assert "<b>ours</b>" in text
    (figure,) = re.findall(r'data-of="p">(.*?)</script>', text, re.DOTALL)
    assert json.loads(figure)["data"][0]["y"] == [NASTY]


@given(st.text())
def test_any_text_comes_back_out_of_a_figure(label: str) -> None:
    page = Page("x")
    page.plot("p", [{"y": [label]}], {})
    page._has_plots = False  # plotly's own four megabytes say nothing here
    (figure,) = re.findall(r'data-of="p">(.*?)</script>', page.render(), re.DOTALL)
    assert json.loads(figure)["data"][0]["y"] == [label]


def test_a_page_needs_no_network(tmp_path: Path) -> None:
    page = Page("x")
    page.plot("p", [{"y": [1]}], {})
    text = page.render()
    assert "default-src 'none'" in text
    assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="http', text)


def test_recordings_are_cut_and_stop_at_the_budget(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 8000 * 10), 8000)
    page = Page("x", budget_bytes=100_000)
    first = page.audio_source(path)
    assert first.startswith("data:audio/flac;base64,")
    # Six of the ten seconds, and then there is no room for another.
    assert page.audio_source(path, 1.0, 2.0) == ""
    assert "1 recording is named only" in page.render()
    assert page.player(tmp_path / "gone.wav").markup == "gone.wav"


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    page = Page("x")
    page.write(tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(OSError, match="No such file"):
        page.write(tmp_path / "no/page.html")
