"""The row lookup against a plain dictionary, over any course of additions."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.index.corpus import Exemplar
from earful.index.storage import AudioKey, IndexedRow, Row
from earful.index.storage.row_lookup import IndexedRows

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
@given(first=batches, later=batches)
def test_the_lookup_is_what_a_dictionary_would_hold(
    first: list[list[Row]], later: list[list[Row]]
) -> None:
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
        assert {row.root for row in plain.values()} <= set(rows.roots)
        for file in range(7):
            for end_s in (None, 1.0, 2.0):
                key = AudioKey(f"{file:064x}", 0.0, end_s)
                holders = {id_ for id_, held in plain.items() if held.audio_key == key}
                found = rows.holder(key)
                assert found in holders if holders else found is None


def test_rows_are_read_in_other_threads_while_some_are_added() -> None:
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
