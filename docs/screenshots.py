"""Take the pictures of ``docs/pages.md`` and ``docs/serve.md``, of the demo corpus, in Chromium.

Run it with ``./dev run python -m docs.screenshots``, with the names of some pages for those alone;
it takes some minutes, and needs Debian's
``chromium`` or a browser that ``EARFUL_CHROMIUM`` names.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import earful
from earful.demo import DemoCorpus, mix_long_recording
from earful.index import Index
from earful.index.health import check_health, map_index, write_health_page, write_map_page
from earful.rag.evaluation import EvaluationSettings, evaluate, write_report
from earful.rag.scan import ExampleSources, write_scan_page
from earful.rag.task import Task

IMAGES = Path(__file__).resolve().parent / "images"
WIDTH, MOST_HEIGHT = 1200, 1300
# Of so many colours a picture takes a third of the bytes, and shows no difference.
COLOURS = 96
SCREENS = ("review", "ask", "search")
"""Screens of ``earful serve`` that are shown."""


def main() -> None:
    """Make the pages in a temporary folder and take their pictures."""
    chromium = os.environ.get("EARFUL_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("expected chromium, or its path in EARFUL_CHROMIUM; got neither")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as engine:
        made = {path.stem: path for path in [make_events_page(Path(folder))]}
        if not (wanted := sys.argv[1:]) or set(wanted) - set(made):
            made |= {path.stem: path for path in make_pages(Path(folder))}
        pages = [path for name, path in made.items() if not wanted or name in wanted]
        browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if not wanted or set(wanted) & set(SCREENS):
            take_screens(browser, Path(folder))
        context = browser.new_context(
            offline=True, viewport={"width": WIDTH, "height": MOST_HEIGHT}
        )
        for path in pages:
            page = context.new_page()
            page.goto(path.as_uri())
            taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            shown = min(page.evaluate("document.body.getBoundingClientRect().bottom"), MOST_HEIGHT)
            keep(taken.crop((0, 0, WIDTH, round(shown))), path.stem)
        browser.close()


def keep(picture: Image.Image, name: str, colours: int = COLOURS) -> None:
    """Write a picture into ``docs/images``."""
    target = IMAGES / f"{name}.png"
    picture.quantize(colours, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


def take_screens(browser: Any, folder: Path) -> None:
    """Take pictures of the page that ``earful serve`` shows of the demo's index and scan."""
    sound = sorted((DemoCorpus.find().queries / "laughter").glob("*.flac"))[0]
    with serving(folder) as address:
        page = browser.new_context(viewport={"width": 1100, "height": 760}).new_page()
        page.goto(address)
        page.locator(".near:not(.none)").wait_for()
        shoot(page, "review")
        page.get_by_role("link", name="Ask").click()
        page.locator("input[type=file]").set_input_files(sound)
        page.locator(".sound b", has_text=sound.name).wait_for()
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator(".evidence li").nth(3).wait_for()
        page.evaluate("document.querySelector('main').scrollTo(0, 0)")
        page.set_viewport_size({"width": 1100, "height": 980})
        shoot(page, "ask")
        page.set_viewport_size({"width": 1100, "height": 760})
        page.get_by_role("link", name="Search").click()
        page.get_by_label("What is to be heard").fill("birds singing")
        page.keyboard.press("Enter")
        page.locator(".evidence li").nth(7).wait_for()
        shoot(page, "search")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run ``earful serve`` as a user does, and give the address that it prints."""
    command = [sys.executable, "-m", "earful", "serve", "--index", "demo.index"]
    command += ["--scan", "ward.scan", "--task", str(DemoCorpus.find().task)]
    command += ["--reviewer", "ana", "--no-open", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield next(
                found.group() for line in server.stdout if (found := re.search(r"http\S+", line))
            )
        finally:
            server.terminate()


def shoot(page: Any, name: str) -> None:
    """Take a picture of what is shown, once all of it is painted."""
    page.wait_for_timeout(3000)
    keep(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), name, 64)


def make_events_page(folder: Path) -> Path:
    """Write the page of what a scan finds in the demo's long recording."""
    mixed = mix_long_recording(DemoCorpus.find(), folder)
    # As a user is: where the recording lies, so that the page names no folder of this machine.
    os.chdir(folder)
    examples = ExampleSources(
        annotations=(mixed.examples,), complete_until_s=mixed.complete_until_s
    )
    found = earful.scan(mixed.audio.name, examples=examples, out="ward.scan")
    write_scan_page(found, folder / "events.html")
    return folder / "events.html"


def make_pages(folder: Path) -> list[Path]:
    """Write the pages of the demo corpus into a folder and return their files."""
    built = folder / "demo.index"
    earful.build_index(DemoCorpus.find().sounds, built)
    index = Index.open(built)
    health, evaluation, map_ = (folder / f"{n}.html" for n in ("health", "evaluation", "map"))
    write_health_page(check_health(index), index, health)
    write_map_page(map_index(index), index, map_)
    # The vote and its baselines alone: a language model would take half an hour more.
    few = earful.FewShot.open(built, model=None)
    # Nothing is looked for by signals, so that no note names a path of this machine.
    settings = EvaluationSettings(shots=(1, 2, 4, 8), near_duplicate=1.0)
    write_report(evaluate(few, Task(name="demo"), settings=settings).scorecard, evaluation)
    return [health, evaluation, map_]


if __name__ == "__main__":
    main()
