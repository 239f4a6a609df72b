"""Searches that do not hold all rows: what they find, what they refuse, what stays true."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import FilterError, IndexFolderError
from earful.index import Index, verify_index
from earful.index.corpus import Exemplar
from earful.index.search import Approximate, Hit, IndexBackend, SearchFilter
from earful.index.search.approximate import LEAST_ROWS, PartitionRecall
from earful.index.search.search_filter import sql_of
from earful.index.storage import Row
from earful.model import Fingerprint

DIM = 16
N = 1500
LEAN: tuple[IndexBackend, ...] = ("half", "approximate")
Vectors = NDArray[np.float32]


def unit(rows: NDArray[np.floating]) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def rows(n: int, root: Path, seed: int = 0) -> list[Row]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(7, DIM))
    vectors = unit(centres[np.arange(n) % 7] + 0.7 * rng.normal(size=(n, DIM)))
    return [
        Row(
            exemplar=Exemplar(
                id=f"it's {seed}-{number:05}",
                audio=PurePosixPath(f"{number % 7}/{seed}-{number // 2}.wav"),
                start_s=float(number % 2),
                labels=(f"label '{number % 7}'", f'"{number % 3}"'),
                split="train" if number % 4 else "test",
                group=f"group '{number // 10}'",
            ),
            root=root,
            duration_s=1.0,
            file_sha256="0" * 64,
            content_sha256=f"{number:064x}",
            vector=vector,
        )
        for number, vector in enumerate(vectors)
    ]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("approximate")
    fingerprint = Fingerprint(
        name="toy", revision="", weights_sha256="", dim=DIM, sample_rate=8000, windowing="whole"
    )
    made = Index.create(folder / "sounds.index", fingerprint)
    made.add(rows(N, folder))
    made.index_approximately(recall=0.9, n_queries=50)
    return Index.open(made.path)


def ids(hits: list[Hit]) -> list[str]:
    return [hit.exemplar.id for hit in hits]


FILTERS: dict[str, Callable[[Index], SearchFilter]] = {
    "none": lambda _: SearchFilter(),
    "labels": lambda _: SearchFilter(labels=frozenset({"label '3'", '"1"'})),
    "a split": lambda _: SearchFilter(splits=frozenset({"test"})),
    "no groups": lambda _: SearchFilter(
        exclude_groups=frozenset(f"group '{number}'" for number in range(40))
    ),
    "no ids": lambda _: SearchFilter(exclude_ids=frozenset(f"it's 0-{n:05}" for n in range(700))),
    "no content": lambda _: SearchFilter(
        exclude_content=frozenset(f"{number:064x}" for number in range(500))
    ),
    "no paths": lambda index: SearchFilter(
        exclude_paths=frozenset(
            str(index.roots()[0] / f"{n % 7}/0-{n // 2}.wav") for n in range(99)
        )
    ),
    "SQL": lambda _: SearchFilter(where="start_s > 0 AND split = 'train' -- said so"),
    "most at once": lambda _: SearchFilter(
        labels=frozenset({"label '3'"}),
        splits=frozenset({"train"}),
        exclude_groups=frozenset({"group '0'"}),
        where="start_s < 1 OR start_s > 0",
        min_similarity=0.3,
    ),
    "nothing passes": lambda _: SearchFilter(labels=frozenset({"no such"})),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILTERS)
def test_half_the_memory_gives_the_exact_hits(index: Index, name: str) -> None:
    chosen, n_found = FILTERS[name](index), 0
    for query in index.vectors().vectors[::300]:
        expected = index.search(query, k=12, filter=chosen)
        assert index.search(query, k=12, filter=chosen, backend="half") == expected
        n_found += len(expected)
    assert bool(n_found) == (name != "nothing passes")


@pytest.mark.parametrize("name", FILTERS)
def test_approximate_hits_pass_the_filter_with_exact_similarities(index: Index, name: str) -> None:
    chosen = FILTERS[name](index)
    n_found = n_wanted = 0
    for query in index.vectors().vectors[::100]:
        exact = index.search(query, k=N, filter=chosen)
        of_id = {hit.exemplar.id: hit.similarity for hit in exact}
        found = index.search(query, k=5, filter=chosen, backend="approximate")
        assert [hit.similarity for hit in found] == [of_id[id_] for id_ in ids(found)]
        assert [hit.rank for hit in found] == list(range(len(found)))
        n_found += len(set(ids(found)) & set(ids(exact[:5])))
        n_wanted += min(5, len(exact))
    assert n_found >= 0.8 * n_wanted


def test_the_recall_told_is_that_of_rows_looking_for_the_others(index: Index) -> None:
    made = index.approximate
    assert made is not None
    assert made.n_rows == N
    assert made.n_queries == 50
    assert made.recall >= made.wanted or made.n_probes == made.n_partitions
    every = index.vectors()
    n_found = 0
    for row in np.unique(np.linspace(0, N - 1, 50).astype(int)):
        query, own = every.vectors[row], frozenset({every.exemplars[row].id})
        exact = every.search(query, k=10, filter=SearchFilter(exclude_ids=own))
        found = index._folder.table.nearest(
            query, 11, ["id"], n_probes=made.n_probes, refine=made.refine
        )
        n_found += len(set(found.column("id").to_pylist()) & set(ids(exact)))
    assert made.recall == pytest.approx(n_found / 500)


@pytest.mark.slow
def test_more_partitions_find_no_less_and_are_only_looked_at_where_needed(
    index: Index, tmp_path: Path
) -> None:
    every = index.index_approximately(recall=1.0, n_queries=20)
    whole = [probed for probed in every.tried if probed.n_probes == every.n_partitions]
    parts = [probed for probed in every.tried if probed.n_probes < every.n_partitions]
    assert every.tried == (*whole, *parts)
    assert [probed.refine for probed in whole] == [10, 30, 100][: len(whole)]
    assert [probed.n_probes for probed in parts][:2] == [1, 2]
    assert {probed.refine for probed in parts} == {whole[-1].refine}
    assert parts[0].recall < parts[-1].recall <= whole[-1].recall
    assert every.recall >= 0.99
    few = index.index_approximately(recall=0.01, n_queries=20)
    assert (few.n_probes, few.refine) == (1, 10)


def test_rows_that_come_and_go_later_are_seen(index: Index, tmp_path: Path) -> None:
    new = rows(3, index.roots()[0], seed=1)
    index.add(new)
    for backend in LEAN:
        (hit,) = index.search(new[0].vector, k=1, backend=backend)
        assert hit.exemplar == new[0].exemplar
    index.remove([row.exemplar.id for row in new])
    for backend in LEAN:
        found = index.search(new[0].vector, k=3, backend=backend)
        assert not set(ids(found)) & {row.exemplar.id for row in new}
    # That no recording is there is all that is found.
    assert [problem.id for problem in verify_index(index).problems] == sorted(
        index._folder.indexed_rows()
    )


def test_half_the_memory_finds_the_same_after_rows_have_moved(tmp_path: Path, index: Index) -> None:
    moved = Index.create(tmp_path / "moved.index", index.fingerprint)
    made = rows(90, tmp_path)
    for first in range(0, 90, 10):
        moved.add(made[first : first + 10])
    moved.remove([row.exemplar.id for row in made[:45:2]])
    query = made[50].vector
    expected = moved.search(query, k=5)
    assert moved.search(query, k=5, backend="half") == expected
    moved.compact()
    assert moved.search(query, k=5, backend="half") == expected
    reader = Index.open(moved.path)
    assert reader.search(query, k=5, backend="half") == expected
    # As another process does, whose old versions then go.
    moved.remove([made[1].exemplar.id])
    time.sleep(0.1)
    moved._folder.table._lance.optimize(cleanup_older_than=timedelta(milliseconds=1))
    # It sees its own version as long as that can be read, and then the newest.
    found = reader.search(query, k=5, backend="half")
    assert found == reader.search(query, k=5)


def test_a_broken_condition_is_named_with_every_backend(index: Index) -> None:
    for backend in LEAN:
        with pytest.raises(FilterError, match="nonsense"):
            index.search(
                index.vectors().vectors[0],
                filter=SearchFilter(where="nonsense = 1"),
                backend=backend,
            )


@pytest.mark.parametrize("backend", LEAN)
def test_wrong_questions_are_refused(index: Index, backend: IndexBackend) -> None:
    query = index.vectors().vectors[0]
    for wrong, k, reason in (
        (query[:4], 3, r"query.*\(16,\).*\(4,\)"),
        (query, 0, "k=0"),
        (3 * query, 3, "unit norm"),
        (np.full(DIM, np.nan), 3, "unit norm"),
    ):
        with pytest.raises(ValueError, match=reason):
            index.search(wrong, k=k, backend=backend)


def test_too_few_rows_and_an_index_without_it_are_told(index: Index, tmp_path: Path) -> None:
    small = Index.create(tmp_path / "small.index", index.fingerprint)
    small.add(rows(5, tmp_path))
    with pytest.raises(IndexFolderError, match=rf"5 rows .*{LEAST_ROWS:,} or more"):
        small.index_approximately()
    query = index.vectors().vectors[0]
    with pytest.raises(IndexFolderError, match=r"5 rows are too few .*exact search"):
        small.search(query, backend="approximate")
    plain = Index.open(shutil.copytree(index.path, tmp_path / "plain.index"))
    plain.drop_approximate()
    with pytest.raises(IndexFolderError, match="earful index approximate"):
        plain.search(query, backend="approximate")
    (small.path / "approximate.json").write_text('{"tried": []}')
    with pytest.raises(IndexFolderError, match=r"approximate\.json: is damaged"):
        _ = small.approximate
    small.drop_approximate()
    assert small.approximate is None
    with pytest.raises(ValueError, match="recall=2"):
        index.index_approximately(recall=2)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    kept = Approximate(
        n_rows=9, n_partitions=3, n_probes=2, refine=10, k=4, n_queries=5, wanted=0.9, recall=0.95,
        ms=1.5, exact_ms=0.5, build_s=2.0, size_bytes=77,
        tried=(
            PartitionRecall(n_probes=1, refine=10, recall=0.5, ms=1.0),
            PartitionRecall(n_probes=2, refine=30, recall=0.95, ms=1.5),
        ),
    )  # fmt: skip
    kept.write(tmp_path)
    assert Approximate.read(tmp_path) == kept
    assert json.loads(json.dumps(kept.to_dict()))["tried"][0]["recall"] == 0.5
    assert Approximate.read(tmp_path / "nowhere") is None


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)


@pytest.mark.slow
@given(value=texts)
def test_no_text_gets_out_of_its_quotes(index: Index, value: str) -> None:
    chosen = SearchFilter(
        splits=frozenset({value}), exclude_groups=frozenset({value}), labels=frozenset({value})
    )
    found = index.search(index.vectors().vectors[0], filter=chosen, backend="half")
    assert found == []
    assert sql_of(replace(chosen, labels=frozenset(), splits=frozenset()), []).count("'") % 2 == 0
