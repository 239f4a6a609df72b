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
from earful.index.datasets.declaration import Source
from earful.index.datasets.readers import read_source
from earful.index.datasets.templates import fill, meets

# What a cell may hold; a row of empty cells only would be an empty line.
cell = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
rows = st.lists(st.tuples(cell.map(lambda text: f"x{text}"), cell, cell), max_size=8)


def read(name: str, text: bytes, reader: str = "table", **options: Any) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(text)
        source = Source(reader=reader, files=(name,), options=options)
        return [row for _, row in read_source(Path(folder), source)]


@given(rows, st.sampled_from([",", "\t", ";"]), st.sampled_from(["\n", "\r\n"]))
def test_tables_are_read_as_they_were_written(
    told: list[tuple[str, str, str]], delimiter: str, end: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
            writer.writerows([("a", "b", "c"), *told])
        source = Source(reader="table", files=("t.csv",), options={"delimiter": delimiter})
        found = list(read_source(Path(folder), source))
    assert [tuple(row.values()) for _, row in found] == told
    assert [row.keys() for _, row in found] == [{"a": 0, "b": 0, "c": 0}.keys()] * len(told)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | cell,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(cell, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(cell, values, max_size=3), min_size=1, max_size=5))
def test_streamed_json_is_what_json_loads_gives(told: list[dict[str, Any]]) -> None:
    assert read("t.json", json.dumps(told).encode(), "records") == told
    nested = json.dumps({"n": 1, "data": told}).encode()
    assert read("t.json", nested, "records", at="data") == told
    lines = "".join(json.dumps(row) + "\n" for row in told).encode()
    assert read("t.jsonl", lines, "records") == told


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


def test_an_option_that_no_reader_has_is_told() -> None:
    with pytest.raises(CorpusError, match="delimeter"):
        read("t.csv", b"a\n1\n", delimeter=";")
    with pytest.raises(CorpusError, match=r"t\.json:.*is not JSON"):
        read("t.json", b"nonsense", "records")


@given(cell, st.integers(0, 9999))
def test_templates_are_filled_as_python_does(text: str, number: int) -> None:
    row = {"a": text, "n": number}
    assert fill("x/{a}/{n:06d}.wav", row, "t:1") == f"x/{text}/{number:06d}.wav"
    with pytest.raises(CorpusError, match="t:1: has no column 'b'"):
        fill("{b}", row, "t:1")


@pytest.mark.parametrize("text", ["{a.__class__}", "{a[0]}", "{0}"])
def test_a_template_reaches_nothing_but_cells(text: str) -> None:
    with pytest.raises(CorpusError, match="has no column"):
        fill(text, {"a": "x"}, "t:1")


def test_conditions_hold_or_not() -> None:
    row = {"a": "dog", "b": []}
    assert meets(row, {"column": "a", "equals": "dog", "matches": "^d"}, "t:1")
    assert not meets(row, {"column": "a", "not_in": ["dog"]}, "t:1")
    assert meets(row, {"column": "b", "not_empty": False}, "t:1")
    with pytest.raises(CorpusError, match="no kind 'equal'"):
        meets(row, {"column": "a", "equal": "dog"}, "t:1")
