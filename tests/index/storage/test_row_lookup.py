"""The row lookup against a plain dictionary, over any course of additions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.index.corpus import Exemplar
from earful.index.storage import AudioKey, IndexedRow, IndexedRows, Row, UnseenRows
from earful.index.storage.lookup import row_lookup

ROOTS = (Path("/one"), Path("/two"))


def row(id_: str, file: int, end_s: float | None = None, root: int = 0) -> Row:
    return Row(
        exemplar=Exemplar(id=id_, audio=PurePosixPath("a.wav"), labels=("x",), end_s=end_s),
        root=ROOTS[root],
        duration_s=1.0,
        file_sha256=f"{file:064x}",
        content_sha256="",
        vector=np.ones(1, np.float32),
    )


batches = st.lists(
    st.lists(
        st.builds(
            row,
            st.sampled_from([f"row {number}" for number in range(30)]),
            st.integers(0, 6),
            st.sampled_from([None, 1.0, 2.0]),
            st.integers(0, 1),
        ),
        max_size=9,
        unique_by=lambda row: row.exemplar.id,
    ),
    max_size=12,
)


@pytest.mark.slow
@pytest.mark.parametrize("n_loose", [2, 5, 1000])
@given(first=batches, later=batches)
def test_the_lookup_is_what_a_dictionary_would_hold(
    n_loose: int, first: list[list[Row]], later: list[list[Row]]
) -> None:
    with patch.object(row_lookup, "_ROWS_WORTH_PACKING", n_loose):
        compare_with_a_dictionary(first, later)


def compare_with_a_dictionary(first: list[list[Row]], later: list[list[Row]]) -> None:
    plain = {row.exemplar.id: IndexedRow.of(row) for batch in first for row in batch}
    rows = IndexedRows(plain.items())
    assert rows == plain
    for batch in later:
        rows.add(batch)
        plain.update((row.exemplar.id, IndexedRow.of(row)) for row in batch)
        assert dict(rows) == plain
        assert len(rows) == len(plain)
        for number in range(30):
            id_ = f"row {number}"
            assert (id_ in rows) == (id_ in plain)
            assert rows.get(id_) == plain.get(id_)
        asked = [f"row {number}" for number in range(0, 60, 2)]
        assert rows.known(asked) == plain.keys() & set(asked)
        assert {row.root for row in plain.values()} <= set(rows.roots)
        for file in range(7):
            for end_s in (None, 1.0, 2.0):
                key = AudioKey(f"{file:064x}", 0.0, end_s)
                holders = {id_ for id_, held in plain.items() if held.audio_key == key}
                found = rows.holder(key)
                assert found in holders if holders else found is None


def test_packed_rows_come_back_as_they_were_in_little_memory() -> None:
    made = {}
    for number in range(5000):
        # Digests that are none, and ids of other alphabets, are kept as they are.
        digest = "" if number % 100 == 0 else f"{number:064x}"
        end_s = None if number % 3 else 1.5 * number
        made[f"{number}-éßあ"] = IndexedRow(
            root=ROOTS[number % 2],
            audio_key=AudioKey(digest, number / 7, end_s),
            exemplar_sha256="A" * 64 if number % 50 == 0 else f"{number:064x}",
        )
    with patch.object(row_lookup, "_ROWS_WORTH_PACKING", 500):
        rows = IndexedRows(made.items())
    assert list(rows) == list(made)
    assert dict(rows.items()) == made
    assert len(rows._held.packed) < 6
    assert not rows._held.loose
    assert rows.holder(AudioKey(f"{7:064x}", 1.0, None)) == "7-éßあ"
    assert rows.get("7") is None
    n_bytes = sum(
        sum(array.nbytes for array in (part.ends, part.root, part.times, part.digests))
        + sum(array.nbytes for array in (*part.by_id, *part.by_audio))
        + len(part.text)
        for part in rows._held.packed
    )
    assert n_bytes / len(made) < 150


def test_rows_are_read_in_other_threads_while_some_are_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(row_lookup, "_ROWS_WORTH_PACKING", 100)
    rows = IndexedRows()

    def read() -> None:
        while "last" not in rows:
            assert all(rows[id_].root == ROOTS[0] for id_ in rows)
            assert rows.holder(AudioKey(f"{0:064x}", 0.0, None)) in (None, *rows)

    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(read) for _ in range(2)]
        for n in range(2000):
            rows.add([row(f"{n % 500}", n % 7)])
        rows.add([row("last", 0)])
        for one in reading:
            one.result()


def as_batches(rows: list[tuple[str, IndexedRow]], size: int) -> Iterator[pa.RecordBatch]:
    """Yield rows as the table does."""
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        yield pa.RecordBatch.from_pydict(
            {
                "id": [id_ for id_, _ in some],
                "root": [ROOTS.index(one.root) for _, one in some],
                "file_sha256": [one.audio_key.file_sha256 for _, one in some],
                "start_s": [one.audio_key.start_s for _, one in some],
                "end_s": pa.array([one.audio_key.end_s for _, one in some], pa.float64()),
                "exemplar_sha256": [one.exemplar_sha256 for _, one in some],
            }
        )


digests = st.sampled_from([f"{n:064x}" for n in range(4)] + ["", "A" * 64, "é" * 64, "0" * 63])
tables = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        st.builds(
            IndexedRow,
            root=st.sampled_from(ROOTS),
            audio_key=st.builds(
                AudioKey, digests, st.sampled_from([0.0, -0.0, 1.5]), st.sampled_from([None, 2.0])
            ),
            exemplar_sha256=digests,
        ),
    ),
    max_size=40,
)


@given(table=tables, size=st.integers(1, 50), room=st.integers(0, 50), later=batches)
def test_a_table_is_looked_up_as_in_a_dictionary(
    table: list[tuple[str, IndexedRow]], size: int, room: int, later: list[list[Row]]
) -> None:
    """Whatever its digests are, with ids twice, and with more rows than there was room for."""
    plain = dict(table)
    rows = IndexedRows.packed(as_batches(table, size), ROOTS, n_rows=room)
    assert dict(rows) == plain
    assert len(rows) == len(plain)
    assert set(rows.roots) >= {one.root for one in plain.values()}
    for id_, one in table:
        holder = rows.holder(one.audio_key)
        held = {other for other, its in plain.items() if its.audio_key == one.audio_key}
        assert holder in held if held else holder is None
        assert rows.get(id_) == plain[id_]
    unseen, left = UnseenRows(rows, ROOTS[0]), dict(plain)
    for id_ in [*[id_ for id_, _ in table][::2], "of no row"]:
        unseen.see(id_)
        left.pop(id_, None)
    with patch.object(row_lookup, "_ROWS_WORTH_PACKING", 3):
        for batch in later:
            rows.add(batch)
            for added in batch:  # what the build itself adds was shown
                unseen.see(added.exemplar.id)
                left.pop(added.exemplar.id, None)
    assert unseen.ids() == tuple(sorted(i for i, one in left.items() if one.root == ROOTS[0]))


def test_a_root_that_there_is_not_is_refused() -> None:
    (batch,) = as_batches([("a", IndexedRow.of(row("a", 0, root=1)))], 1)
    with pytest.raises(IndexError, match="root"):
        IndexedRows.packed([batch], ROOTS[:1], n_rows=1)


def test_what_is_unseen_takes_a_byte_a_row() -> None:
    table = [(f"row {n}", IndexedRow.of(row(f"row {n}", n))) for n in range(3000)]
    rows = IndexedRows.packed(as_batches(table, 1000), ROOTS, n_rows=3000)
    assert not rows._held.loose
    assert len(UnseenRows(rows, ROOTS[0])._is_seen) == 3000
