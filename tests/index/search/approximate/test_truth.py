"""The truth that recall is measured by, against all vectors in memory, which nobody holds."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import IndexFolderError
from earful.index import Index
from earful.index.search.approximate import find_truth, partition_rows
from earful.index.search.approximate.row_scans import check_rows
from earful.index.search.approximate.truth import _Nearest
from earful.index.storage import CHECKSUMS_NAME
from tests.support.large_indexes import DIM, clustered_rows, empty_index, large_index


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return large_index(tmp_path_factory.mktemp("truth") / "sounds.index")


def test_one_scan_says_what_all_vectors_in_memory_say(index: Index) -> None:
    truth = find_truth(index._folder.table, DIM, k=10, n_queries=60)
    every = index.vectors()
    assert len(truth.ids) == 60
    of_id = {exemplar.id: row for row, exemplar in enumerate(every.exemplars)}
    for id_, query, least in zip(truth.ids, truth.vectors, truth.least, strict=True):
        np.testing.assert_array_equal(query, every.vectors[of_id[id_]])
        others = [hit for hit in every.search(query, k=11) if hit.exemplar.id != id_][:10]
        assert least == pytest.approx(others[-1].similarity, abs=1e-12)


def test_more_neighbours_than_rows_are_those_there_are(tmp_path: Path) -> None:
    few = empty_index(tmp_path / "few.index")
    few.add(clustered_rows(4, tmp_path))
    truth = find_truth(few._folder.table, DIM, k=10, n_queries=2)
    every = few.vectors().vectors.astype(np.float64)
    assert truth.least[0] == pytest.approx((every @ every[0]).min(), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(1, 60), k=st.integers(1, 9), cut=st.integers(1, 60))
def test_batches_of_any_size_give_the_same_nearest(seed: int, n: int, k: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    # Few different numbers, so that many cosines are equal.
    vectors = rng.integers(-1, 2, (n, 8)) + np.eye(8)[rng.integers(0, 8, n)] * 0.5
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    nearest = _Nearest(vectors[:3], k)
    for start in range(0, n, cut):
        nearest.take(vectors[start : start + cut])
    exact = vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    expected = np.sort(exact[:3] @ exact.T, axis=1)[:, -k:][:, 0]
    np.testing.assert_allclose(nearest.least(), expected, atol=1e-12)


@pytest.mark.slow
def test_large_indexes_are_never_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = large_index(tmp_path / "sounds.index")
    # All rows of a partition by their full vectors: what codes say of a row is partly chance.
    monkeypatch.setattr("earful.index.search.approximate.partitioning.REFINES", (110,))
    with monkeypatch.context() as patched:
        patched.setattr(Index, "vectors", lambda _: pytest.fail("held all rows"))
        patched.setattr(type(index._folder.table), "read", lambda *_: pytest.fail("read all rows"))
        made = index.index_approximately(recall=0.9, n_queries=20)
        index.compact()
        query = clustered_rows(1, tmp_path)[0].vector
        (hit,) = index.search(query, k=1, backend="approximate")
        assert sum(index.labels.values()) == index.info.n == 1200
    assert hit.similarity == pytest.approx(1.0)
    assert made.exact_ms > 0
    assert made.n_rows == 1200


def test_a_number_of_partitions_is_taken_or_refused(index: Index) -> None:
    made = index.index_approximately(recall=0.5, n_queries=5, n_partitions=3)
    assert made.n_partitions == 3
    for wrong in (1, 601):
        with pytest.raises(ValueError, match=rf"n_partitions={wrong}: expected 2 to 600"):
            partition_rows(
                index._folder.table, DIM, recall=0.9, k=1, n_queries=1, n_partitions=wrong
            )


def test_rows_of_unlisted_files_are_compared_with_their_own_digests(tmp_path: Path) -> None:
    index = large_index(tmp_path / "sounds.index", 60, per_add=30)
    changed = index.vectors().vectors[7]
    (index.path / CHECKSUMS_NAME).unlink()
    check_rows(Index.open(index.path)._folder.table, DIM)
    for path in (index.path / "table").rglob("data/*.lance"):
        path.write_bytes(path.read_bytes().replace(changed.tobytes(), (-changed).tobytes()))
    for ask in (check_rows, lambda table, dim: find_truth(table, dim, k=1, n_queries=3)):
        with pytest.raises(IndexFolderError, match=r"0-00007.*does not match its own digest"):
            ask(Index.open(index.path)._folder.table, DIM)
