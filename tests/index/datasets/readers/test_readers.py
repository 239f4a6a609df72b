"""Readers against the standard library's own writers, on whatever text there is."""

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.datasets.declaration import ReaderName, Source
from earful.index.datasets.readers import read_source

# What a cell may hold; a row of empty cells only would be an empty line.
cell = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
rows = st.lists(st.tuples(cell.map(lambda text: f"x{text}"), cell, cell), max_size=8)


def read(
    name: str, text: bytes, reader: ReaderName = "table", **options: Any
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(text)
        source = Source(reader=reader, files=(name,), options=options)
        return [row for _, row in read_source(Path(folder), source)]


@given(rows, st.sampled_from([",", "\t", ";"]), st.sampled_from(["\n", "\r\n"]))
def test_tables_are_read_as_they_were_written(
    written: list[tuple[str, str, str]], delimiter: str, end: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
            writer.writerows([("a", "b", "c"), *written])
        source = Source(reader="table", files=("t.csv",), options={"delimiter": delimiter})
        found = list(read_source(Path(folder), source))
    assert [tuple(row.values()) for _, row in found] == written
    assert [row.keys() for _, row in found] == [{"a": 0, "b": 0, "c": 0}.keys()] * len(written)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | cell,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(cell, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(cell, values, max_size=3), min_size=1, max_size=5))
def test_streamed_json_is_what_json_loads_gives(written: list[dict[str, Any]]) -> None:
    assert read("t.json", json.dumps(written).encode(), "records") == written
    nested = json.dumps({"n": 1, "data": written}).encode()
    assert read("t.json", nested, "records", at="data") == written
    lines = "".join(json.dumps(row) + "\n" for row in written).encode()
    assert read("t.jsonl", lines, "records") == written


def test_headers_are_found_wherever_publishers_put_them() -> None:
    assert read(
        "t.csv", b"# x\n# a, b\n1, 2\n", comment="#", header_comment=2, skip_space=True
    ) == [{"a": "1", "b": "2"}]
    assert read("t.csv", b"1,2\n", header=["a", "b"]) == [{"a": "1", "b": "2"}]
    two = b",set,set\n,split,subset\nid,,\n7,train,small\n"
    assert read("t.csv", two, header_rows=2, skip=1) == [
        {"column 1": "7", "set/split": "train", "set/subset": "small"}
    ]
    odd = b"Durationin ms,Class_id\n9,1\n"
    assert read("t.csv", odd, aliases={"ms": ["Duration in ms"], "id": ["Class ID"]}) == [
        {"ms": "9", "id": "1"}
    ]
    ragged = b"a\tb\tc\n1\t2\n3\t4\t5\t6\n"
    assert read("t.tsv", ragged, rest="c") == [
        {"a": "1", "b": "2", "c": []},
        {"a": "3", "b": "4", "c": ["5", "6"]},
    ]


def test_an_option_that_no_reader_has_is_reported() -> None:
    with pytest.raises(CorpusError, match="delimeter"):
        read("t.csv", b"a\n1\n", delimeter=";")
    with pytest.raises(CorpusError, match=r"t\.json:.*is not JSON"):
        read("t.json", b"nonsense", "records")


def test_json_that_nests_without_end_is_refused() -> None:
    def nested(levels: int) -> bytes:
        # The list of records and a record are two levels of their own.
        return b'[{"a": ' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}]"

    assert len(read("t.json", nested(100), "records")) == 1
    with pytest.raises(CorpusError, match=r"t\.json:item 1: .* nests deeper than 100 lists"):
        read("t.json", nested(101), "records")
