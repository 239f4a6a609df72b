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


def test_a_split_of_our_own_is_said_and_an_empty_one_refused(tmp_path: Path) -> None:
    shown = run_fine("datasets", "show", "tess")
    assert "ours, as the publisher has none: train 50%, test 50%, dealt by whole groups" in shown
    LAYOUTS["tess"](tmp_path)
    found = json.loads(run("datasets", "check", "tess", tmp_path, "--json").stdout)
    assert {split["name"]: split["rows"] for split in found["splits"]} == {"test": 2, "train": 1}
    for path in tmp_path.rglob("OAF_*"):
        path.rename(path.with_name(path.name.replace("OAF", "XAF")))
    checked = run_fine("datasets", "check", "tess", tmp_path, "--split", "test")
    assert "no row of tess here is of split 'test'; found train 1" in checked
    words = ("index", "build", "--dataset", "tess", "--root", tmp_path, "--split", "test")
    for more in ((), ("--dry-run",)):
        refused = run_refused(*words, "--index", tmp_path / "tess.index", *more)
        assert "no row of tess here is of split 'test'; found train 1" in refused


def test_rows_that_are_passed_over_are_named(tmp_path: Path) -> None:
    LAYOUTS["urbansound8k"](tmp_path)
    table = tmp_path / "UrbanSound8K/metadata/UrbanSound8K.csv"
    head, first, _ = table.read_text().splitlines()
    rows = [first.replace("-0.wav", f"-{n}.wav") for n in range(6)]
    table.write_text("\n".join([head, *rows, rows[0].replace("dog_bark", "dog_brak")]) + "\n")
    checked = run_fine(
        "datasets", "check", "urbansound8k", tmp_path, "--missing", tmp_path / "gone.txt"
    )
    assert "5 rows have no recording; looked for audio/fold{fold}" in checked
    assert f"below {tmp_path}" in checked
    assert "1 row cannot be read, and passed over like a missing recording" in checked
    assert f"{table}:8: label 'dog_brak' is none of the 10 labels" in checked
    assert len((tmp_path / "gone.txt").read_text().splitlines()) == 6
    dry = run(
        *("index", "build", "--dataset", "urbansound8k", "--root", tmp_path, "--dry-run"),
        *("--index", tmp_path / "urban.index"),
    )
    assert dry.exit_code == 0
    assert "note: 5 rows have no recording here and 1 row cannot be read" in dry.stderr
    assert "`earful datasets check urbansound8k" in dry.stderr


def test_a_file_that_is_not_read_is_said(tmp_path: Path) -> None:
    LAYOUTS["audiocaps"](tmp_path)
    other = tmp_path / "dataset2.0/test.csv"
    other.parent.mkdir()
    other.write_text((tmp_path / "dataset/test.csv").read_text())
    checked = run_fine("datasets", "check", "audiocaps", tmp_path)
    assert "not read: dataset2.0/test.csv, as dataset/test.csv is there" in checked
    sampled = run("datasets", "sample", "audiocaps", tmp_path)
    said = "note: dataset/test.csv is read, and not dataset2.0/test.csv, which is there as well"
    assert said in sampled.stderr
