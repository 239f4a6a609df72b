"""``earful evaluate``, and ``earful index health`` and ``map``, on twelve tones."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.index.builder import build_index
from tests.support.command_line import run, run_fine, run_refused

RATE = 8000
HZ = {"low": 200.0, "middle": 700.0, "high": 2000.0}
VOTES = ("--model", "none", "--shots", "1,2", "--near-duplicate", "1.0")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    for number, (label, hz) in enumerate(HZ.items()):
        for take in range(4):
            time_s = np.arange(RATE // 4) / RATE
            random = np.random.default_rng(10 * number + take)
            samples = 0.3 * np.sin(2 * np.pi * hz * random.uniform(0.8, 1.3) * time_s)
            (root / label).mkdir(exist_ok=True)
            soundfile.write(root / label / f"{take}.wav", samples, RATE)
    return root


@pytest.fixture(scope="module")
def index(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("indexes") / "tones.index"
    build_index(corpus, path, embedder="logmel")
    return path


def test_an_evaluation_prints_a_table_and_leaves_a_run_and_a_report(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = run_fine("evaluate", "--index", index, *VOTES)
    assert shown.startswith("12 items of 12 groups, by accuracy")
    assert "vote@2" in shown
    assert "verdict: " in shown
    assert {path.name for path in tmp_path.iterdir()} == {
        *("all-labels.evaluation.json", "all-labels.evaluation.html"),
    }
    # The numbers can be had again without the index, and asked for again with it.
    again = run_fine("evaluate", "--replay", "all-labels.evaluation.json")
    assert again == shown
    assert "36 of 36 answers are the same" not in again
    asked = run_fine(
        *("evaluate", "--replay", "all-labels.evaluation.json", "--index", index, "--model", "none")
    )
    assert asked.strip().endswith("answers are the same")
    told = json.loads(run_fine("evaluate", "--replay", "all-labels.evaluation.json", "--json"))
    assert told["n_items"] == 12


@pytest.mark.slow
def test_a_verdict_is_kept_in_the_task_file(index: Path, tmp_path: Path) -> None:
    task = tmp_path / "tones.toml"
    task.write_text('labels = ["low", "middle", "high"]  # mine\n')
    run_fine(
        "evaluate", task, "--index", index, *VOTES, "--out", tmp_path / "run.json", "--write-task"
    )
    assert 'arm = "vote"' in task.read_text()
    assert "# mine" in task.read_text()
    result = run("classify", "--task", task, "--index", index, "--dry-run")
    assert result.exit_code == 2


@pytest.mark.parametrize("task", [(), ("speech",)])
def test_a_task_without_a_file_is_told_before_anything_is_asked(
    task: tuple[str, ...], index: Path, tmp_path: Path
) -> None:
    words = ("--index", index, *VOTES, "--out", tmp_path / "run.json", "--write-task")
    assert "has no file of its own" in run_refused("evaluate", *task, *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--shots", "1,two"), "whole numbers with commas"),
        (("--leaks", "ignore"), "refuse, exclude or allow, got 'ignore'"),
        (("--shots", "1", "--arms", "votes", "--model", "none"), "did you mean 'vote'"),
        (
            ("--shots", "1", "--split", "test", "--model", "none"),
            "no row has split 'test'",
        ),
    ],
)
def test_wrong_options_are_told(
    words: tuple[str, ...], told: str, index: Path, tmp_path: Path
) -> None:
    assert told in run_refused("evaluate", "--index", index, "--out", tmp_path / "x.json", *words)
    assert not list(tmp_path.iterdir())


def test_five_leaks_are_listed_and_the_others_counted(
    index: Path, corpus: Path, tmp_path: Path
) -> None:
    words = (*VOTES, "--out", tmp_path / "run.json")
    result = run("evaluate", "--index", index, "--data", corpus, *words)
    told = str(result.exception)
    assert "12 items are given away by exemplars (12 by content" in told
    assert told.count(" and low/") + told.count(" and high/") == 5
    assert "low/0.wav and low/0.wav: the same audio" in told
    assert told.endswith("; and 7 more")


@pytest.mark.slow
def test_health_and_map_are_told_and_written(index: Path, tmp_path: Path) -> None:
    told = run_fine("index", "health", index, "--html", tmp_path / "health.html")
    assert told.startswith("12 rows; asked about each as if it were new")
    assert json.loads(run_fine("index", "health", index, "--json", "--no-audio"))["n"] == 12
    mapped = run_fine("index", "map", index, "--html", tmp_path / "map.html", "--color-by", "label")
    assert mapped.startswith("12 rows by pca, whose two axes keep")
    assert len(json.loads(run_fine("index", "map", index, "--json"))["points"]) == 12
    assert {path.name for path in tmp_path.iterdir()} == {"health.html", "map.html"}
    assert "give --html FILE, or --json" in run_refused("index", "map", index)
    message = run_refused("index", "map", index, "--json", "--method", "tsne")
    assert "expected pca or umap, got 'tsne'" in message


def test_a_task_without_examples_is_asked_about_by_the_model_alone(
    corpus: Path, tmp_path: Path
) -> None:
    task = tmp_path / "tones.toml"
    task.write_text('labels = ["low", "middle", "high"]\n')
    words = ("evaluate", task, "--data", corpus, "--out", tmp_path / "run.json")
    told = str(run(*words).exception)
    assert "no exemplar can answer" in told
    assert "--shots 0 --arms zero-shot" in told
    shown = run_fine(*words, "--shots", "0", "--arms", "zero-shot", "--limit", "3")
    assert "zero-shot (use this)" in shown
    assert "give an index, or a task" in run_refused("evaluate", "--data", corpus)
