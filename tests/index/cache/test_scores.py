import json
import math
import os
from pathlib import Path

import pytest

from earful.index.cache import ScoreCache
from earful.index.cache.scores import REPLAYS_NAME

KEY = "a" * 64
SCORES = {"dog/1.wav": [0.25, 0.75], "caf\udcff": [1.0, 0.0]}


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    kept = ScoreCache(tmp_path)
    assert kept.get(KEY, n_scores=2) == {}
    kept.put(KEY, SCORES, about={"model": "m"})
    assert kept.get(KEY, n_scores=2) == SCORES
    other = ScoreCache(tmp_path)
    assert other.get(KEY, n_scores=2) == SCORES
    assert other.get(KEY, n_scores=3) == {}
    assert other.get("b" * 64, n_scores=2) == {}
    written = json.loads((tmp_path / REPLAYS_NAME / f"{KEY}.json").read_text())
    assert written["about"] == {"model": "m"}
    assert kept.fault == other.fault == ""


def test_in_memory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = ScoreCache(None)
    kept.put(KEY, SCORES, about={})
    assert kept.get(KEY, n_scores=2) == SCORES
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"scores": 3}', "[" * 100_000])
def test_what_is_damaged_is_as_if_it_were_not_there(tmp_path: Path, damage: str) -> None:
    ScoreCache(tmp_path).put(KEY, SCORES, about={})
    (tmp_path / REPLAYS_NAME / f"{KEY}.json").write_text(damage)
    assert ScoreCache(tmp_path).get(KEY, n_scores=2) == {}


def test_a_digit_that_changed_is_noticed(tmp_path: Path) -> None:
    ScoreCache(tmp_path).put(KEY, SCORES, about={"model": "0.25"})
    path = tmp_path / REPLAYS_NAME / f"{KEY}.json"
    text = path.read_text()
    path.write_text(text.replace("0.75", "0.74"))
    assert ScoreCache(tmp_path).get(KEY, n_scores=2) == {}
    path.write_text(text.replace('"model": "0.25"', '"model": "a note"'))
    assert ScoreCache(tmp_path).get(KEY, n_scores=2) == SCORES


@pytest.mark.parametrize("scores", [[0.5], [2.0, 0.1], [math.nan, 0.1], ["0.5", 0.5]])
def test_what_is_no_scores_is_as_if_it_were_not_there(tmp_path: Path, scores: list[float]) -> None:
    ScoreCache(tmp_path).put(KEY, {"x": scores, "y": [0.5, 0.5]}, about={})
    assert ScoreCache(tmp_path).get(KEY, n_scores=2) == {"y": [0.5, 0.5]}


def test_a_folder_that_cannot_be_written_is_said_and_memory_serves(tmp_path: Path) -> None:
    (tmp_path / REPLAYS_NAME).write_text("a file where the folder should be")
    kept = ScoreCache(tmp_path)
    kept.put(KEY, SCORES, about={})
    assert "cannot be kept" in kept.fault
    assert kept.get(KEY, n_scores=2) == SCORES


def test_of_many_the_oldest_are_dropped(tmp_path: Path) -> None:
    kept = ScoreCache(tmp_path)
    for number in range(70):
        kept.put(f"{number:064}", {"x": [0.5, 0.5]}, about={})
        os.utime(tmp_path / REPLAYS_NAME / f"{number:064}.json", ns=(number, number))
    found = sorted(path.stem for path in (tmp_path / REPLAYS_NAME).iterdir())
    # The one that is newest by its own clock was put before the times were set back.
    assert len(found) == 64
    assert found[-1] == f"{69:064}"
    assert f"{0:064}" not in found


def test_a_key_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hex digits"):
        ScoreCache(tmp_path).get("../../etc/passwd", n_scores=1)
