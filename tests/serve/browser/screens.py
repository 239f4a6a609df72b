"""What the tests of the page look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

PAINTED = """where => {
  const canvas = document.querySelector(where);
  if (!canvas || !canvas.width) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const seen = new Set();
  for (let at = 0; at < data.length; at += 4) {
    seen.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
  }
  return seen.size;
}"""
"""How many colours a canvas holds: one where nothing is painted."""

PIXELS = """where => {
  const canvas = document.querySelector(where);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let at = 0; at < data.length; at += 1) sum = (sum * 31 + data[at]) >>> 0;
  return sum;
}"""
"""A number that changes with any pixel."""

BIG = ".big canvas"

FAINT = """() => {
  const light = colour => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(
      x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const clear = colour => /^rgba\\(.*, 0\\)$|transparent/.test(colour);
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.checkVisibility()) continue;
    if (one.closest(":disabled, .plot, .skip, option, .gesture")) continue;
    const ground = node => getComputedStyle(node).backgroundColor;
    let behind = one;
    while (behind.parentElement && clear(ground(behind))) behind = behind.parentElement;
    const [a, b] = [light(getComputedStyle(one).color), light(ground(behind))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const name = `${one.className || one.tagName}: ${one.textContent.slice(0, 30)}`;
    if (ratio < 4.5) found.push(`${name} ${ratio.toFixed(2)}`);
  }
  return found;
}"""
"""Texts whose contrast to what is behind them is below 4.5."""

POOR_CONTROLS = """() => [...document.querySelectorAll(
    "button, a, input, select, [role=slider], [tabindex='0']")]
  .filter(one => one.checkVisibility() && !one.closest(".skip"))
  .filter(one => {
    // What is pressed of a tick or a file's field is its label.
    const pressed = one.matches("[type=checkbox], [type=file]") ? one.labels[0] : one;
    const { width, height } = pressed.getBoundingClientRect();
    const name = one.getAttribute("aria-label") || pressed.textContent.trim()
      || one.labels?.[0]?.textContent.trim();
    return !name || height < 40 || width < 36;
  }).map(one => one.outerHTML.slice(0, 120))"""
"""Controls without a name, or too small for a finger."""


def wait_for_item(page: Any, other_than: str = "") -> str:
    """Wait until an item is painted, and return its place."""
    page.wait_for_function(
        """before => { const told = document.querySelector(".meta");
        return told && told.textContent && told.textContent !== before; }""",
        arg=other_than,
    )
    page.wait_for_function(f"() => ({PAINTED})('{BIG}') > 20")
    return str(page.locator(".meta").first.text_content())


def wait_for_repaint(page: Any, where: str, *seen: int) -> int:
    """Wait until a canvas shows none of the pictures seen and keeps still, and return its own."""
    picture = page.wait_for_function(
        f"""([where, seen]) => {{
          const now = ({PAINTED})(where) > 20 ? ({PIXELS})(where) : 0;
          const still = window.picture === now;
          window.picture = now;
          return still && !seen.includes(now) && now;
        }}""",
        arg=[where, list(seen)],
        polling=150,
    )
    return int(picture.json_value())


def wait_for_tally(page: Any, n: int) -> None:
    """Wait until so many items are reviewed."""
    page.wait_for_function(
        """n => document.querySelector(".tally").textContent.startsWith(`${n} of `)""", arg=n
    )


def said(page: Any, text: str) -> None:
    """Wait until the status bar says something; a failure names what it says instead."""
    from playwright.sync_api import TimeoutError as NeverSaid

    try:
        page.wait_for_function(
            """text => document.querySelector(".said").textContent.includes(text)""", arg=text
        )
    except NeverSaid as error:
        seen = page.locator(".said").inner_text(), page.locator("h1").all_inner_texts()
        raise AssertionError(f"expected {text!r}, the bar and headings say {seen}") from error


def is_whole(page: Any) -> None:
    """Check what holds of every screen: nothing sticks out, nothing is undefined or faint."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("(m => m.scrollWidth <= m.clientWidth)(document.querySelector('main'))")
    links = "[...document.querySelectorAll('nav a')]"
    assert page.evaluate(f"{links}.every(one => one.scrollWidth <= one.clientWidth)")
    words = page.evaluate("document.body.innerText")
    assert not {"undefined", "[object", "NaN"} & set(words.split())
    for look in (FAINT, POOR_CONTROLS):
        faults = page.evaluate(look)
        assert not faults, faults


def go(page: Any, screen: str, **query: str) -> None:
    """Go to a screen by its address."""
    page.evaluate("address => { location.hash = address; }", f"#/{screen}?{urlencode(query)}")
    page.locator(f".screen.{screen} h1, .screen.{screen} h2").first.wait_for()


def give(page: Any, *paths: Path) -> None:
    """Choose files, and wait until the one of them is shown."""
    page.locator("input[type=file]").set_input_files(list(paths))
    if len(paths) == 1:
        page.locator(".sound b", has_text=paths[0].name).wait_for()


def ask(page: Any) -> str:
    """Ask, and return the answer."""
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator(".result .evidence li").first.wait_for()
    return str(page.locator(".result .answer").inner_text())
