"""Rows that cannot be read are counted, named and passed over; too many of them stop the set."""

import json
from pathlib import Path
from typing import Any

import pytest

from earful.errors import CorpusError
from earful.index.datasets import DatasetCheck, DatasetCorpus, check_dataset, load_dataset
from earful.index.datasets.row_faults import is_chance
from tests.support.sound_files import write_sound, write_text

HEAD = """title = "Mine"
audio_form = "files"
id = "{name}"
[facts]
licence = "CC0"
"""
TAIL = """
[audio]
path = ["{name}"]
[[emit]]
task = "naming"
labels = "what"
"""
TABLE = '[[read]]\nreader = "table"\nfiles = ["list.csv"]\n'


def lay_out(root: Path, lines: list[str], declared: str = TABLE, name: str = "list.csv") -> Path:
    """Write a table and a recording for each of ten names; return the declaration."""
    for number in range(10):
        write_sound(root / f"{number}.wav")
    write_text(root / name, "\n".join(lines) + "\n")
    path = root / "mine.toml"
    path.write_text(HEAD + declared + TAIL)
    return path


def rows_and_check(declaration: Path, root: Path) -> tuple[list[str], DatasetCheck]:
    corpus = load_dataset(declaration, root)
    return [row.exemplar.id.partition(":")[2] for row in corpus], check_dataset(corpus)


GOOD = [f"{number}.wav,dog" for number in range(10)]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("4.wav", "has 1 fields; expected 2"),
        ("4.wav,dog,cat", "has 3 fields; expected 2"),
        ('"4.wav"x,dog', "is not a row"),
        # A quote that is left open would swallow all the rows below it.
        ('4.wav,"dog', "is not a row"),
        ("5.wav,dog", "already occurs at"),
    ],
)
def test_a_broken_line_is_passed_over_and_named(bad: str, why: str, tmp_path: Path) -> None:
    lines = ["name,what", *GOOD]
    lines[5] = bad
    found, check = rows_and_check(lay_out(tmp_path, lines), tmp_path)
    assert found == [f"{number}.wav" for number in range(10) if number != 4]
    assert check.n_unreadable == 1
    ((where, reason),) = check.unreadable
    assert where == f"{tmp_path / 'list.csv'}:{7 if 'occurs' in why else 6}"
    assert why in reason
    assert check.to_dict()["unreadable"] == [{"where": where, "why": reason}]


@pytest.mark.parametrize("bad", ["{broken", "[1]", '{"name": "4.wav"}'])
def test_a_broken_line_of_json_is_passed_over(bad: str, tmp_path: Path) -> None:
    lines = [json.dumps({"name": f"{n}.wav", "what": "dog"}) for n in range(10)]
    lines[4] = bad
    declared = '[[read]]\nreader = "records"\nfiles = ["list.jsonl"]\n'
    found, check = rows_and_check(lay_out(tmp_path, lines, declared, "list.jsonl"), tmp_path)
    assert found == [f"{number}.wav" for number in range(10) if number != 4]
    assert [where for where, _ in check.unreadable] == [f"{tmp_path / 'list.jsonl'}:5"]


def test_a_bad_cell_costs_only_what_needs_it(tmp_path: Path) -> None:
    lines = ["name,what,count", *(f"{row},{n}" for n, row in enumerate(GOOD))]
    lines[5] = "4.wav,dog,four"
    declared = 'meta = ["count"]\n'
    path = lay_out(tmp_path, lines)
    path.write_text(declared + path.read_text() + '[parse]\ncount = "int"\n')
    rows = list(load_dataset(path, tmp_path))
    assert [row.exemplar.meta["count"] for row in rows[3:6]] == ["3", "four", "5"]
    assert check_dataset(load_dataset(path, tmp_path)).n_unreadable == 0
    # A label, a condition or a template needs it.
    for needs in ('[[where]]\ncolumn = "count"\nnot_in = [99]\n', '[explode]\ncolumn = "count"\n'):
        path.write_text(path.read_text().split("[[where]]")[0].split("[explode]")[0] + needs)
        check = check_dataset(load_dataset(path, tmp_path))
        assert check.unreadable == (
            (
                f"{tmp_path / 'list.csv'}:6",
                "count 'four' is not 'int' (invalid literal for int() with base 10: 'four')",
            ),
        )


@pytest.mark.parametrize("n_bad", [3, 5, 10])
def test_a_share_too_large_for_chance_stops_the_set(n_bad: int, tmp_path: Path) -> None:
    lines = ["name,what", *("oops" for _ in range(n_bad)), *GOOD[n_bad:]]
    path = lay_out(tmp_path, lines)
    with pytest.raises(CorpusError) as caught:
        list(load_dataset(path, tmp_path))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'list.csv'}:2: has 1 fields; expected 2: name, what")
    assert f"{n_bad} rows of the 10 of list.csv cannot be read, too many for chance" in message
    assert "`earful datasets show mine`" in message


def test_each_file_has_its_own_share(tmp_path: Path) -> None:
    """A small file with a mistake is not lost among the rows of a large one."""
    lines = ["name,what", *(f"{n}.wav,dog" for n in range(2000))]
    declared = TABLE + TABLE.replace("list.csv", "more.csv")
    path = lay_out(tmp_path, lines, declared)
    write_text(tmp_path / "more.csv", "name,wat\nx.wav,dog\n")
    with pytest.raises(CorpusError, match=r"more\.csv:2: has no column 'what'; found name, wat"):
        list(load_dataset(path, tmp_path))


@pytest.mark.parametrize(
    ("n_bad", "n", "chance"),
    [
        # WavText5K, MUSIC-AVQA and a copy of OMG-Emotion.
        *[(3, 4525, True), (27, 4595, True), (55, 9185, True), (2, 2444, True)],
        # A class of ten that is spelled in another way.
        *[(874, 8732, False), (374, 8732, False)],
        *[(1, 1, False), (1, 2, False), (1, 3, False), (1, 4, True), (2, 4, False)],
        *[(0, 10, True), (100, 1000, False), (5, 100, True), (6, 100, False)],
    ],
)
def test_what_may_be_chance(n_bad: int, n: int, chance: bool) -> None:
    assert is_chance(n_bad, n) is chance


def test_rows_are_counted_anew_in_each_pass(tmp_path: Path) -> None:
    lines = ["name,what", *GOOD]
    lines[5] = "4.wav"
    corpus = load_dataset(lay_out(tmp_path, lines), tmp_path)
    heard: list[Any] = []
    corpus.on_unreadable = lambda where, why: heard.append((where, why))
    for _ in range(2):
        assert len(list(corpus)) == 9
        assert corpus.counts.faults.n == 1
    assert len(heard) == 2


def test_the_rows_of_a_group_count_one_by_one(tmp_path: Path) -> None:
    """An annotator whose row is broken does not take the others along."""
    lines = ["name,what,who", *(f"{n}.wav,dog,{who}" for n in range(3) for who in "abc")]
    lines[5] = "1.wav,cat"
    declared = TABLE + '[[step]]\nplugin = "vote"\nby = ["name"]\ncolumn = "what"\n'
    corpus = load_dataset(lay_out(tmp_path, lines, declared), tmp_path)
    assert [row.exemplar.labels for row in corpus] == [("dog",)] * 3
    assert corpus.counts.faults.n == 1


def test_rows_without_a_label_or_an_answer_are_counted(tmp_path: Path) -> None:
    lines = ["name,what", *GOOD]
    lines[5] = "4.wav,"
    found, check = rows_and_check(lay_out(tmp_path, lines), tmp_path)
    assert len(found) == 9
    assert check.empty == ((f"{tmp_path / 'list.csv'}:6", "has no label"),)
    assert (check.n_empty, check.n_unreadable, check.n_rows) == (1, 0, 9)


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    path = lay_out(tmp_path, ["name,what,split", *(f"{row},train" for row in GOOD)])
    path.write_text(
        path.read_text() + '[split]\ncolumn = "split"\nmap = { train = "train", test = "test" }\n'
    )
    corpus: DatasetCorpus = load_dataset(path, tmp_path, split="test")
    with pytest.raises(CorpusError, match="no row of mine here is of split 'test'; found train 10"):
        list(corpus)
    assert "found train 10" in check_dataset(corpus).why_empty
