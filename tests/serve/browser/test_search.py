"""The screen Search: by a sentence and by a sound, under filters."""

from __future__ import annotations

import pytest

from tests.serve.browser.conftest import Visit
from tests.serve.browser.screens import PAINTED, give, go
from tests.support.asked_page import LABELS, queries

pytestmark = pytest.mark.slow


def test_a_sentence_finds_sounds_to_hear_and_more_like_them(visit: Visit) -> None:
    with visit() as page:
        go(page, "search")
        page.get_by_label("What is to be heard").fill("people laughing")
        page.keyboard.press("Enter")
        page.get_by_text("for people laughing, nearest first").wait_for()
        first = page.locator(".evidence li").first
        assert "%" in first.inner_text()  # a sentence is compared by a probability
        page.wait_for_function(f"() => ({PAINTED})('.evidence li canvas') > 20")
        first.get_by_role("button").first.click()
        first.get_by_text("Pause").wait_for()
        n = page.locator(".evidence li").count()
        page.get_by_role("button", name="Show more").click()
        page.wait_for_function("n => document.querySelectorAll('.evidence li').length > n", arg=n)
        name = first.locator("small").inner_text().split(" ")[0]
        first.get_by_role("link", name="More like this").click()
        page.locator(".sound b", has_text=name).wait_for()
        found = page.locator(".evidence li")
        found.first.wait_for()
        assert "similarity" in found.first.inner_text()
        assert name not in [text.split(" ")[0] for text in found.locator("small").all_inner_texts()]
        # Back is the sentence with its results.
        page.go_back()
        page.get_by_text("for people laughing, nearest first").wait_for()


def test_filters_stay_in_the_address_and_a_bad_one_is_said(visit: Visit) -> None:
    with visit(expected="422") as page:
        go(page, "search", text="a door")
        page.locator(".evidence li").first.wait_for()
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("Label", exact=True).select_option("thunder")
        page.wait_for_function(
            """() => { const all = [...document.querySelectorAll('.evidence b')];
            return all.length && all.every(one => one.textContent === 'thunder'); }"""
        )
        condition = page.get_by_label("Condition")
        condition.fill("duration_s > ")
        page.keyboard.press("Enter")
        page.get_by_role("alert").filter(has_text="expected one SQL condition").wait_for()
        assert condition.get_attribute("aria-invalid") == "true"
        condition.fill("duration_s > 1000")
        page.keyboard.press("Enter")
        page.get_by_text("Nothing passes these filters.").wait_for()
        page.reload()
        assert condition.input_value() == "duration_s > 1000"
        page.get_by_role("button", name="Clear filters").click()
        page.locator(".evidence li").first.wait_for()


def test_a_sound_of_ones_own_finds_what_is_like_it(visit: Visit) -> None:
    with visit() as page:
        go(page, "search")
        page.get_by_role("button", name="A sound").click()
        give(page, queries("laughter")[0])
        page.locator(".evidence li").first.wait_for()
        assert page.locator(".evidence b").first.inner_text() in LABELS
