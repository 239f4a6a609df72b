"""The three pages, looked at in a browser."""

import itertools
import re
import wave
from pathlib import Path

import numpy as np
import pytest

from earful.index import Index
from earful.index.builder import build_index
from earful.index.health import (
    HealthLimits,
    check_health,
    map_index,
    write_health_page,
    write_map_page,
)
from earful.index.health.map import _Mark, _place_names
from earful.model import ScriptedLanguageModel
from earful.rag import FewShot
from earful.rag.evaluation import EvaluationSettings, evaluate, write_report
from earful.rag.task import Shots, Task
from tests.support.browser import marks, opened

pytestmark = pytest.mark.slow

RATE = 8000
# With these, six exemplars of a label are too few, so that there is something to do.
FEW = HealthLimits(least_exemplars=10)
# The relative luminance of a text's colour, and of the first ground behind it.
CONTRAST = """place => {
  const light = colour => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(
      x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const text = document.querySelector(place), style = getComputedStyle(text);
  let behind = text;
  while (behind && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)")
    behind = behind.parentElement;
  const ink = text instanceof SVGElement ? style.fill : style.color;
  return [light(ink), light(getComputedStyle(behind ?? document.body).backgroundColor)];
}"""
NASTY = "<script>alert(1)<"
HZ = {"low": 200.0, NASTY: 700.0, "high": 2000.0}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    rows = ["file_name,label"]
    for number, (label, hz) in enumerate(HZ.items()):
        for take in range(6):
            time_s = np.arange(RATE // 4) / RATE
            random = np.random.default_rng(10 * number + take)
            samples = 0.3 * np.sin(2 * np.pi * hz * random.uniform(0.7, 1.5) * time_s)
            with wave.open(str(root / f"{number}-{take}.wav"), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes((samples * 32767).astype("<i2").tobytes())
            rows.append(f"{number}-{take}.wav,{label}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    path = tmp_path_factory.mktemp("indexes") / "tones.index"
    build_index(root, path, embedder="logmel")
    return path


def test_an_evaluation_s_report_shows_every_plot(index: Path, tmp_path: Path) -> None:
    few = FewShot.open(index, model=ScriptedLanguageModel())
    # A model without an ear, so that there are mistakes to listen to.
    arms = ("zero-shot", "retrieved", "random", "majority")
    settings = EvaluationSettings(
        shots=(0, 1, 3), seeds=1, resamples=100, near_duplicate=1.0, arms=arms
    )
    found = evaluate(few, Task(name="tones", shots=Shots(k=3)), settings=settings)
    write_report(found.scorecard, tmp_path / "report.html")
    with opened(tmp_path / "report.html") as page:
        drawn = marks(page)
        assert set(drawn) == {
            *("plot-shots", "plot-reliability", "plot-risk"),
        }
        assert all(drawn.values()), drawn
        first, *others = found.scorecard.verdict.text.split("; ")
        told = page.locator(".verdict")
        assert told.locator("strong").inner_text().lower() == first.lower()
        assert told.locator("li").all_inner_texts() == others
        # The one to use is marked, in the table and among the bars.
        assert page.locator("tr.winner th").first.inner_text().endswith("use this one")
        assert page.locator("#table-arms b.win").count() == 1
        # Every item stands in the confusion matrix, as a number.
        counts = page.locator("#plot-confusion td[title]").all_text_contents()
        assert sum(map(int, counts)) == len(found.scorecard.items)
        heads = page.locator("#table-arms th")
        column = heads.all_inner_texts().index("accuracy")
        for descending in (True, False):
            heads.nth(column).click()
            shown = page.locator(f"#table-arms td:nth-child({column + 1})").all_inner_texts()
            shown = [text.strip() for text in shown]
            numbers = [float(text.removesuffix("%")) for text in shown]
            assert all(text.endswith("%") for text in shown)
            assert numbers == sorted(numbers, reverse=descending)
        page.locator("#table-mistakes .play").first.click()
        page.wait_for_function("document.querySelector('audio').src.startsWith('data:')")
        assert page.locator(".play.playing").count() == 1
        assert NASTY in page.locator("#table-labels").inner_text()


def test_the_health_of_an_index_can_be_looked_at(index: Path, tmp_path: Path) -> None:
    opened_index = Index.open(index)
    health = check_health(opened_index, limits=FEW)
    write_health_page(health, opened_index, tmp_path / "health.html")
    with opened(tmp_path / "health.html") as page:
        # What to do comes first, with the number that says how urgent it is.
        first = page.locator(".verdict.urgent strong").inner_text()
        assert first.startswith("Begin with ")
        assert f"{health.accuracy:.1%}" in first
        steps = page.locator(".verdict li a")
        assert steps.count() == len(health.n_of)
        for place in steps.evaluate_all("links => links.map(link => link.hash)"):
            assert page.locator(place).count() == 1
        bars = page.locator("#table-labels .bar b").evaluate_all(
            "bars => bars.map(bar => bar.getBoundingClientRect().width)"
        )
        # One of the share right and one of the seconds, for each label.
        assert len(bars) == 2 * len(HZ)
        assert max(bars) > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_a_light_and_a_dark_screen(
    scheme: str, index: Path, tmp_path: Path
) -> None:
    opened_index = Index.open(index)
    health = check_health(opened_index, limits=FEW)
    write_health_page(health, opened_index, tmp_path / "health.html")
    with opened(tmp_path / "health.html", scheme=scheme) as page:
        for place in (".verdict strong", ".verdict li", "thead th", "tbody th", "caption"):
            ink, paper = page.evaluate(CONTRAST, place)
            lighter, darker = max(ink, paper), min(ink, paper)
            assert (lighter + 0.05) / (darker + 0.05) > 7.0, (place, ink, paper)


def test_small_pages_are_small(index: Path, tmp_path: Path) -> None:
    opened_index = Index.open(index)
    write_map_page(map_index(opened_index), opened_index, tmp_path / "map.html")
    write_health_page(check_health(opened_index), opened_index, tmp_path / "health.html")
    for name in ("map.html", "health.html"):
        text = (tmp_path / name).read_text()
        assert len(re.sub(r"data:audio[^\"]*", "", text)) < 100_000
        assert len(text) < 1_000_000


def test_a_click_on_the_map_plays_the_recording(index: Path, tmp_path: Path) -> None:
    opened_index = Index.open(index)
    write_map_page(map_index(opened_index), opened_index, tmp_path / "map.html")
    with opened(tmp_path / "map.html") as page:
        points = page.locator("#plot-map .cloud use")
        assert points.count() == 18
        # One mark and one name a label, and a text under the pointer.
        assert sorted(page.locator("#plot-map text.name").all_text_contents()) == sorted(HZ)
        looks = {
            page.locator(f"#plot-map .key button:nth-child({n}) use").get_attribute("href")
            for n in (1, 2, 3)
        }
        assert len(looks) == 3
        points.nth(0).hover()
        assert points.nth(0).locator("title").text_content().startswith("<script>")
        points.nth(0).click()
        page.wait_for_function("document.querySelector('audio').src.startsWith('data:')")
        assert (
            "0-" in page.locator(".told").inner_text()
            or NASTY in page.locator(".told").inner_text()
        )
        page.locator("#plot-map .key button").nth(0).click()
        assert page.locator("#plot-map .cloud.hidden").count() == 1


def test_the_map_can_be_read_by_keys_and_zoomed(index: Path, tmp_path: Path) -> None:
    opened_index = Index.open(index)
    write_map_page(map_index(opened_index), opened_index, tmp_path / "map.html")
    with opened(tmp_path / "map.html") as page:
        page.locator("svg.map").focus()
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        second = page.locator("#plot-map .cloud use").nth(1)
        assert page.locator(".told").inner_text() == second.locator("title").text_content()
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('audio').src.startsWith('data:')")
        zoom = page.locator("[data-zoom]").first
        zoom.click()
        _, _, width, _ = map(float, page.locator("svg.map").get_attribute("viewBox").split())
        assert width == pytest.approx(1000 / 1.5)
        zoom.click()
        # It is no label of the legend, which hides and lights marks.
        assert zoom.get_attribute("aria-pressed") is None
        assert "dimmed" not in page.locator("svg.map").get_attribute("class").split()


def test_names_on_the_map_do_not_overlap() -> None:
    clouds = {f"label {n}": [_Mark(str(n), 500.0 + n, 350.0, "")] for n in range(20)}
    names = _place_names(clouds)
    assert {one.name for one in names} == set(clouds)
    assert not names[0].is_moved
    for one, other in itertools.combinations(names, 2):
        assert abs(one.x - other.x) > 50 or abs(one.y - other.y) >= 15


@pytest.mark.parametrize("page_of", ["health", "map"])
def test_a_page_fits_a_phone(page_of: str, index: Path, tmp_path: Path) -> None:
    opened_index = Index.open(index)
    if page_of == "map":
        write_map_page(map_index(opened_index), opened_index, tmp_path / "page.html")
    else:
        health = check_health(opened_index, limits=FEW)
        write_health_page(health, opened_index, tmp_path / "page.html")
    with opened(tmp_path / "page.html") as page:
        page.set_viewport_size({"width": 400, "height": 800})
        # Wide tables and the map scroll by themselves, the page does not.
        assert page.evaluate("document.documentElement.scrollWidth") == 400
