"""Every declared dataset, read from a small tree in its publisher's layout."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earful.errors import CorpusError
from earful.index import Index
from earful.index.builder import build_index
from earful.index.datasets import check_dataset, list_datasets, load_dataset, load_declaration
from earful.index.datasets.parse import read_declaration
from tests.support.dataset_layouts import LAYOUTS

Trees = Callable[[str], Path]

# Worked out by hand from each publisher's format: dataset, task, then its exemplars, but for
# the dataset's name before an id.
EXPECTED: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(
    Path(__file__).with_name("expected.json").read_text("utf-8")
)
TASKS = [(name, task) for name, tasks in EXPECTED.items() for task in tasks]

# The reference's lists name 29 training and 13 evaluation sets, seven of them in both.
EVALUATION = {
    "audiocaps",
    "clotho",
    "clotho-aqa",
    "cochlscene",
    "crema-d",
    "fsd50k",
    "gtzan",
    "medley-solos-db",
    "music-avqa",
    "nonspeech7k",
    "nsynth",
    "ravdess",
    "urbansound8k",
}


def test_the_reference_s_datasets_are_all_declared() -> None:
    names = list_datasets()
    assert len(names) == 35
    roles = {name: load_declaration(name).roles for name in names}
    assert {name for name in names if "eval" in roles[name]} == EVALUATION
    assert sum("train" in roles[name] for name in names) == 29
    assert sum(len(roles[name]) == 2 for name in names) == 7


@pytest.mark.parametrize("name", list_datasets())
def test_a_declaration_says_what_a_reader_needs(name: str) -> None:
    dataset = load_declaration(name)
    assert all([dataset.title, dataset.home, dataset.tree, dataset.domains])
    assert dataset.facts["licence"].value
    assert dataset.references, "how the reference used it"
    evaluated = [one for one in dataset.references if one.metric]
    assert bool(evaluated) == (name in EVALUATION)
    assert set(dataset.overlaps) <= set(list_datasets())


@pytest.mark.parametrize(("name", "task"), TASKS, ids="-".join)
def test_a_tree_becomes_exactly_these_exemplars(name: str, task: str, tree: Trees) -> None:
    corpus = load_dataset(name, tree(name), task=task)
    found = [
        {
            "id": row.exemplar.id.removeprefix(f"{name}:"),
            "audio": str(row.exemplar.audio),
            "span": [row.exemplar.start_s, row.exemplar.end_s],
            "question": row.exemplar.question,
            "answer": row.exemplar.answer,
            "labels": list(row.exemplar.labels),
            "split": row.exemplar.split,
            "group": row.exemplar.group,
        }
        for row in corpus
    ]
    assert found == EXPECTED[name][task]
    assert all(row.exemplar.task == task for row in corpus)
    assert all(corpus.path(row.exemplar).is_file() for row in corpus)


def test_every_task_of_every_dataset_has_a_tree() -> None:
    assert set(LAYOUTS) == set(list_datasets())
    tasks = {(name, task) for name in list_datasets() for task in load_declaration(name).tasks}
    assert set(TASKS) == tasks


@pytest.mark.parametrize("name", list_datasets())
def test_a_check_counts_what_is_there(name: str, tree: Trees) -> None:
    found = check_dataset(load_dataset(name, tree(name)))
    task = load_declaration(name).tasks[0]
    rows = EXPECTED[name][task]
    counted = {split.name: split.n_clips for split in found.splits if split.n_found}
    assert counted == {
        split: len({row["audio"] for row in rows if row["split"] == split})
        for split in {row["split"] for row in rows}
    }
    official = load_declaration(name).splits
    assert {split.name for split in found.splits} >= set(official)


def test_what_was_not_verified_says_so() -> None:
    facts = load_declaration("urbansound8k").all_facts()
    assert (facts["clips"].verified, str(facts["clips"])) == (True, "8,732")
    assert not facts["licence"].verified
    assert "unverified" in str(facts["licence"])
    clips = load_declaration("ravdess").all_facts()["clips"]
    assert (clips.verified, clips.basis) == (False, "second-hand")
    # Counted in a whole copy of the publisher's tables, which the note names.
    clotho = load_declaration("clotho").all_facts()["development clips"]
    assert (clotho.verified, clotho.basis) == (True, "copy")
    assert "XinhaoMei/WavCaps" in str(clotho)


def test_an_index_is_built_of_a_dataset_by_its_split(tree: Trees, tmp_path: Path) -> None:
    corpus = load_dataset("urbansound8k", tree("urbansound8k"), split="fold5")
    report = build_index(corpus, tmp_path / "us8k.index")
    assert (report.accepted, report.rejected) == (1, ())
    (exemplar,) = Index.open(tmp_path / "us8k.index").vectors().exemplars
    assert exemplar.id == "urbansound8k:999001-3-0-0.wav"
    assert exemplar.meta["origin"] == "freesound:999001"


MINE = """title = "Mine"
audio_form = "files"
id = "{name}"
[facts]
licence = "CC0"
[[read]]
reader = "table"
files = ["list.csv"]
[audio]
path = ["{name}"]
[[emit]]
task = "naming"
labels = "what"
"""


def test_a_declaration_of_ones_own_is_read_by_its_path(tree: Trees, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    (tmp_path / "list.csv").write_text("name,what\na.wav,dog\n")
    (tmp_path / "a.wav").write_bytes(next(tree("clotho").rglob("*.wav")).read_bytes())
    (row,) = load_dataset(path, tmp_path)
    assert (row.exemplar.id, row.exemplar.labels) == ("mine:a.wav", ("dog",))


MISTAKES = """titel = "Mine"
audio_form = "film"
id = "{name}"
home = ["a", 2]

[facts]
clips = true
hours = { value = 3, verified = "no", bassis = "copy" }

[[read]]
reader = "tabel"
files = "list.csv"
optional = 1

[audio]
path = "{name}"

[[emit]]
task = "naming"
"""


def mistakes(path: Path, text: str) -> list[str]:
    """Every mistake as "line: what"."""
    path.write_text(text)
    with pytest.raises(CorpusError) as caught:
        read_declaration(path)
    return str(caught.value).removeprefix(f"{path}:").split(f"; {path}:")


def test_every_mistake_of_a_declaration_is_told_with_its_line(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "mine.toml", MISTAKES) == [
        "1: title is missing; expected text",
        "1: unknown key 'titel' (did you mean 'title'?); known: name, title, audio_form, id, "
        "audio, read, emit, roles, domains, home, facts, splits, reference, tree, quirks, "
        "overlaps, known_bad, bad_copies, join, lookup, parse, step, where, explode, span, window, "
        "split, vocabulary, vocabulary_from, group, and 3 more",
        "2: unknown audio_form 'film' (did you mean 'files'?); known: files, partly, ids, video",
        "4: home holds 2, a whole number; expected text",
        "7: clips = true is a boolean; expected text or a number",
        "8: verified = 'no' is text; expected true or false",
        "8: unknown key 'bassis' (did you mean 'basis'?); known: value, verified, basis, note, "
        "also",
        "11: unknown reader 'tabel' (did you mean 'table'?); known: table, records, tree, shards, "
        "arrow, pickle",
        "13: optional = 1 is a whole number; expected true or false",
    ]


@pytest.mark.parametrize(
    ("old", "new", "found", "keyword"),
    [
        ("title", "name = 'mine'\ntitle", "1: ", "named after its file"),
        ("audio_form", "audio_from", "1: audio_form is missing", "one of files, partly"),
        ("[[read]]", "[[red]]", "1: read is missing", "[[read]] tables"),
        ("[audio]", "[adio]", "1: audio is missing", "a table [audio]"),
        ('path = ["{name}"]', "", "9: audio", "path or find"),
        ("[audio]", "[audio]\nmin_bytes = '1'", "10: min_bytes = '1'", "a whole number"),
        ("[[emit]]", "[span]\n[[emit]]", "11: start is missing", "text or a number"),
        ("[[emit]]", "[window]\nlength_s = '1'\n[[emit]]", "12: length_s = '1'", "a number"),
        ("[[emit]]", "[[step]]\nby = 'x'\n[[emit]]", "11: step", "a table with plugin"),
        ("[[emit]]", "[vocabulary_from]\n[[emit]]", "11: vocabulary_from", "a table with column"),
        ("[[emit]]", "[[join]]\ntake = 'x'\n[[emit]]", "11: join", "on (or left and right)"),
        ("[[emit]]", "[[lookup]]\nkey = 1\n[[emit]]", "11: reader is missing", "one of table"),
        ("[[emit]]", "[split]\nby = 'x'\n[[emit]]", "11: split: shares = {}", "a share of each"),
        ("[[emit]]", "[splits]\nx.clips = [1]\n[[emit]]", "12: clips is an array", "text or"),
        ('labels = "what"', "labels = 1", "13: labels = 1", "text"),
    ],
)
def test_one_mistake_is_told_with_what_was_expected(
    tmp_path: Path, old: str, new: str, found: str, keyword: str
) -> None:
    first, *_ = mistakes(tmp_path / "mine.toml", MINE.replace(old, new))
    assert first.startswith(found)
    assert keyword in first


def test_of_many_mistakes_the_first_ten_are_told(tmp_path: Path) -> None:
    text = "".join(f"key{n} = 1\n" for n in range(20)) + MINE
    *_, last = mistakes(tmp_path / "mine.toml", text)
    assert last.startswith("10: unknown key 'key9'")
    assert last.endswith("; and 10 more")
