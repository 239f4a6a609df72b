import math
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from earful.errors import MissingExtraError
from earful.index.corpus import Exemplar
from earful.index.search import Hit, SearchFilter, VectorSet, exact, top_k
from earful.index.search.exact import Backend, _best
from tests.support.vector_sets import vector_set

BACKENDS: tuple[Backend, ...] = ("exact", "faiss")


def at(*degrees: float) -> NDArray[np.float32]:
    """Unit vectors in the plane."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def ids_of(hits: list[Hit]) -> list[str]:
    return [hit.exemplar.id for hit in hits]


@pytest.mark.parametrize("backend", BACKENDS)
def test_similarity_is_the_cosine_of_the_angle(backend: Backend) -> None:
    # Seen from 30 degrees: 0 and 60 are 30 away, 90 is 60 away, 210 is opposite.
    found = vector_set(at(60, 210, 90, 0)).search(at(30)[0], k=9, backend=backend)
    assert ids_of(found) == ["0000", "0003", "0002", "0001"]
    wanted = [math.cos(math.radians(angle)) for angle in (30, 30, 60, 180)]
    assert [hit.similarity for hit in found] == pytest.approx(wanted, abs=1e-7)
    assert [hit.rank for hit in found] == [0, 1, 2, 3]
    assert found[0].path == Path("/sounds/0000.wav")
    assert found[0].content_sha256 == "content of 0000"


def test_a_vector_finds_itself_with_similarity_one() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    stored = vector_set(vectors)
    for row in range(50):
        (hit,) = stored.search(vectors[row], k=1)
        assert hit.exemplar.id == f"{row:04}"
        assert hit.similarity == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [1, 3, 30, 60])
def test_ties_break_by_id_at_the_cut_too(backend: Backend, k: int) -> None:
    ids = [f"{number:02}" for number in np.random.default_rng(1).permutation(60)]
    found = vector_set(np.repeat(at(45), 60, axis=0), ids).search(at(45)[0], k=k, backend=backend)
    assert ids_of(found) == sorted(ids)[:k]


def oracle(
    vectors: NDArray[np.float32], query: NDArray[np.float32], k: int, keep: NDArray[np.bool_]
) -> list[int]:
    """Rank by exact integer arithmetic: cosines compared as signed squared fractions."""
    dots = vectors.astype(int) @ query.astype(int)
    norms = (vectors.astype(int) ** 2).sum(axis=1)
    ranked = sorted(
        np.flatnonzero(keep).tolist(),
        key=lambda row: (-math.copysign(dots[row] ** 2 / norms[row], dots[row]), row),
    )
    return ranked[:k]


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    exact = vectors.astype(np.float64)
    rows: NDArray[np.float32] = (exact / np.linalg.norm(exact, axis=-1, keepdims=True)).astype("f4")
    return rows


# Few small integers in few dimensions: duplicates and ties everywhere.
grid = st.integers(1, 40).flatmap(
    lambda n: npst.arrays(np.float32, (n, 3), elements=st.sampled_from([-1.0, 0.0, 1.0])).map(
        lambda rows: np.where(np.any(rows, axis=1, keepdims=True), rows, np.float32(1))
    )
)


@settings(deadline=None)
@given(grid, st.integers(1, 50), st.data())
def test_both_backends_rank_as_integer_arithmetic_does(
    integers: NDArray[np.float32], k: int, data: st.DataObject
) -> None:
    n = len(integers)
    query = integers[data.draw(st.integers(0, n - 1))]
    left_out = data.draw(st.sets(st.integers(0, n - 1)))
    stored = vector_set(unit(integers))
    chosen = SearchFilter(exclude_ids=frozenset(f"{row:04}" for row in left_out))
    keep = ~np.isin(np.arange(n), list(left_out))
    exact, faiss = (
        stored.search(unit(query), k=k, filter=chosen, backend=backend) for backend in BACKENDS
    )
    assert exact == faiss
    assert ids_of(exact) == [f"{row:04}" for row in oracle(integers, query, k, keep)]


@pytest.mark.slow
def test_faiss_equals_exact_among_thousands_with_duplicates() -> None:
    rng = np.random.default_rng(2)
    distinct = unit(rng.standard_normal((300, 32)).astype(np.float32))
    stored = vector_set(distinct[rng.integers(0, 300, 3000)])
    queries = np.concatenate(
        [distinct[:40], unit(rng.standard_normal((60, 32)).astype(np.float32))]
    )
    for k, n_queries in ((1, 100), (10, 100), (2500, 3)):
        exact = stored.search_many(queries[:n_queries], k=k)
        assert stored.search_many(queries[:n_queries], k=k, backend="faiss") == exact
        assert all(len(hits) == k for hits in exact)


def test_faiss_uses_blas_for_small_batches() -> None:
    import faiss

    vector_set(at(0, 90)).search(at(0)[0], k=1, backend="faiss")
    assert faiss.cvar.distance_compute_blas_threshold == 20


def test_a_result_does_not_depend_on_its_batch() -> None:
    rng = np.random.default_rng(3)
    stored = vector_set(unit(rng.standard_normal((500, 48)).astype(np.float32)))
    queries = unit(rng.standard_normal((130, 48)).astype(np.float32))
    together = stored.search_many(queries, k=5)
    assert together == [stored.search(query, k=5) for query in queries]


def test_rounding_of_the_fast_product_does_not_decide() -> None:
    # float32 products of equal rows may differ in the last bits, by kernel and thread.
    vectors = np.repeat(at(30, 60), 20, axis=0)
    scores = vectors @ at(0)[0]
    noise = np.random.default_rng(4).uniform(-4e-6, 4e-6, scores.size).astype(np.float32)
    rows, similarities = _best(vectors, at(0)[0], scores + noise, 5)
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert len(set(similarities.tolist())) == 1


def test_norms_within_the_tolerance_do_not_change_the_order() -> None:
    # By inner product the longer vector would win, at a larger angle.
    vectors = at(1.0, 0.5)
    vectors[0] *= np.float32(1.0009)
    found = vector_set(vectors).search(at(0)[0], k=2)
    assert ids_of(found) == ["0001", "0000"]
    assert found[1].similarity == pytest.approx(math.cos(math.radians(1.0)), abs=1e-7)


@pytest.fixture
def pets() -> VectorSet:
    """Seen from 0 degrees the nearest is a, the farthest e."""

    def pet(id_: str, labels: tuple[str, ...], split: str, group: str) -> Exemplar:
        return Exemplar(
            id=id_, audio=PurePosixPath(f"{id_}.wav"), labels=labels, split=split, group=group
        )

    exemplars = [
        pet("a", ("dog",), "train", "park"),
        pet("b", ("cat", "purr"), "train", "home"),
        pet("c", ("dog", "purr"), "test", "home"),
        pet("d", (), "", ""),
        pet("e", ("cow",), "test", ""),
    ]
    return vector_set(at(0, 20, 40, 60, 90), exemplars=exemplars)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        (SearchFilter(), "abcde"),
        (SearchFilter(labels=frozenset({"purr"})), "bc"),
        (SearchFilter(labels=frozenset({"dog", "cow"})), "ace"),
        (SearchFilter(labels=frozenset({"wolf"})), ""),
        (SearchFilter(splits=frozenset({"train"})), "ab"),
        (SearchFilter(splits=frozenset({""})), "d"),
        (SearchFilter(labels=frozenset({"dog"}), splits=frozenset({"test"})), "c"),
        (SearchFilter(exclude_ids=frozenset({"a", "nobody"})), "bcde"),
        (SearchFilter(exclude_groups=frozenset({"home"})), "ade"),
        (SearchFilter(exclude_groups=frozenset({""})), "abcde"),
        (SearchFilter(exclude_content=frozenset({"content of b"})), "acde"),
        (SearchFilter(exclude_paths=frozenset({"/sounds/c.wav"})), "abde"),
        (SearchFilter(min_similarity=0.5), "abcd"),
        (SearchFilter(min_similarity=1.0), "a"),
        (SearchFilter(labels=frozenset({"purr"}), exclude_groups=frozenset({"home"})), ""),
    ],
)
def test_filters(pets: VectorSet, chosen: SearchFilter, wanted: str, backend: Backend) -> None:
    assert ids_of(pets.search(at(0)[0], k=5, filter=chosen, backend=backend)) == list(wanted)


def test_a_filter_comes_before_the_cut(pets: VectorSet) -> None:
    chosen = SearchFilter(splits=frozenset({"test"}))
    assert ids_of(pets.search(at(0)[0], k=1, filter=chosen)) == ["c"]


def test_only_some_rows(pets: VectorSet) -> None:
    rows = pets.rows_of_ids(["e", "b", "nobody"])
    assert rows.tolist() == [1, 4]
    assert ids_of(pets.search(at(0)[0], k=5, only=rows)) == ["b", "e"]
    assert pets.search(at(0)[0], k=5, only=pets.rows_of_ids([])) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_set_finds_nothing(backend: Backend) -> None:
    empty = vector_set(np.empty((0, 2), np.float32))
    assert empty.search(at(0)[0], k=3, backend=backend) == []


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (np.array([np.nan, 0], np.float32), "norm nan"),
        (np.array([np.inf, 0], np.float32), "norm inf"),
        (np.array([0, 0], np.float32), r"norm 0\.0"),
        (np.array([2, 0], np.float32), r"norm 2\.0"),
        (np.array([1, 0, 0], np.float32), r"query.*\(2,\).*\(3,\)"),
    ],
)
def test_a_query_must_be_a_finite_unit_vector(query: NDArray[np.float32], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        vector_set(at(0, 90)).search(query, k=1)


def test_wrong_questions_are_refused(pets: VectorSet) -> None:
    with pytest.raises(ValueError, match=r"k=0.*1 or more"):
        pets.search(at(0)[0], k=0)
    with pytest.raises(ValueError, match="needs an Index"):
        pets.search(at(0)[0], k=1, filter=SearchFilter(where="true"))
    with pytest.raises(TypeError, match=r"labels='dog'.*a set such as"):
        SearchFilter(labels="dog")  # type: ignore[arg-type]
    for least in (1.5, float("nan")):
        with pytest.raises(ValueError, match="min_similarity"):
            SearchFilter(min_similarity=least)


def test_wrong_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="id 'b' occurs twice"):
        vector_set(at(0, 20, 40), ["a", "b", "b"])
    broken = at(0, 20)
    broken[1, 0] = np.nan
    with pytest.raises(ValueError, match=r"vector of 'b'.*norm nan"):
        vector_set(broken, ["a", "b"])
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        vector_set(np.ones(2, np.float32), ["a", "b"])


def test_without_faiss_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"earful\[faiss\].*earful\[faiss-gpu\]"):
        vector_set(at(0)).search(at(0)[0], k=1, backend="faiss")


def test_top_k_prefers_the_lower_row() -> None:
    rows, similarities = top_k(at(90, 0, 180, 0), at(0)[0], 3)
    assert rows.tolist() == [1, 3, 0]
    assert similarities == pytest.approx([1.0, 1.0, 0.0], abs=1e-7)
    assert [part.size for part in top_k(at(0), at(0)[0], 0)] == [0, 0]


def test_the_input_is_not_changed_or_locked() -> None:
    vectors = at(0, 90)
    stored = vector_set(vectors)
    assert vectors.flags.writeable
    assert not stored.vectors.flags.writeable
    assert repr(stored) == "VectorSet(2 rows of 2)"


def test_what_an_answer_shows_of_a_hit() -> None:
    exemplar = Exemplar(id="a", audio=PurePosixPath("a.wav"), labels=("dog",))
    hit = Hit(
        exemplar=exemplar, similarity=0.12345678, rank=0, path=Path("/s/a.wav"), content_sha256=""
    )
    assert hit.to_dict() == {
        "id": "a",
        "audio": "/s/a.wav",
        "start_s": 0.0,
        "end_s": None,
        "answer": "dog",
        "labels": ["dog"],
        "group": "",
        "rank": 0,
        "similarity": 0.123457,
    }


@given(share=st.floats(0, 1), seed=st.integers(0, 999), k=st.integers(1, 12))
def test_a_filter_of_any_width_ranks_the_rows_that_pass_alone(
    share: float, seed: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-1, 2, (60, 3)) + 0.25
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    pets = vector_set(vectors)
    passed = np.flatnonzero(rng.random(60) < share)
    found = pets.search(vectors[0], k=k, only=passed)
    alone = pets.subset(passed).search(vectors[0], k=k)
    assert found == alone
    assert len(found) == min(k, len(passed))


def test_a_narrow_filter_reads_only_the_rows_that_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    pets = vector_set(at(*np.arange(0.0, 90.0, 0.5)))
    read: list[int] = []
    take = np.take

    def counted(rows: NDArray[np.float32], some: NDArray[np.intp], **how: Any) -> Any:
        read.extend(some.tolist())
        return take(rows, some, **how)

    monkeypatch.setattr(np, "take", counted)
    monkeypatch.setattr(exact, "_ROWS_AT_ONCE", 8)
    for among in (np.arange(40, 60), np.arange(40, 100, 3)):
        read.clear()
        best = pets.search(at(22.0)[0], k=3, only=among)
        nearest = sorted(among, key=lambda row: (abs(row - 44), row))[:3]
        assert ids_of(best) == [f"{row:04}" for row in nearest]
        assert read == among.tolist()
