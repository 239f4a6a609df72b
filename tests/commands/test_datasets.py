"""``earful datasets``, and an index of a dataset."""

import json
from pathlib import Path

from tests.support.command_line import run, run_fine, run_refused
from tests.support.dataset_layouts import LAYOUTS


def test_datasets_are_listed_shown_checked_and_sampled(tmp_path: Path) -> None:
    LAYOUTS["audioset"](tmp_path)
    listed = run_fine("datasets", "list")
    assert len(listed.splitlines()) == 2 + 35
    assert len(run_fine("datasets", "list", "--json").splitlines()) == 35
    shown = run_fine("datasets", "show", "ravdess")
    assert "licence" in shown
    assert "[unverified, second-hand]" in shown
    checked = run_fine(
        "datasets", "check", "audioset", tmp_path, "--missing", tmp_path / "gone.txt"
    )
    assert "3 rows for event classification, 2 with their recording" in checked
    assert "22,159 short of 22,160 clips" in checked
    assert "not here: unbalanced_train_segments.csv" in checked
    assert "_gone______" in (tmp_path / "gone.txt").read_text()
    sampled = run("datasets", "sample", "audioset", tmp_path, "-n", 1, "--json")
    assert json.loads(sampled.stdout)["question"] == "use a few labels to describe this sound."
    assert "1 row has no recording here" in sampled.stderr
    assert "no dataset 'audioste' (did you mean 'audioset'?)" in run_refused(
        "datasets", "show", "audioste"
    )


def test_an_index_is_built_of_a_dataset(tmp_path: Path) -> None:
    LAYOUTS["urbansound8k"](tmp_path)
    index = tmp_path / "urban.index"
    built = run_fine(
        *("index", "build", "--dataset", "urbansound8k", "--root", tmp_path, "--index", index),
        *("--embedder", "logmel"),
    )
    assert built.startswith("2 embedded")
    dry = run_fine(
        *("index", "build", "--dataset", "urbansound8k", "--root", tmp_path, "--index", index),
        *("--split", "fold5", "--dry-run"),
    )
    assert dry.startswith("1 row, ")
    words = ("index", "build", "--index", index)
    assert "give a folder or a table, or a --dataset" in run_refused(*words)
    assert "needs the folder it was unpacked in" in run_refused(*words, "--dataset", "urbansound8k")
    assert "chooses within a --dataset" in run_refused(*words, tmp_path, "--split", "fold5")
    assert "is a corpus of your own" in run_refused(
        *words, tmp_path, "--dataset", "urbansound8k", "--root", tmp_path
    )
