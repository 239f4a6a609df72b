import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earful.errors import IndexFolderError
from earful.index import Index, verify_index
from earful.index.storage import HEADER_NAME, Row, row_digest
from earful.index.storage.schema import to_arrow
from earful.model import Fingerprint
from earful.model.audio import file_sha256

MakeRow = Callable[..., Row]


@pytest.fixture
def index(tmp_path: Path, fingerprint: Fingerprint, make_row: MakeRow) -> Index:
    made = Index.create(tmp_path / "sounds.index", fingerprint)
    made.add([make_row("a"), make_row("b"), make_row("c")])
    return made


def overwrite(index: Index, row: Row, **columns: object) -> None:
    """Store a row as it is, with some columns replaced, past every check."""
    import lancedb
    import pyarrow as pa

    batch = to_arrow([row], [0], index.fingerprint)
    for name, value in columns.items():
        field = batch.schema.field(name)
        batch = batch.set_column(
            batch.schema.get_field_index(name), field, pa.array([value], field.type)
        )
    table = lancedb.connect(index.path / "table").open_table("exemplars")
    table.delete(f"id = '{row.exemplar.id}'")
    table.add(pa.Table.from_batches([batch]), on_bad_vectors="fill")
    index.refresh()


def problems(index: Index) -> list[tuple[str, str]]:
    return [(problem.id, problem.what) for problem in verify_index(index).problems]


def test_a_sound_index_has_no_problems(index: Index) -> None:
    steps: list[tuple[int, int]] = []
    report = verify_index(index, progress=lambda done, total: steps.append((done, total)))
    assert (report.n_checked, report.problems) == (3, ())
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_missing_and_changed_audio(index: Index, make_row: MakeRow, sounds: Path) -> None:
    (sounds / make_row("a").exemplar.audio).unlink()
    (sounds / make_row("b").exemplar.audio).write_bytes(b"other bytes")
    report = verify_index(index)
    first, second = report.problems
    assert (first.id, second.id) == ("a", "b")
    assert first.audio == str(
        sounds / make_row("c").exemplar.audio.with_name(Path(first.audio).name)
    )
    assert first.what.startswith("the audio cannot be read: ")
    assert "has changed since it was embedded" in second.what
    assert second.to_dict()["id"] == "b"


def test_each_file_is_read_once(
    index: Index, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_row("whole")
    index.add(
        [
            replace(whole, exemplar=replace(whole.exemplar, id=f"cut {start}", start_s=start))
            for start in range(5)
        ]
    )
    read: list[Path] = []

    def noted(path: Path) -> str:
        read.append(path)
        return file_sha256(path)

    monkeypatch.setattr("earful.index.maintenance.verify.file_sha256", noted)
    assert verify_index(index).n_checked == 8
    assert len(read) == len(set(read)) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": "cat"},
        {"labels": ["cat"]},
        {"group": "x"},
        {"end_s": 2.0},
        {"duration_s": 2.0},
        {"content_sha256": "0"},
        {"row_sha256": ""},
        {"vector": [0.5, 0.5, 0.5, 0.5]},
    ],
)
def test_a_changed_row_is_found(
    index: Index, make_row: MakeRow, changes: dict[str, object]
) -> None:
    overwrite(index, make_row("b"), **changes)
    ((id_, what),) = (found for found in problems(index) if found[0])
    assert id_ == "b"
    assert "does not match its own digest" in what


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"start_s": -1.0}, "its fields are damaged"),
        ({"meta": "{"}, "its fields are damaged"),
        ({"meta": "[1]"}, "its fields are damaged"),
        ({"labels": ["x", "x"]}, "its fields are damaged"),
        ({"root": 7}, "it names corpus root 7; the header has 1"),
        ({"root": -1}, "it names corpus root -1; the header has 1"),
        ({"vector": [0.0, 0.0, 0.0, 0.0]}, "its vector has norm 0"),
        ({"vector": [float("inf"), 0.0, 0.0, 0.0]}, "its vector has norm inf"),
    ],
)
def test_damage_is_reported_and_never_answers(
    index: Index, make_row: MakeRow, changes: dict[str, object], reason: str
) -> None:
    row = make_row("b")
    overwrite(index, row, **changes)
    found = problems(index)
    assert any(id_ == "b" and what.startswith(reason) for id_, what in found)
    with pytest.raises(IndexFolderError, match=r"a row is damaged \(.*index verify"):
        index.search(row.vector)
    # The way out that the message names.
    assert index.remove(["b"]) == 1
    assert index.search(row.vector)[0].exemplar.id in "ac"
    assert problems(index) == []


def test_an_id_that_stands_twice(index: Index, make_row: MakeRow) -> None:
    import lancedb
    import pyarrow as pa

    batch = to_arrow([make_row("b")], [0], index.fingerprint)
    lancedb.connect(index.path / "table").open_table("exemplars").add(
        pa.Table.from_batches([batch])
    )
    found = problems(index)
    assert ("b", "the id occurs twice in the table") in found
    with pytest.raises(IndexFolderError, match="id 'b' occurs twice"):
        index.vectors()


def test_a_header_that_is_not_true(index: Index) -> None:
    path = index.path / HEADER_NAME
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "n": 5}))
    ((id_, what),) = problems(index)
    assert id_ == ""
    assert what.startswith("the header says 5 rows and 1 labels, the table has 3 and 1")
    with index._folder.writer():
        assert problems(index) == []
    path.write_text("gone wrong")
    ((id_, what),) = problems(index)
    assert id_ == ""
    assert "cannot be read" in what


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 4 * 4 * 8 - 1))
def test_any_flipped_bit_of_a_vector_changes_the_digest(make_row: MakeRow, bit: int) -> None:
    row = make_row("a")
    content = bytearray(row.vector.tobytes())
    content[bit // 8] ^= 1 << bit % 8
    flipped = np.frombuffer(bytes(content), np.float32)
    assert row_digest(replace(row, vector=flipped)) != row_digest(row)
