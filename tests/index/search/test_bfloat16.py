"""Candidates from bfloat16 rows: the best are always among them, and few others."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.index.search import bfloat16, exact
from earful.index.search.bfloat16 import Bfloat16Rows
from tests.support.vector_sets import vector_set

pytest.importorskip("torch")
Vectors = NDArray[np.float32]


def unit(rows: NDArray[np.floating]) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def clustered(n: int, dim: int, seed: int, spread: float) -> Vectors:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, dim))
    return unit(centres[rng.integers(0, 3, n)] + spread * rng.normal(size=(n, dim)))


@pytest.fixture(params=[True, False], ids=["packed", "plain"])
def _packing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr("earful.model.runtime.device.can_pack", lambda _: False)


@pytest.mark.usefixtures("_packing")
@pytest.mark.parametrize("n", [1, 5, 127, 128, 2048, 2049, 5000])
def test_the_best_rows_are_among_those_proposed(n: int) -> None:
    vectors, queries = clustered(n, 24, 1, 0.3), clustered(9, 24, 2, 0.3)
    rows = Bfloat16Rows([vectors[: n // 3], vectors[n // 3 :]])
    assert len(rows) == n
    keep = np.arange(n) % 3 > 0
    for k, kept in ((1, None), (10, None), (10, keep), (40, None)):
        exact = queries.astype(np.float64) @ vectors.T.astype(np.float64)
        if kept is not None:
            exact[:, ~kept] = -np.inf
        for scores, found in zip(exact, rows.candidates(queries, k, kept), strict=True):
            possible = np.flatnonzero(np.isfinite(scores))
            best = possible[np.argsort(-scores[possible], kind="stable")][:k]
            assert set(best) <= set(found.tolist()) <= set(possible.tolist())
            assert (np.diff(found) > 0).all()


@settings(max_examples=40)
@given(
    n=st.integers(1, 400),
    dim=st.integers(1, 40),
    k=st.integers(1, 20),
    spread=st.sampled_from([0.0, 1e-4, 1e-3, 0.1, 3.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_nothing_is_left_out_however_near_the_rows_lie(
    n: int, dim: int, k: int, spread: float, seed: int
) -> None:
    vectors, queries = clustered(n, dim, seed, spread), clustered(3, dim, seed + 1, spread)
    exact = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    for scores, found in zip(exact, Bfloat16Rows([vectors]).candidates(queries, k), strict=True):
        assert set(np.argsort(-scores)[:k]) <= set(found.tolist())


def test_most_rows_are_not_proposed() -> None:
    vectors, queries = clustered(20_000, 128, 3, 1.0), clustered(16, 128, 4, 1.0)
    found = Bfloat16Rows([vectors]).candidates(queries, 10)
    assert max(map(len, found)) < 400


def test_what_one_call_leaves_behind_is_nothing_to_the_next() -> None:
    vectors = clustered(3000, 24, 6, 0.3)
    rows = Bfloat16Rows([vectors])
    batches = [clustered(m, 24, 10 + m, 0.3) for m in (9, 1, 30, 9)]
    masks = [None, np.arange(3000) % 5 == 0, None, np.arange(3000) % 2 == 0]

    def ask(rows: Bfloat16Rows) -> list[list[list[int]]]:
        return [
            [found.tolist() for found in rows.candidates(queries, 10, mask)]
            for queries, mask in zip(batches, masks, strict=True)
        ]

    alone = [
        [found.tolist() for found in Bfloat16Rows([vectors]).candidates(queries, 10, mask)]
        for queries, mask in zip(batches, masks, strict=True)
    ]
    assert ask(rows) == alone
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, [rows] * 8)) == [alone] * 8


def test_a_batch_gives_the_hits_of_single_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_ROWS_WORTH_A_COPY", 1000)
    monkeypatch.setattr("earful.model.runtime.device.has_bfloat16", lambda _: True)
    rng = np.random.default_rng(5)
    # Integer rows, many of them equal, so that ties at the cut are common.
    rows = unit(rng.integers(-1, 2, (3000, 6)) + 0.25)
    pets = vector_set(rows)
    queries = unit(rng.integers(-2, 3, (16, 6)) + 0.5)
    together = pets.search_many(queries, k=7)
    assert "_bfloat16_rows" in pets.__dict__
    assert together == [pets.search(query, k=7) for query in queries]


def test_rows_are_not_copied_twice_to_be_cut_anew() -> None:
    parts = [np.full((n, 3), n, np.float32) for n in (5000, 1, 3000)]
    cut = list(bfloat16._recut(parts))
    assert [len(part) for part in cut] == [2048, 2048, 2048, 1857]
    assert np.array_equal(np.concatenate(cut), np.concatenate(parts))
