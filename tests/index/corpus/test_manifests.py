"""Manifests and tables as those who train models write them: NeMo, DCASE, pandas, NumPy."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earful.errors import CorpusError
from earful.index.corpus import Exemplar, open_corpus
from earful.index.corpus.columns import listed_labels
from tests.index.corpus.test_remarks import about, sound, survey

CLIP = {"audio_filepath": "a.wav", "offset": 0.25, "duration": 0.5}


def read(table: Path, **options: Any) -> list[Exemplar]:
    return [row.exemplar for row in open_corpus(table, **options)]


@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
@pytest.mark.parametrize("form", ["lines", "a list", "an indented list"])
def test_a_manifest_of_nemo_is_read_as_it_is(tmp_path: Path, name: str, form: str) -> None:
    rows = [{**CLIP, "label": "dog"}, {**CLIP, "offset": 1, "label": "cat"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    whole = json.dumps(rows, indent=2 if "indented" in form else None)
    (tmp_path / name).write_text(lines if form == "lines" else whole)
    found = read(tmp_path / name)
    assert [(str(e.audio), e.start_s, e.end_s, e.labels) for e in found] == [
        ("a.wav", 0.25, 0.75, ("dog",)),
        ("a.wav", 1.0, 1.5, ("cat",)),
    ]


def test_the_text_of_a_manifest_is_an_answer_only_without_labels(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text(json.dumps({**CLIP, "text": "good morning"}))
    assert [(e.answer, e.labels) for e in read(table)] == [("good morning", ())]
    table.write_text(json.dumps({**CLIP, "text": "good morning", "label": "speech"}))
    (one,) = read(table)
    assert (one.answer, one.labels, one.meta["text"]) == ("speech", ("speech",), "good morning")


def test_an_offset_after_an_onset_is_an_end(tmp_path: Path) -> None:
    table = tmp_path / "t.tsv"
    table.write_text("filename\tonset\toffset\tevent_label\na.wav\t0.5\t2.5\tSpeech\n")
    (one,) = read(table)
    assert (one.start_s, one.end_s, one.labels) == (0.5, 2.5, ("Speech",))


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("['dog', 'x']", ("dog", "x")),
        ('["dog", "x"]', ("dog", "x")),
        ("['dog' 'x']", ("dog", "x")),
        ("('dog',)", ("dog",)),
        ("{'dog', 'x'}", ("dog", "x")),
        ('["dog\'s bark", "a, b"]', ("dog's bark", "a, b")),
        (r"['it\'s', 'b']", ("it's", "b")),
        ('["caf\\u00e9"]', ("caf\u00e9",)),
        ("[3, 5]", ("3", "5")),
        ("[]", ()),
        ("[noise]", ("[noise]",)),
        ("(dog)|[cat]", ("(dog)", "[cat]")),
        ('{"a": 1}', ('{"a": 1}',)),
        ("['dog'", ("['dog'",)),
    ],
)
def test_lists_in_cells_are_several_labels(
    tmp_path: Path, cell: str, labels: tuple[str, ...]
) -> None:
    table = tmp_path / "t.tsv"
    quoted = cell.replace('"', '""')
    table.write_text(f'file\tlabels\na.wav\t"{quoted}"\n')
    assert [e.labels for e in read(table)] == [labels]


def test_a_long_list_is_read_in_linear_time() -> None:
    assert listed_labels("['" + "\\'" * 500_000 + "]") is None


def test_a_list_without_quotes_is_not_cut_at_its_commas(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    found = survey(tmp_path / "t.csv", 'file,labels\na.wav,"[dog, cat]"\n')
    assert not [note for note in found.notes if "label-separator" in note]


def test_columns_that_are_no_text_are_left_out_and_counted(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    row = {"file": "a.wav", "label": "dog", "emb": [0.5, 1.0], "st": {"a": 1}, "tags2": ["x", "y"]}
    found = survey(tmp_path / "t.jsonl", json.dumps(row))
    assert "emb, st" in about(found, "left out, as no text")
    pq.write_table(pa.table({name: [value] for name, value in row.items()}), tmp_path / "t.parquet")
    for table in (tmp_path / "t.jsonl", tmp_path / "t.parquet"):
        (one,) = read(table)
        assert (one.labels, one.meta) == (("dog",), {"tags2": "x|y"})
        with pytest.raises(CorpusError, match=r"st is .*expected text"):
            read(table, columns={"labels": "st"})


def test_recordings_in_a_table_are_told_from_paths(tmp_path: Path) -> None:
    inside = [{"bytes": b"RIFF", "path": "a.wav"}]
    pq.write_table(pa.table({"audio": inside, "label": ["dog"]}), tmp_path / "t.parquet")
    with pytest.raises(CorpusError, match=r"row 1: audio holds objects.*expected a path"):
        read(tmp_path / "t.parquet")


def test_no_number_stands_for_nothing_as_null_does(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text('{"file": "a.wav", "label": "dog", "start": NaN, "x": NaN, "y": Infinity}')
    (one,) = read(table)
    assert (one.start_s, one.end_s, one.meta) == (0.0, None, {"x": ""})
