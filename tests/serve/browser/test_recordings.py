"""The screen Recordings: the list, and one recording looked through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from earful.index.labels import Label, LabelJournal, journal_path
from tests.serve.browser.screens import BIG, PAINTED, is_whole, said, wait_for_repaint
from tests.support.browser import visited
from tests.support.served_page import HOUR, NIGHT

pytestmark = pytest.mark.slow


def test_the_list_says_what_failed_and_finds_by_words(address: str) -> None:
    with visited(address) as page:
        page.get_by_role("link", name="Recordings").click()
        page.get_by_text("3 recordings").wait_for()
        failed = page.locator("tr", has_text="SITE9").inner_text()
        assert "failed" in failed
        assert "expected an audio file" in failed
        page.get_by_label("Search recordings").fill("site8")
        page.get_by_text("1 of 3 recordings").wait_for()
        assert page.locator("tbody tr").count() == 1
        page.locator(".hours .n").first.wait_for()
        is_whole(page)


def open_recording(page: Any, name: str) -> None:
    page.get_by_role("link", name="Recordings").click()
    page.get_by_role("link", name=name).click()
    page.wait_for_function(f"() => ({PAINTED})('{BIG}') > 20")


def test_an_hour_is_sought_through_by_time_and_by_click(address: str) -> None:
    with visited(address) as page:
        open_recording(page, HOUR)
        whole = wait_for_repaint(page, BIG)
        page.get_by_label("Jump to").fill("50:00")
        with page.expect_request("**/api/spectrogram/**") as asked:
            page.keyboard.press("Enter")
        query = parse_qs(urlsplit(asked.value.url).query)
        assert float(query["start_s"][0]) < 3000 < float(query["end_s"][0])
        wait_for_repaint(page, BIG, whole)
        plot = page.locator(".big .plot").bounding_box()
        with page.expect_request("**/api/audio/**") as asked:
            page.mouse.click(plot["x"] + plot["width"] / 2, plot["y"] + 50)
        query = parse_qs(urlsplit(asked.value.url).query)
        assert float(query["start_s"][0]) == pytest.approx(3000, abs=0.2)
        page.get_by_label("Jump to").fill("2:00:00")
        page.keyboard.press("Enter")
        said(page, "after the end")
        page.get_by_label("Jump to").fill("noon")
        page.keyboard.press("Enter")
        said(page, "is no time")


def test_wheel_and_keys_zoom(address: str) -> None:
    with visited(address) as page:
        open_recording(page, NIGHT)
        told = [page.locator(".range").inner_text()]
        plot = page.locator(".big .plot").bounding_box()
        page.mouse.move(plot["x"] + plot["width"] / 2, plot["y"] + 50)
        works: tuple[Callable[[], Any], ...] = (
            lambda: page.mouse.wheel(0, -600),
            lambda: page.keyboard.press("+"),
            lambda: page.keyboard.press("ArrowRight"),
            lambda: page.keyboard.press("-"),
            lambda: page.keyboard.press("j"),
            lambda: page.keyboard.press("0"),
        )
        for work in works:
            work()
            page.wait_for_function(
                "before => document.querySelector('.range').innerText !== before", arg=told[-1]
            )
            told.append(page.locator(".range").inner_text())
        assert len(set(told[:-1])) == len(told) - 1
        assert told[-1] == told[0]
        assert page.evaluate(PAINTED, BIG) > 20


def test_an_event_of_the_list_is_judged_by_a_key(folder: Path, address: str) -> None:
    with visited(address) as page:
        open_recording(page, NIGHT)
        page.locator("tbody tr[data-id]").first.wait_for()
        page.keyboard.press("y")
        said(page, "Choose an event first")
        page.get_by_label("Jump to").fill("0")
        page.keyboard.press("Enter")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("j")
        page.locator(".verdict", has_text="Is it").wait_for()
        page.keyboard.press("n")
        page.locator("tr.current", has_text="no").wait_for()
        page.locator("footer", has_text="not").wait_for()
        word = LabelJournal(journal_path(folder / "night.scan")).read()[-1]
        assert isinstance(word, Label)
        assert word.polarity == "negative"
        page.keyboard.press("u")
        page.locator("tr.current", has_text="not reviewed").wait_for()


def test_a_drag_is_labelled_as_a_missed_event(folder: Path, address: str) -> None:
    with visited(address) as page:
        open_recording(page, NIGHT)
        page.get_by_label("Jump to").fill("280")
        page.keyboard.press("Enter")
        page.evaluate("document.activeElement.blur()")
        page.locator("tbody tr").first.wait_for()
        before = page.locator(".one tbody tr").count()
        plot = page.locator(".big .plot").bounding_box()
        page.mouse.move(plot["x"] + 100, plot["y"] + 50)
        page.mouse.down()
        page.mouse.move(plot["x"] + 250, plot["y"] + 50, steps=5)
        page.mouse.up()
        assert "Selected 4:" in page.locator(".selection").inner_text()
        page.keyboard.press("m")
        page.keyboard.type("owl")
        page.keyboard.press("Enter")
        said(page, "owl at 4:")
        page.wait_for_function(
            "n => document.querySelectorAll('.one tbody tr').length === n", arg=before + 1
        )
    line = LabelJournal(journal_path(folder / "night.scan")).read()[-1]
    assert isinstance(line, Label)
    assert line.source == "missed"
    assert 265 < line.start_s < line.end_s < 300


def test_events_are_filtered_by_label_and_by_what_was_said(address: str) -> None:
    with visited(address) as page:
        open_recording(page, NIGHT)
        page.locator(".one tbody tr").nth(3).wait_for()
        every = page.locator(".one tbody tr").count()
        page.get_by_label("Label", exact=True).select_option("wren")
        wrens = page.locator(".one tbody tr").count()
        assert 0 < wrens < every
        page.get_by_label("Review state").select_option("negative")
        page.get_by_text("No event matches.").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 860), (360, 740)])
def test_a_recording_is_whole_in_every_dress(
    address: str, scheme: str, size: tuple[int, int]
) -> None:
    with visited(address, scheme=scheme, size=size) as page:
        open_recording(page, NIGHT)
        page.wait_for_timeout(500)
        is_whole(page)
