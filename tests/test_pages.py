"""The three pages, looked at in a browser."""

import wave
from pathlib import Path

import numpy as np
import pytest

from earful.index import Index
from earful.index.builder import build_index
from earful.index.health import check_health, map_index, write_health_page, write_map_page
from earful.model import ScriptedLanguageModel
from earful.rag import FewShot
from earful.rag.evaluation import EvaluationSettings, evaluate, write_report
from earful.rag.task import Shots, Task
from tests.support.browser import marks, opened

pytestmark = pytest.mark.slow

RATE = 8000
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
            *("plot-arms", "plot-shots", "plot-labels", "plot-confusion"),
            *("plot-reliability", "plot-risk"),
        }
        assert all(drawn.values()), drawn
        assert page.locator(".verdict").inner_text() == found.scorecard.verdict.text
        heads = page.locator("#table-arms th")
        column = heads.all_inner_texts().index("accuracy")
        for descending in (True, False):
            heads.nth(column).click()
            shown = page.locator(f"#table-arms td:nth-child({column + 1})").all_inner_texts()
            numbers = [float(text) for text in shown]
            assert numbers == sorted(numbers, reverse=descending)
        assert page.locator("#table-mistakes audio").count() > 0
        assert NASTY in page.locator("#table-labels").inner_text()


def test_the_health_of_an_index_can_be_looked_at(index: Path, tmp_path: Path) -> None:
    opened_index = Index.open(index)
    health = check_health(opened_index)
    write_health_page(health, opened_index, tmp_path / "health.html")
    with opened(tmp_path / "health.html") as page:
        assert all(marks(page).values()), marks(page)
        assert set(marks(page)) == {"plot-labels", "plot-hubs", "plot-durations"}


def test_a_click_on_the_map_plays_the_recording(index: Path, tmp_path: Path) -> None:
    opened_index = Index.open(index)
    write_map_page(map_index(opened_index), opened_index, tmp_path / "map.html")
    with opened(tmp_path / "map.html") as page:
        points = page.locator("#plot-map .scatterlayer .point")
        assert points.count() == 18
        box = points.nth(0).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector("#plot-map .hovertext")
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_function("document.getElementById('plot-map-player').src.startsWith('data:')")
