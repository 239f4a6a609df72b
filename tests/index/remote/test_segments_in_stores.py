"""Parts of an approximate index, built by machines that share an object store and no folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from earful.errors import IndexFolderError
from earful.index import Index, commit_segments, index_segment, train_partitions, verify_index
from earful.index.remote import Mirror, forget_probes
from earful.object_stores import ObjectStore, forget_copies, parse_location
from tests.index.remote.conftest import Machine
from tests.support.large_indexes import DIM, clustered_rows, empty_index
from tests.support.object_servers import seaweed, weed_binary

# pylance takes long to import.
pytestmark = pytest.mark.slow
pytest.importorskip("lance")


@pytest.fixture(
    params=[
        "memory",
        pytest.param(
            "seaweed",
            marks=pytest.mark.skipif(not Path(weed_binary()).is_file(), reason="needs a server"),
        ),
    ]
)
def address(
    request: pytest.FixtureRequest,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[str]:
    """Address of an index of 1,200 rows in four fragments."""
    address = "s3://sounds/birds.index"
    if request.param == "memory":
        request.getfixturevalue("memory")
        yield filled(address, tmp_path)
        return
    (tmp_path / "seaweed").mkdir()
    with seaweed(tmp_path / "seaweed") as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        forget_probes()
        forget_copies()
        yield filled(address, tmp_path)
    forget_probes()
    forget_copies()


def filled(address: str, root: Path) -> str:
    index = empty_index(address, DIM)
    rows = clustered_rows(1200, root)
    for start in range(0, 1200, 300):
        index.add(rows[start : start + 300])
    return address


def stored(address: str) -> list[str]:
    return [one.name for one in ObjectStore(parse_location(address)).list("segments")]


def test_each_machine_builds_a_part_and_any_commits(address: str, machine: Machine) -> None:
    train_partitions(Index.open(address), n_partitions=8)
    for name, part in (("first", 1), ("second", 2)):
        machine(name)
        index_segment(Index.open(address), part, 2)
        index_segment(Index.open(address), part, 2)  # again: it takes the place of the one before
    assert sum(name.endswith(".idx") for name in stored(address)) == 4
    machine("third")
    # Codes are drawn anew each time: with less, the one query below may be one that misses a row.
    made = commit_segments(Index.open(address), recall=1.0, n_queries=50)
    assert made.recall == 1.0
    assert stored(address) == []
    machine("fourth")
    reader = Index.open(address)
    assert reader.approximate == made
    every = reader.vectors()
    exact = every.search(every.vectors[0], k=5)
    found = reader.search(every.vectors[0], k=5, backend="approximate")
    assert [hit.similarity for hit in found] == [hit.similarity for hit in exact]
    assert verify_index(reader).n_unlisted == 0
    # What a machine had built here is not taken for new.
    machine("first")
    with pytest.raises(IndexFolderError, match="partitions of its segments were not trained"):
        index_segment(Index.open(address), 1, 2)


def test_a_commit_that_was_killed_goes_on_elsewhere(
    memory: Any, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = filled("s3://sounds/birds.index", tmp_path)
    train_partitions(Index.open(address), n_partitions=8)
    index_segment(Index.open(address), 1, 1)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for target in (
        "earful.index.search.approximate.committing.measure_recall",
        "earful.index.remote.segments.StoredSegments.clear",
    ):
        machine("here")
        with monkeypatch.context() as context:
            context.setattr(target, killed)
            with pytest.raises(KeyboardInterrupt):
                commit_segments(Index.open(address), n_queries=20)
        machine("there")
        made = Index.open(address).approximate
        assert made is None or made.n_partitions == 8
    assert commit_segments(Index.open(address), recall=0.9, n_queries=20).recall >= 0.9
    assert stored(address) == []


def test_a_part_of_other_partitions_or_a_missing_one_is_not_committed(
    memory: Any, machine: Machine, tmp_path: Path
) -> None:
    address = filled("s3://sounds/birds.index", tmp_path)
    train_partitions(Index.open(address), n_partitions=8)
    index_segment(Index.open(address), 1, 2)
    machine("there")
    with pytest.raises(IndexFolderError, match=r"part 2 of 2 was not built \(1 of 2 were\)"):
        commit_segments(Index.open(address), n_queries=20)
    train_partitions(Index.open(address), n_partitions=8)  # begins again
    machine("here")
    with pytest.raises(IndexFolderError, match="no part of the approximate index was built"):
        commit_segments(Index.open(address), n_queries=20)


def test_names_that_no_part_has_are_left_in_the_store(
    memory: Any, machine: Machine, tmp_path: Path
) -> None:
    address = filled("s3://sounds/birds.index", tmp_path)
    train_partitions(Index.open(address), n_partitions=8)
    store = ObjectStore(parse_location(address))
    odd = ("1-of-1.lance/_versions/1.manifest", "index.json", "a/1-of-1.json")
    for name in odd:
        store.upload(f"segments/{name}", b"x")
    index_segment(Index.open(address), 1, 1)
    folder = Mirror(parse_location(address)).folder
    machine("there")
    commit_segments(Index.open(address), recall=0.9, n_queries=20)
    assert (folder / "index.json").read_bytes() != b"x"
    copy = Mirror(parse_location(address)).folder
    assert not [path for path in copy.rglob("*") if path.is_file() and path.read_bytes() == b"x"]
