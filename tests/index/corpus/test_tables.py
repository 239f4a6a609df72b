import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.corpus import as_text, table_kind
from earful.index.corpus.tables import read_rows

CELLS = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\0\r\ufeff"), min_size=0, max_size=12
)


def rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    return list(read_rows(path))


def test_csv_rows_come_with_their_lines(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text('file,label\n\na.wav,"two\nlines"\nb.wav,dog\n')
    assert rows(table) == [
        (f"{table}:3", {"file": "a.wav", "label": "two\nlines"}),
        (f"{table}:5", {"file": "b.wav", "label": "dog"}),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    table = tmp_path / "t.selections, .textgrid, .tsv"
    table.write_bytes("\ufefffile\tlabel\na.wav\tdog\n".encode())
    assert rows(table)[0][1] == {"file": "a.wav", "label": "dog"}


@pytest.mark.parametrize(
    ("name", "content", "line", "says"),
    [
        ("t.csv", b"file,label\na.wav\n", 2, "has 1 fields; expected 2 (file, label)"),
        ("t.csv", b'file,label\na.wav,"dog\nb.wav,cat\n', 2, "is a quote left open"),
        ("t.csv", b'file,label\na.wav,"dog" x\n', 2, "expected after"),
        ("t.csv", b"file,file\na,b\n", 1, "'file' occurs twice"),
        ("t.csv", b"file\na\xff.wav\n", 2, "byte 0xff is not UTF-8"),
        ("t.csv", b"file\na\0.wav\n", 2, "NUL"),
        ("t.jsonl", b'{"file": "a"}\n{"file": \n', 2, "is not JSON"),
        ("t.jsonl", b'["a.wav"]\n', 1, "is a list; expected one object a line"),
        ("t.jsonl", b'{"a": 1, "a": 2}\n', 1, "key 'a' occurs twice"),
        ("t.jsonl", b'{"a": ' + b"[" * 100_000 + b"\n", 1, "nested too deeply"),
        ("t.jsonl", b'{"a": "' + b"x" * (1 << 20) + b'"}\n', 1, "longer than 1048576 bytes"),
    ],
)
def test_a_broken_row_is_reported_with_its_line(
    tmp_path: Path, name: str, content: bytes, line: int, says: str
) -> None:
    table = tmp_path / name
    table.write_bytes(content)
    with pytest.raises(CorpusError) as caught:
        rows(table)
    assert str(caught.value).startswith(f"{table}:{line}:")
    assert says in str(caught.value)


def test_an_empty_table_wants_a_header(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(CorpusError, match="is empty; expected a header row"):
        rows(tmp_path / "t.csv")


def test_rows_before_a_broken_one_are_not_lost(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("file,label\na.wav,dog\nb.wav\n")
    reader = read_rows(table)
    assert next(reader)[1]["file"] == "a.wav"
    with pytest.raises(CorpusError, match=":3:"):
        next(reader)


def test_a_file_that_is_no_parquet_is_reported(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(CorpusError, match="not a readable Parquet file"):
        rows(tmp_path / "t.parquet")


def test_an_unknown_ending_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"\.csv, \.json, .*\.parquet, \.selections, "):
        rows(tmp_path / "t.xlsx")


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6))
def test_csv_reads_back_what_the_standard_library_writes(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]]
) -> None:
    table = tmp_path_factory.mktemp("csv") / "t.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(["a", "b"])
        writer.writerows(cells)
    assert [tuple(record.values()) for _, record in rows(table)] == cells


@given(st.lists(st.dictionaries(CELLS, st.integers() | CELLS | st.booleans()), max_size=5))
def test_json_lines_read_back_what_the_standard_library_writes(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    table = tmp_path_factory.mktemp("jsonl") / "t.jsonl"
    table.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    assert [record for _, record in rows(table)] == records


def test_parquet_rows_are_numbered_across_batches(tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    pq.write_table(pa.table({"n": list(range(5000))}), table)
    read = rows(table)
    assert read[0] == (f"{table}:row 1", {"n": 0})
    assert read[-1] == (f"{table}:row 5000", {"n": 4999})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (3, "3"),
        (3.0, "3"),
        (0.5, "0.5"),
        (True, "true"),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_cells_become_text_the_same_everywhere(value: object, text: str) -> None:
    assert as_text(value, "t:1", "x") == text


@pytest.mark.parametrize("value", [{"a": 1}, float("inf"), b"bytes"])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(CorpusError, match="t:1: x is"):
        as_text(value, "t:1", "x")


def test_kinds_go_by_the_ending() -> None:
    assert table_kind(Path("a.CSV")) == "csv"
    assert table_kind(Path("a.wav")) is None
