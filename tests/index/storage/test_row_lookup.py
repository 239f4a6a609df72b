"""The row lookup against a plain dictionary, over any course of additions."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.index.corpus import Exemplar
from earful.index.storage import AudioKey, IndexedRow, Row, row_lookup
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


@given(first=batches, later=batches, most=st.sampled_from([1, 3, 10, 100]))
def test_the_lookup_is_what_a_dictionary_would_hold(
    first: list[list[Row]], later: list[list[Row]], most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_lookup, "_MOST_RECENT", most)
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


def test_equal_hashes_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_lookup, "_hash", lambda _: 7)
    plain = {f"row {n}": IndexedRow.of(row(f"row {n}", n)) for n in range(20)}
    rows = IndexedRows(plain.items())
    assert dict(rows) == plain
    assert rows.get("row 20") is None
    assert rows.holder(AudioKey(f"{3:064x}", 0.0, None)) == "row 3"
    assert rows.holder(AudioKey(f"{3:064x}", 0.0, 1.0)) is None


@pytest.mark.parametrize("digest", ["", "ab", "é" * 32, "A" * 64, "g" * 64, "\ud800", "x" * 66])
def test_what_is_no_digest_comes_back_as_it_was(digest: str) -> None:
    key = AudioKey(digest, 0.0, None)
    odd = replace(IndexedRow.of(row("a", 1)), audio_key=key, exemplar_sha256=digest)
    assert IndexedRows([("a", odd)])["a"] == odd


def test_many_rows_take_little_memory() -> None:
    import pyarrow as pa

    before = pa.total_allocated_bytes()
    n = 20_000
    rows = IndexedRows((f"label/{n:06}.wav", IndexedRow.of(row(f"{n}", n))) for n in range(n))
    parts, recent, by_audio = rows._state
    assert not recent
    assert not by_audio
    order = sum(part._by_id._hashes.nbytes + part._by_id._places.nbytes for part in parts)
    assert pa.total_allocated_bytes() - before + 2 * order < 200 * n


@pytest.mark.parametrize("n_batches", [1, 2, 7, 8, 21, 64])
def test_few_parts_are_to_be_looked_through(
    monkeypatch: pytest.MonkeyPatch, n_batches: int
) -> None:
    monkeypatch.setattr(row_lookup, "_MOST_RECENT", 4)
    rows = IndexedRows()
    for batch in range(n_batches):
        rows.add([row(f"{batch}-{n}", n) for n in range(4)])
    sizes = [len(part) for part in rows._state[0]]
    assert sum(sizes) == 4 * n_batches
    assert all(one > 2 * next_one for one, next_one in pairwise(sizes))
