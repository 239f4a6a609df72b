import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import IndexFolderError
from earful.index import Index, export_index
from earful.index.maintenance.export import formula_safe
from earful.index.storage import Row
from earful.model import Fingerprint

MakeRow = Callable[..., Row]


@pytest.fixture
def index(tmp_path: Path, fingerprint: Fingerprint, make_row: MakeRow) -> Index:
    made = Index.create(tmp_path / "sounds.index", fingerprint)
    made.add([make_row("b", labels=("dog", "big, old dog")), make_row("a", split="test")])
    return made


def test_csv_holds_every_row_in_the_order_of_ids(
    index: Index, make_row: MakeRow, tmp_path: Path, sounds: Path
) -> None:
    target = tmp_path / "rows.csv"
    assert export_index(index, target) == 2
    with open(target, newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    row = make_row("b")
    assert second == {
        "id": "b",
        "audio": str(row.exemplar.audio),
        "start_s": "0.0",
        "end_s": "",
        "question": "",
        "answer": "dog, big, old dog",
        "labels": "dog|big, old dog",
        "task": "",
        "split": "",
        "group": "",
        "licence": "",
        "meta": "{}",
        "root": str(sounds),
        "duration_s": "1.5",
        "file_sha256": row.file_sha256,
        "content_sha256": row.content_sha256,
    }
    assert (first["id"], first["split"]) == ("a", "test")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "rows.csv",
        "sounds",
        "sounds.index",
    ]


def test_csv_holds_no_formula(index: Index, make_row: MakeRow, tmp_path: Path) -> None:
    row = make_row("=1+1")
    harmful = replace(row.exemplar, answer='=HYPERLINK("http://x")', labels=("@SUM(A1)", "b"))
    index.add([replace(row, exemplar=harmful)])
    export_index(index, tmp_path / "rows.csv")
    with open(tmp_path / "rows.csv", newline="", encoding="utf-8") as file:
        found = next(row for row in csv.DictReader(file) if "1+1" in row["id"])
    assert found["id"] == "'=1+1"
    assert found["answer"] == '\'=HYPERLINK("http://x")'
    assert found["labels"] == "'@SUM(A1)|b"


FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@given(st.text() | st.builds(str.__add__, st.sampled_from(FORMULAS), st.text()))
def test_no_cell_starts_as_a_formula_and_every_one_can_be_read_back(text: str) -> None:
    safe = formula_safe(text)
    assert not safe.startswith(FORMULAS)
    assert safe in (text, f"'{text}")


def test_parquet_holds_the_vectors_too(index: Index, make_row: MakeRow, tmp_path: Path) -> None:
    import pyarrow.parquet

    (tmp_path / "rows.parquet").write_bytes(b"replaced")
    assert export_index(index, tmp_path / "rows.parquet") == 2
    rows = pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [row["id"] for row in rows] == ["a", "b"]
    wanted = make_row("b", labels=("dog", "big, old dog"))
    assert rows[1]["labels"] == list(wanted.exemplar.labels)
    assert PurePosixPath(rows[1]["audio"]) == wanted.exemplar.audio
    assert np.array_equal(np.array(rows[1]["vector"], np.float32), wanted.vector)
    assert rows[1]["root"] == str(wanted.root)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_an_empty_index(tmp_path: Path, fingerprint: Fingerprint, name: str) -> None:
    assert export_index(Index.create(tmp_path / "i", fingerprint), tmp_path / name) == 0
    assert (tmp_path / name).stat().st_size > 100


@pytest.mark.parametrize("name", ["rows.txt", "rows"])
def test_another_ending_is_refused(index: Index, tmp_path: Path, name: str) -> None:
    with pytest.raises(IndexFolderError, match=r"\.csv or \.parquet"):
        export_index(index, tmp_path / name)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_place_that_cannot_be_written(index: Index, tmp_path: Path, name: str) -> None:
    with pytest.raises(IndexFolderError, match="cannot be written"):
        export_index(index, tmp_path / "missing" / name)
    (tmp_path / name).mkdir()
    with pytest.raises(IndexFolderError, match="cannot be written"):
        export_index(index, tmp_path / name)
    assert not list(tmp_path.glob(".*"))
