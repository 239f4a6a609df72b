"""Every screen in every dress: nothing sticks out, all can be read, reached and named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.browser.conftest import Visit
from tests.serve.browser.screens import PAINTED, ask, give, go, is_whole, wait_for_item
from tests.support.asked_page import queries
from tests.support.served_page import NIGHT

pytestmark = pytest.mark.slow

SIZES = [(1280, 800), (768, 1024), (360, 740)]
AXE = os.environ.get("EARFUL_AXE", "")
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
VIOLATIONS = """levels => axe.run(document, { runOnly: levels, iframes: false }).then(found =>
  found.violations.map(one => `${one.id}: ${one.nodes.map(node => node.html).join(" ")}`))"""


def own_screens(page: Any) -> Iterator[str]:
    """Open Ask, Search, Index, Reports and Settings, with something in each."""
    go(page, "ask")
    yield "ask"
    give(page, queries("laughter")[0])
    page.get_by_text("More options").click()
    ask(page)
    page.wait_for_function(f"() => ({PAINTED})('.evidence li canvas') > 20")
    yield "answer"
    page.locator("h1").click()
    page.keyboard.press("b")
    page.keyboard.type("laughter")
    page.keyboard.press("Enter")
    yield "dialog"
    page.keyboard.press("Escape")
    go(page, "search", text="a door", where="duration_s > 0")
    page.locator(".evidence li").first.wait_for()
    yield "search"
    go(page, "index")
    page.locator("tbody tr[data-id]").first.get_by_role("button").click()
    page.locator("article").wait_for()
    page.get_by_role("button", name="Check", exact=True).click()
    page.get_by_text("Neighbours name").wait_for()
    page.locator("details summary").first.click()
    yield "index"
    go(page, "reports")
    page.get_by_role("button", name="health.html").first.click()
    page.frame_locator("iframe").locator("h1").first.wait_for()
    yield "reports"
    go(page, "settings")
    yield "settings"


def reviewing(page: Any) -> Iterator[str]:
    """Open Review and Recordings."""
    go_to = page.get_by_role("navigation").get_by_role("link", name="Review")
    go_to.click()
    wait_for_item(page)
    yield "review"
    page.get_by_role("link", name="Recordings").click()
    page.locator(".hours .n").first.wait_for()
    yield "recordings"
    page.get_by_role("link", name=NIGHT).click()
    page.wait_for_function(f"() => ({PAINTED})('.big canvas') > 20")
    yield "recording"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_screens_are_whole(visit: Visit, scheme: str, size: tuple[int, int]) -> None:
    with visit(scheme=scheme, size=size) as page:
        for name in own_screens(page):
            page.wait_for_timeout(400)  # colours that change slowly
            if name != "dialog":
                is_whole(page)


@pytest.mark.skipif(not AXE, reason="EARFUL_AXE names no axe.min.js; CI installs it by npm")
@pytest.mark.parametrize(("scheme", "size"), [("light", SIZES[0]), ("dark", SIZES[2])])
def test_axe_finds_no_barrier(visit: Visit, scheme: str, size: tuple[int, int]) -> None:
    with visit(scheme=scheme, size=size) as page:
        # Evaluated from outside, as the content policy lets no foreign script in.
        page.evaluate(f"() => {{ {Path(AXE).read_text('utf-8')} }}")
        found = {}
        for screens in (reviewing, own_screens):
            for name in screens(page):
                page.wait_for_timeout(400)
                found[name] = page.evaluate(VIOLATIONS, LEVELS)
        assert {name: faults for name, faults in found.items() if faults} == {}


def test_all_is_reached_by_keyboard(visit: Visit) -> None:
    with visit() as page:
        go(page, "ask")
        give(page, queries("door")[0])
        page.get_by_text("More options").click()
        reached = set()
        page.get_by_role("link", name="Settings").focus()
        for _ in range(30):
            page.keyboard.press("Tab")
            name, ring = page.evaluate(
                """() => { const one = document.activeElement;
                const shown = one.matches("[type=file]") ? one.labels[0] : one;
                return [one.getAttribute("aria-label") || shown.textContent.trim(),
                  getComputedStyle(shown).outlineStyle]; }"""
            )
            if page.evaluate("document.activeElement === document.body"):
                break
            assert ring != "none", name
            reached.add(name)
        wanted = {"Choose files", "Record", "Sounds here", "From", "To", "What to ask", "Among"}
        assert wanted | {"Exemplars"} <= reached
