"""A headless Chromium for pages that have to be looked at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def opened(path: Path, *, scheme: str = "light") -> Iterator[Any]:
    """Open a file in a browser without a network; every error it logs fails the test."""
    with _page(path.resolve().as_uri(), offline=True, color_scheme=scheme) as (page, faults):
        yield page
    assert not faults, faults


@contextmanager
def visited(
    address: str,
    *,
    scheme: str = "light",
    size: tuple[int, int] = (1280, 860),
    expected: str = "\0",
    browser: Any = None,
    **options: Any,
) -> Iterator[Any]:
    """Visit a page; an error that it logs, or a request to another host, fails the test.

    Args:
        address: Of the page.
        scheme: Colours that the browser asks for.
        size: Of the window, in pixels.
        expected: Part of those errors that belong to the test.
        browser: One that runs already; ``None`` for a new one.
        options: Of the browser's context.
    """
    host = urlsplit(address).netloc
    viewport = {"width": size[0], "height": size[1]}
    chosen = {"color_scheme": scheme, "viewport": viewport, **options}
    with _page(address, browser, **chosen) as (page, faults):
        page.context.on(
            "request",
            lambda request: (
                faults.append((f"asked for {request.url}", ""))
                if urlsplit(request.url).netloc not in (host, "")
                else None
            ),
        )
        page.reload()
        yield page
    # Not in the address, whose port is any number.
    unexpected = [(what, where) for what, where in faults if expected not in what]
    assert not unexpected, unexpected


@contextmanager
def launched(*args: str) -> Iterator[Any]:
    """Start a browser, for several pages one after another."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = os.environ.get("EARFUL_CHROMIUM") or next(
        filter(None, map(shutil.which, NAMES)), None
    )
    if chromium is None:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium, or set EARFUL_CHROMIUM")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox", *args])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _page(
    address: str, running: Any = None, **options: Any
) -> Iterator[tuple[Any, list[tuple[str, str]]]]:
    faults: list[tuple[str, str]] = []  # what was logged, and of which address
    with nullcontext(running) if running else launched() as browser:
        context = browser.new_context(**options)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append((str(error), "")))
        page.on(
            "console",
            lambda told: (
                faults.append((told.text, told.location.get("url", "")))
                if told.type == "error"
                else None
            ),
        )
        page.goto(address)
        try:
            yield page, faults
        finally:
            context.close()


def marks(page: Any) -> dict[str, int]:
    """Return how many points and lines each chart draws."""
    drawn: dict[str, int] = page.evaluate(
        """Object.fromEntries([...document.querySelectorAll('figure[id]')].map(one =>
        [one.id, one.querySelectorAll('.point, polyline').length]))"""
    )
    return drawn
