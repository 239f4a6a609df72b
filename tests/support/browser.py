"""A headless Chromium for pages that have to be looked at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def opened(path: Path, *, scheme: str = "light") -> Iterator[Any]:
    """Open a file in a browser without a network; every error it logs fails the test."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = os.environ.get("EARFUL_CHROMIUM") or next(
        filter(None, map(shutil.which, NAMES)), None
    )
    if chromium is None:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium, or set EARFUL_CHROMIUM")
    faults: list[str] = []
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(offline=True, color_scheme=scheme)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda told: faults.append(told.text) if told.type == "error" else None,
        )
        page.goto(path.resolve().as_uri())
        try:
            yield page
        finally:
            browser.close()
    assert faults == []


def marks(page: Any) -> dict[str, int]:
    """Return how many points and lines each chart draws."""
    drawn: dict[str, int] = page.evaluate(
        """Object.fromEntries([...document.querySelectorAll('figure[id]')].map(one =>
        [one.id, one.querySelectorAll('.point, polyline').length]))"""
    )
    return drawn
