"""The screens Index, Reports and Settings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.serve.browser.conftest import Visit
from tests.serve.browser.screens import PAINTED, go, said, wait_for_repaint

pytestmark = pytest.mark.slow

ROW = "article .middle"


def open_row(page: Any, words: str) -> str:
    """Open the first row that some words find, and return its name."""
    page.get_by_label("Search rows").fill(words)
    row = page.locator("tbody tr[data-id]", has_text=words)
    row.first.wait_for()
    name = str(row.first.get_by_role("button").inner_text())
    row.first.get_by_role("button").click()
    page.locator("article b", has_text=name).wait_for()
    page.wait_for_function(f"() => ({PAINTED})('{ROW} canvas') > 20")
    return name


def test_a_row_is_relabelled_removed_and_brought_back(visit: Visit) -> None:
    with visit() as page:
        go(page, "index")
        name = open_row(page, "thunder")
        page.get_by_role("button", name="Change labels").click()
        page.keyboard.type("storm")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Leave out thunder").click()
        page.get_by_role("button", name="Add: not there").click()
        page.keyboard.type("door")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")  # the field is empty now
        said(page, "has its new labels")
        page.locator("article .meta", has_text="storm not door").wait_for()
        # What denies a label is listed, too.
        page.get_by_role("button", name="1 row without door").click()
        page.get_by_text("1 row", exact=True).wait_for()
        page.get_by_role("button", name="Remove").click()
        said(page, "removed")
        page.get_by_text("No row matches.").wait_for()
        page.locator("h1").click()
        page.keyboard.press("u")
        said(page, "as it was before")
        page.locator("article .meta", has_text="storm not door").wait_for()
        page.locator("h1").click()
        page.keyboard.press("u")
        page.locator("article .meta", has_text="thunder").wait_for()
        page.locator(".counts", has_not_text="storm").wait_for()
        page.reload()
        page.locator("article b", has_text=name).wait_for()  # the row is in the address


def test_findings_show_their_rows(visit: Visit) -> None:
    with visit() as page:
        go(page, "index")
        page.get_by_role("button", name="Check", exact=True).click()
        page.get_by_text("Neighbours name").wait_for()
        kind = page.locator("details").first
        kind.locator("summary").click()
        link = kind.get_by_role("button").first
        name = link.inner_text().removeprefix("Show ")
        link.click()
        page.locator("article b", has_text=name).wait_for()
        page.get_by_text("Pause").first.wait_for()


def test_a_report_is_shown_without_our_origin(visit: Visit) -> None:
    with visit() as page:
        go(page, "reports")
        page.get_by_role("button", name="health.html").first.click()
        frame = page.frame_locator("iframe")
        frame.locator("h1").first.wait_for()
        inside = next(one for one in page.frames if "/api/reports/" in one.url)
        assert inside.evaluate("origin") == "null"
        for reach in ("parent.document.title", "document.cookie", "localStorage.length"):
            assert (
                inside.evaluate(f"(() => {{ try {{ return {reach} }} catch {{ return 0 }} }})()")
                == 0
            )
        with page.expect_download() as kept:
            page.get_by_role("link", name="Download").click()
        assert kept.value.suggested_filename.startswith("night")


def test_settings_change_pictures_at_once_and_after_a_reload(visit: Visit) -> None:
    with visit() as page:
        go(page, "index")
        open_row(page, "fire")
        canvas = f"{ROW} canvas"
        pixels = [wait_for_repaint(page, canvas)]
        address = page.evaluate("location.hash")
        for name, value in (("Colours of spectrograms", "inverted"), ("Window", "256")):
            go(page, "settings")
            page.get_by_label(name).select_option(value)
            page.evaluate("address => { location.hash = address; }", address)
            pixels.append(wait_for_repaint(page, canvas, *pixels))
        page.reload()
        assert wait_for_repaint(page, canvas, *pixels[:-1]) == pixels[-1]
        go(page, "settings")
        page.get_by_label("Contrast").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("label", has_text="Contrast").locator("output").inner_text() == "1.1"
        page.get_by_role("button", name="All as it was at first").click()
        assert page.get_by_label("Window").input_value() == "0"
