"""An approximate index in parts: found by search as one in one piece is, or not committed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earful.errors import IndexFolderError, MissingExtraError
from earful.index import (
    Index,
    commit_segments,
    index_segment,
    train_partitions,
    verify_index,
)
from earful.index.search import Approximate, approximate
from earful.index.search.approximate import committing, partitioning
from tests.support.large_indexes import clustered_rows, large_index

# pylance takes long to import.
pytestmark = pytest.mark.slow
pytest.importorskip("lance")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index of which two parts are built, not committed."""
    index = large_index(tmp_path_factory.mktemp("segments") / "sounds.index")
    train_partitions(index, n_partitions=8)
    for part in (2, 1):
        index_segment(index, part, 2)
    return index.path


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "sounds.index", symlinks=True)
    return tmp_path / "sounds.index"


def test_parts_are_found_by_search_as_one_piece_is(folder: Path) -> None:
    index = Index.open(folder)
    new = clustered_rows(3, folder.parent, seed=1)
    index.add(new)  # while parts are built
    # All of it: what was asked of 50 queries another query may miss, as codes are drawn at random.
    made = commit_segments(index, recall=1.0, n_queries=50)
    assert made.recall >= 0.95
    assert not (folder / "segments").exists()
    reader = Index.open(folder)
    whole = Index.open(folder)
    assert reader.approximate == made
    every = whole.vectors()
    n_found = 0
    for row in range(0, 1200, 40):
        exact = every.search(every.vectors[row], k=10)
        found = reader.search(every.vectors[row], k=10, backend="approximate")
        of_id = {hit.exemplar.id: hit.similarity for hit in every.search(every.vectors[row], k=400)}
        assert [hit.similarity for hit in found] == [of_id[hit.exemplar.id] for hit in found]
        n_found += len({hit.exemplar.id for hit in exact} & {hit.exemplar.id for hit in found})
    assert n_found >= 0.9 * 300
    (hit,) = reader.search(new[0].vector, k=1, backend="approximate")
    assert hit.exemplar == new[0].exemplar
    (made_of,) = (i for i in reader._folder.table._lance.list_indices() if i.columns == ["vector"])
    assert made_of.num_segments == 2
    assert verify_index(reader).n_unlisted == 0
    # Both ways to an index leave rows that can be merged and dropped.
    reader.compact()
    assert reader.search(every.vectors[0], k=1, backend="approximate")[0].rank == 0
    in_one = reader.index_approximately(recall=1.0, n_queries=50, n_partitions=8)
    assert abs(in_one.recall - made.recall) < 0.05
    reader.drop_approximate()
    assert reader.approximate is None


def test_a_commit_that_was_killed_after_moving_files_is_made_again(folder: Path) -> None:
    table = folder / "table" / "exemplars.lance"
    (table / "_indices").mkdir(exist_ok=True)
    (moved,) = (folder / "segments" / "1-of-2.lance" / "_indices").iterdir()
    moved.rename(table / "_indices" / moved.name)
    made = commit_segments(Index.open(folder), recall=0.9, n_queries=20)
    assert made.recall >= 0.9


def test_a_commit_that_was_killed_while_it_measured_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(f"{committing.__name__}.measure_recall", killed)
        with pytest.raises(KeyboardInterrupt):
            commit_segments(Index.open(folder), n_queries=20)
    index = Index.open(folder)
    made = commit_segments(index, recall=0.9, n_queries=20)
    assert (index.approximate, made.recall >= 0.9) == (made, True)
    assert not (folder / "segments").exists()
    assert index.search(index.vectors().vectors[0], k=1, backend="approximate")[0].rank == 0
    assert verify_index(index).n_unlisted == 0


def test_settings_of_an_earlier_index_are_not_used_of_the_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it measures: what is in effect then finds what the new one can."""
    index = Index.open(folder)
    index.index_approximately(recall=0.01, n_queries=20, n_partitions=2)
    before = index.approximate
    assert before is not None
    assert before.n_probes < 8

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def commit() -> None:
        commit_segments(Index.open(folder), n_queries=20)

    def in_one_piece() -> None:
        Index.open(folder).index_approximately(n_queries=20, n_partitions=16)

    for module, make, n_partitions in (
        (committing, commit, 8),
        (partitioning, in_one_piece, 16),
    ):
        before.write(folder)
        with monkeypatch.context() as context:
            context.setattr(f"{module.__name__}.measure_recall", killed)
            with pytest.raises(KeyboardInterrupt):
                make()
        reader = Index.open(folder)
        left = reader.approximate
        assert left is not None
        assert (left.n_partitions, left.n_probes, left.refine) == (n_partitions, n_partitions, 100)
        assert (left.recall, left.tried) == (0.0, ())  # nothing was measured
        every = reader.vectors()
        for row in range(0, 1200, 100):
            exact = every.search(every.vectors[row], k=10)
            found = reader.search(every.vectors[row], k=10, backend="approximate")
            assert [hit.similarity for hit in found] == [hit.similarity for hit in exact]
    (folder / "approximate.json").write_text("{")
    index = Index.open(folder)
    made = index.index_approximately(recall=0.9, n_queries=20, n_partitions=8)
    assert Approximate.read(folder) == made


def without_a_part(folder: Path) -> str:
    (folder / "segments" / "2-of-2.json").unlink()
    return r"part 2 of 2 was not built \(1 of 2 were\).*--shard 2/2"


def changed_bytes(folder: Path) -> str:
    (file,) = (folder / "segments" / "1-of-2.lance").rglob("auxiliary.idx")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return r"auxiliary\.idx: expected digest .*--shard 1/2"


def other_partitions(folder: Path) -> str:
    shutil.copytree(folder / "segments", folder / "kept", symlinks=True)
    train_partitions(Index.open(folder), n_partitions=8)
    for name in ("1-of-2.json", "2-of-2.json"):
        shutil.copyfile(folder / "kept" / name, folder / "segments" / name)
    return r"part 1 of 2 was built with other partitions.*--shard 1/2"


def rows_that_moved(folder: Path) -> str:
    Index.open(folder).compact()
    return r"rows of part 1 of 2 have moved.*--train"


def another_number_of_parts(folder: Path) -> str:
    index_segment(Index.open(folder), 3, 3)
    return r"parts of 2 and of 3 were built"


def damaged_centroids(folder: Path) -> str:
    np.save(folder / "segments" / "centroids.npy", np.zeros((8, 16), np.float32))
    return r"segments: is damaged \(centroids\.npy.*--train"


def nothing_trained(folder: Path) -> str:
    shutil.rmtree(folder / "segments")
    return r"partitions of its segments were not trained.*--train"


def a_path_that_leads_out(folder: Path) -> str:
    path = folder / "segments" / "1-of-2.json"
    values = json.loads(path.read_text())
    values["files"] = {"../../../index.json": "0" * 64}
    path.write_text(json.dumps(values))
    return r"1-of-2\.json: is damaged \(file '\.\./.*--shard 1/2"


def another_uuid(folder: Path) -> str:
    path = folder / "segments" / "1-of-2.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "uuid": "../x"}))
    return r"1-of-2\.json: is damaged \(uuid"


FAULTS: tuple[Callable[[Path], str], ...] = (
    without_a_part, changed_bytes, other_partitions, rows_that_moved, another_number_of_parts,
    damaged_centroids, nothing_trained, a_path_that_leads_out, another_uuid,
)  # fmt: skip


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda fault: fault.__name__)
def test_what_is_not_whole_is_not_committed(folder: Path, spoil: Callable[[Path], str]) -> None:
    said = spoil(folder)
    index = Index.open(folder)
    with pytest.raises(IndexFolderError, match=said):
        commit_segments(index, n_queries=5)
    assert index.approximate is None
    assert not any(i.columns == ["vector"] for i in index._folder.table._lance.list_indices())


def test_wrong_parts_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index.open(folder)
    for part, parts in ((0, 2), (3, 2)):
        with pytest.raises(ValueError, match=rf"part={part}, parts=2"):
            index_segment(index, part, parts)
    with pytest.raises(IndexFolderError, match=r"lie in 4 fragments, expected 5 or more"):
        index_segment(index, 1, 5)
    monkeypatch.setitem(__import__("sys").modules, "lance", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'earful\[lance\]'"):
        approximate.build_segment(index._folder, 1, 2)


def test_parts_share_the_fragments_evenly(folder: Path) -> None:
    found = approximate.find_segments(Index.open(folder)._folder)
    assert [(one.part, one.parts, one.n_rows) for one in found] == [(1, 2, 600), (2, 2, 600)]
    assert sorted(number for one in found for number in one.fragments) == [0, 1, 2, 3]
