"""``earful evaluate``, ``datasets`` and ``index health|map`` as a user types them."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from earful.cli import app
from earful.errors import EarfulError
from earful.index.builder import build_index
from tests.support.dataset_layouts import LAYOUTS

RATE = 8000
HZ = {"low": 200.0, "middle": 700.0, "high": 2000.0}


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


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def fine(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def refused(*words: object) -> str:
    result = run(*words)
    assert result.exit_code != 0
    expected = isinstance(result.exception, (EarfulError, SystemExit))
    assert expected, result.exception
    return f"{result.output}{result.exception}".replace("\n", " ")


VOTES = ("--model", "none", "--shots", "1,2", "--near-duplicate", "1.0")


def test_an_evaluation_prints_a_table_and_leaves_a_run_and_a_report(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = fine("evaluate", "--index", index, *VOTES)
    assert shown.startswith("12 items of 12 groups, by accuracy")
    assert "vote@2" in shown
    assert "verdict: " in shown
    assert {path.name for path in tmp_path.iterdir()} == {
        *("all-labels.evaluation.json", "all-labels.evaluation.html"),
    }
    # The numbers can be had again without the index, and asked for again with it.
    again = fine("evaluate", "--replay", "all-labels.evaluation.json")
    assert again == shown
    assert "36 of 36 answers are the same" not in again
    asked = fine(
        *("evaluate", "--replay", "all-labels.evaluation.json", "--index", index, "--model", "none")
    )
    assert asked.strip().endswith("answers are the same")
    told = json.loads(fine("evaluate", "--replay", "all-labels.evaluation.json", "--json"))
    assert told["n_items"] == 12


def test_a_verdict_is_kept_in_the_task_file(index: Path, tmp_path: Path) -> None:
    task = tmp_path / "tones.toml"
    task.write_text('labels = ["low", "middle", "high"]  # mine\n')
    fine("evaluate", task, "--index", index, *VOTES, "--out", tmp_path / "run.json", "--write-task")
    assert 'arm = "vote"' in task.read_text()
    assert "# mine" in task.read_text()
    result = run("classify", "--task", task, "--index", index, "--dry-run")
    assert result.exit_code == 2


@pytest.mark.parametrize("task", [(), ("speech",)])
def test_a_task_without_a_file_is_told_before_anything_is_asked(
    task: tuple[str, ...], index: Path, tmp_path: Path
) -> None:
    words = ("--index", index, *VOTES, "--out", tmp_path / "run.json", "--write-task")
    assert "has no file of its own" in refused("evaluate", *task, *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--shots", "1,two"), "whole numbers with commas"),
        (("--leaks", "ignore"), "want refuse, exclude, allow"),
        (("--shots", "1", "--arms", "votes", "--model", "none"), "did you mean 'vote'"),
        (
            ("--shots", "1", "--split", "test", "--model", "none"),
            "tones.index: no row has split 'test', as no row has any; build the index",
        ),
    ],
)
def test_wrong_options_are_told(
    words: tuple[str, ...], told: str, index: Path, tmp_path: Path
) -> None:
    assert told in refused("evaluate", "--index", index, "--out", tmp_path / "x.json", *words)
    assert not list(tmp_path.iterdir())


def test_leaks_are_listed_one_by_one(index: Path, corpus: Path, tmp_path: Path) -> None:
    words = (*VOTES, "--out", tmp_path / "run.json")
    result = run("evaluate", "--index", index, "--data", corpus, *words)
    assert "12 items are given away by exemplars" in str(result.exception)
    assert result.stderr.count("leak: ") == 12
    assert "leak: low/0.wav and low/0.wav: the same audio" in result.stderr


def test_datasets_are_listed_shown_checked_and_sampled(tmp_path: Path) -> None:
    LAYOUTS["audioset"](tmp_path)
    listed = fine("datasets", "list")
    assert len(listed.splitlines()) == 2 + 35
    assert len(fine("datasets", "list", "--json").splitlines()) == 35
    shown = fine("datasets", "show", "clotho")
    assert "licence" in shown
    assert "[unverified, second-hand]" in shown
    checked = fine("datasets", "check", "audioset", tmp_path, "--missing", tmp_path / "gone.txt")
    assert "3 rows for event classification, 2 with their recording" in checked
    assert "22,175 short of 22,176 clips, unverified" in checked
    assert "not here: unbalanced_train_segments.csv" in checked
    assert "_gone______" in (tmp_path / "gone.txt").read_text()
    sampled = run("datasets", "sample", "audioset", tmp_path, "-n", 1, "--json")
    assert json.loads(sampled.stdout)["question"] == "use a few labels to describe this sound."
    assert "1 row has no recording here" in sampled.stderr
    assert "no dataset 'audioste' (did you mean 'audioset'?)" in refused(
        "datasets", "show", "audioste"
    )


def test_an_index_is_built_of_a_dataset(tmp_path: Path) -> None:
    LAYOUTS["urbansound8k"](tmp_path)
    index = tmp_path / "urban.index"
    built = fine(
        *("index", "build", "--dataset", "urbansound8k", "--root", tmp_path, "--index", index),
        *("--embedder", "logmel"),
    )
    assert built.startswith("2 embedded")
    dry = fine(
        *("index", "build", "--dataset", "urbansound8k", "--root", tmp_path, "--index", index),
        *("--split", "fold5", "--dry-run"),
    )
    assert dry.startswith("1 row, ")
    words = ("index", "build", "--index", index)
    assert "give a folder or a table, or a --dataset" in refused(*words)
    assert "needs the folder it was unpacked in" in refused(*words, "--dataset", "urbansound8k")
    assert "chooses within a --dataset" in refused(*words, tmp_path, "--split", "fold5")
    assert "is a corpus of your own" in refused(
        *words, tmp_path, "--dataset", "urbansound8k", "--root", tmp_path
    )


def test_health_and_map_are_told_and_written(index: Path, tmp_path: Path) -> None:
    told = fine("index", "health", index, "--html", tmp_path / "health.html")
    assert told.startswith("12 rows; asked about each as if it were new")
    assert json.loads(fine("index", "health", index, "--json", "--no-audio"))["n"] == 12
    mapped = fine("index", "map", index, "--html", tmp_path / "map.html", "--color-by", "label")
    assert mapped.startswith("12 rows by pca, whose two axes keep")
    assert len(json.loads(fine("index", "map", index, "--json"))["points"]) == 12
    assert {path.name for path in tmp_path.iterdir()} == {"health.html", "map.html"}
    assert "give --html FILE, or --json" in refused("index", "map", index)
    assert "want pca, umap" in refused("index", "map", index, "--json", "--method", "tsne")
