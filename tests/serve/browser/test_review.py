"""The screen Review: items by keys, what is kept of them, and what is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from earful.index.labels import Label, LabelJournal, journal_path
from tests.serve.browser.screens import (
    BIG,
    is_whole,
    said,
    wait_for_item,
    wait_for_repaint,
    wait_for_tally,
)
from tests.support.browser import visited
from tests.support.served_page import NASTY

pytestmark = pytest.mark.slow


def kept(folder: Path) -> list[Label]:
    state = LabelJournal(journal_path(folder / "night.scan")).state()
    return [item.label for item in state.items.values() if item.label is not None]


def test_ten_labels_by_keys_outlast_a_reload_and_three_are_taken_back(
    folder: Path, address: str
) -> None:
    with visited(address) as page:
        places = [wait_for_item(page)]
        for n in range(1, 11):
            page.keyboard.press("y")
            places.append(wait_for_item(page, places[-1]))
            wait_for_tally(page, n)
        assert len(set(places)) == 11
        assert len(kept(folder)) == 10
        page.reload()
        shown = wait_for_item(page)
        for n in (9, 8, 7):
            page.keyboard.press("u")
            wait_for_tally(page, n)
            shown = wait_for_item(page, shown)
            assert shown == places[n]
        assert {label.polarity for label in kept(folder)} == {"positive"}
        assert len(kept(folder)) == 7


def test_a_key_paints_the_next_without_asking(address: str) -> None:
    with visited(address) as page:
        first = wait_for_item(page)
        page.wait_for_timeout(1500)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.keyboard.press("n")
        wait_for_item(page, first)
        assert not [url for url in asked[:1] if "spectrogram" in url]


def test_ends_that_were_moved_are_kept(folder: Path, address: str) -> None:
    with visited(address) as page:
        wait_for_item(page)
        ends = page.locator(".big .handle.from"), page.locator(".big .handle.to")
        before = [float(end.get_attribute("aria-valuenow")) for end in ends]
        grip = ends[1].bounding_box()
        page.mouse.move(grip["x"] + 10, grip["y"] + 40)
        page.mouse.down()
        page.mouse.move(grip["x"] + 70, grip["y"] + 40, steps=6)
        page.mouse.up()
        dragged = float(ends[1].get_attribute("aria-valuenow"))
        assert dragged > before[1] + 0.05
        page.keyboard.press(".")
        page.keyboard.press("Shift+Comma")
        ends[0].focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        after = [float(end.get_attribute("aria-valuenow")) for end in ends]
        assert after == pytest.approx([before[0] + 0.05, dragged + 0.05], abs=0.011)
        page.keyboard.press("y")
        wait_for_tally(page, 1)
    (label,) = kept(folder)
    assert [label.start_s, label.end_s] == pytest.approx(after, abs=0.011)


def test_zoom_and_context_repaint_the_stretch(address: str) -> None:
    with visited(address) as page:
        wait_for_item(page)
        pixels = [wait_for_repaint(page, BIG)]
        for key in "zzad":
            page.keyboard.press(key)
            pixels.append(wait_for_repaint(page, BIG, *pixels))


def test_colours_and_contrast_change_without_a_request(address: str) -> None:
    with visited(address) as page:
        wait_for_item(page)
        page.wait_for_timeout(1500)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        before = wait_for_repaint(page, BIG)
        for name, value in (("colours", '"inverted"'), ("contrast", "2"), ("fmax_hz", "1000")):
            page.evaluate(f"import('./settings.js').then(s => s.choose('{name}', {value}))")
            before = wait_for_repaint(page, BIG, before)
            if name == "contrast":
                assert not [url for url in asked if "spectrogram" in url]


def test_a_nasty_label_stays_text(address: str) -> None:
    with visited(address) as page:
        wait_for_item(page)
        page.get_by_label("Label", exact=True).select_option(NASTY)
        page.wait_for_function("() => document.querySelector('h1').textContent.includes('<img')")
        assert NASTY in page.locator("h1").inner_text()
        page.keyboard.press("y")
        said(page, "<img")
        assert page.locator("img").count() == 0
        assert page.title() != "owned"


def test_other_labels_comments_flags_and_missed_events(folder: Path, address: str) -> None:
    with visited(address) as page:
        first = wait_for_item(page)
        page.keyboard.press("c")
        page.keyboard.type("faint, y n 1")
        page.keyboard.press("Enter")
        page.keyboard.press("f")
        page.keyboard.press("0")
        page.keyboard.type("brand new")
        page.keyboard.press("Enter")
        wait_for_item(page, first)
        wait_for_tally(page, 1)
        (label,) = kept(folder)
        assert (label.label, label.comment, label.flagged) == ("brand new", "faint, y n 1", True)
        plot = page.locator(".big .plot").bounding_box()
        page.mouse.move(plot["x"] + 20, plot["y"] + 60)
        page.mouse.down()
        page.mouse.move(plot["x"] + 120, plot["y"] + 60, steps=5)
        page.mouse.up()
        page.keyboard.press("m")
        page.keyboard.type("owl")
        page.keyboard.press("Enter")
        said(page, "Missed owl")
    assert {label.source for label in kept(folder)} >= {"missed"}


def test_keys_leave_text_fields_and_held_keys_alone(folder: Path, address: str) -> None:
    with visited(address) as page:
        wait_for_item(page)
        page.evaluate(
            """() => { for (const more of [{ repeat: true }, { ctrlKey: true }, { metaKey: true }])
            document.body.dispatchEvent(new KeyboardEvent("keydown",
              { key: "y", code: "KeyY", bubbles: true, ...more })); }"""
        )
        page.keyboard.press("h")
        page.keyboard.press("y")
        page.keyboard.press("Escape")
        page.wait_for_timeout(300)
    assert kept(folder) == []


def test_what_another_reviewer_holds_is_said_and_the_next_is_taken(address: str) -> None:
    body = json.dumps({"error": {"code": "leased", "message": "ben has it", "field": None}})
    with visited(address, expected="409") as page:
        first = wait_for_item(page)
        page.route(
            "**/api/labels",
            lambda route: route.fulfill(status=409, body=body, content_type="application/json"),
            times=1,
        )
        page.keyboard.press("y")
        said(page, "ben has it")
        assert wait_for_item(page, first) != first


def test_labels_wait_while_the_server_is_gone(folder: Path, address: str) -> None:
    with visited(address, expected="net::ERR") as page:
        place = wait_for_item(page)
        page.wait_for_timeout(1500)
        page.context.set_offline(True)
        for _ in range(2):
            page.keyboard.press("y")
            place = wait_for_item(page, place)
        page.locator(".offline").get_by_text("2 labels wait").wait_for()
        page.keyboard.press("u")
        page.locator(".offline").get_by_text("1 label waits").wait_for()
        assert kept(folder) == []
        page.context.set_offline(False)
        wait_for_tally(page, 1)
        page.locator(".offline").wait_for(state="hidden")
    (label,) = kept(folder)
    assert label.at is not None


def test_an_old_token_is_told_from_a_server_that_is_gone(folder: Path, address: str) -> None:
    with visited(address, expected="status of 401") as page:
        wait_for_item(page)
        page.wait_for_timeout(1500)
        cookies = page.context.cookies()
        page.context.clear_cookies()
        page.keyboard.press("y")
        page.locator(".offline").get_by_text("Open the new address").wait_for()
        page.locator(".offline").get_by_text("1 label waits").wait_for()
        page.context.add_cookies(cookies)
        wait_for_tally(page, 1)
        page.locator(".offline").wait_for(state="hidden")
    assert len(kept(folder)) == 1


def test_a_missing_recording_can_only_be_skipped(folder: Path, address: str) -> None:
    night, away = folder / "night", folder / "away"
    night.rename(away)
    try:
        # Its nearest example is gone, too.
        with visited(address, expected="Failed to load resource") as page:
            page.locator(".work.missing").wait_for()
            page.keyboard.press("y")
            said(page, "only be skipped")
            assert page.get_by_role("button", name="Yes").is_disabled()
            before = page.locator(".meta").first.text_content()
            page.keyboard.press("s")
            page.wait_for_function(
                "before => document.querySelector('.meta').textContent !== before", arg=before
            )
    finally:
        away.rename(night)
    assert {label.polarity for label in kept(folder)} <= {"skip"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 860), (360, 740)])
def test_the_screen_is_whole_in_every_dress(
    address: str, scheme: str, size: tuple[int, int]
) -> None:
    with visited(address, scheme=scheme, size=size) as page:
        wait_for_item(page)
        page.wait_for_timeout(800)
        is_whole(page)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(", "))) < 200) == (scheme == "dark")


def test_a_place_elsewhere_is_heard_and_the_item_comes_back(address: str) -> None:
    with visited(address) as page:
        wait_for_item(page)
        page.wait_for_timeout(500)
        strip: Any = page.locator(".strip").bounding_box()
        with page.expect_request("**/api/spectrogram/**"):
            page.mouse.click(strip["x"] + strip["width"] / 2, strip["y"] + 20)
        page.get_by_role("button", name="Back to the item").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Back to the item").wait_for(state="hidden")
