"""An index in a store: made, read, changed by several machines, and nothing of anybody lost."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from earful.errors import IndexBusyError, IndexFolderError, StoreError
from earful.index import Index, verify_index
from earful.index.remote import Mirror, local_folder
from earful.index.storage import IndexFolder
from earful.model import Fingerprint
from earful.object_stores import ObjectStore, parse_location
from tests.index.conftest import MakeRow
from tests.index.remote.conftest import Machine

ADDRESS = "s3://sounds/birds.index"


def ids(index: Index) -> list[str]:
    return [row.id for row in index.vectors().exemplars]


def names(memory: Any) -> set[str]:
    import obstore

    return {one["path"] for found in obstore.list(memory) for one in found}


@pytest.fixture
def made(memory: Any, machine: Machine, fingerprint: Fingerprint, make_row: MakeRow) -> Index:
    index = Index.create(ADDRESS, fingerprint)
    index.add([make_row("a"), make_row("b")])
    return index


def test_what_is_added_here_is_found_elsewhere(
    made: Index, machine: Machine, make_row: MakeRow
) -> None:
    machine("there")
    other = Index.open(ADDRESS)
    assert ids(other) == ["a", "b"]
    assert other.search(make_row("a").vector, k=1)[0].exemplar.id == "a"
    other.add([make_row("c")])
    machine("here")
    made.refresh()
    assert ids(made) == ["a", "b", "c"]


def test_a_writer_begins_with_what_others_wrote(
    made: Index, machine: Machine, make_row: MakeRow
) -> None:
    machine("there")
    Index.open(ADDRESS).add([make_row("c")])
    machine("here")
    made.add([make_row("d")])
    machine("third")
    assert ids(Index.open(ADDRESS)) == ["a", "b", "c", "d"]


def test_only_what_an_index_needs_is_published(made: Index, memory: Any) -> None:
    made.vectors()  # makes a snapshot, a cache
    made.add([])
    found = names(memory)
    tops = {name.removeprefix("birds.index/").split("/")[0] for name in found}
    assert tops == {"manifest.json", "objects", ".lock"}
    bytes_of = ObjectStore(parse_location(ADDRESS)).read("manifest.json", max_bytes=1 << 20)
    assert bytes_of is not None
    assert b"snapshot" not in bytes_of[0]


def test_an_unchanged_copy_is_not_fetched_again(made: Index, machine: Machine) -> None:
    machine("there")
    reports: list[Any] = []
    local_folder(ADDRESS, on_fetch=reports.append)
    local_folder(ADDRESS, on_fetch=reports.append)
    assert reports[0].n_files > 3
    assert reports[0].size_bytes > 1000
    assert (reports[1].n_files, reports[1].n_unpublished) == (0, 0)


def test_only_what_changed_is_fetched(made: Index, machine: Machine, make_row: MakeRow) -> None:
    machine("there")
    reports: list[Any] = []
    local_folder(ADDRESS, on_fetch=reports.append)
    machine("here")
    made.add([make_row("c")])
    machine("there")
    local_folder(ADDRESS, on_fetch=reports.append)
    assert 0 < reports[1].n_files < reports[0].n_files


def test_a_second_writer_is_refused_by_name(
    made: Index, machine: Machine, make_row: MakeRow
) -> None:
    folder = IndexFolder.open(ADDRESS)
    with folder.writer():
        machine("there")
        with pytest.raises(IndexBusyError, match=r"s3://sounds/birds\.index: is being written by"):
            Index.open(ADDRESS).add([make_row("c")])
    Index.open(ADDRESS).add([make_row("c")])  # given back


def test_the_loser_of_a_race_overwrites_nothing(
    made: Index, machine: Machine, make_row: MakeRow, memory: Any
) -> None:
    import obstore

    folder = IndexFolder.open(ADDRESS)

    def race() -> None:
        with folder.writer():
            folder.add([make_row("mine")])
            # The lease is forced away, as where it ran out because the machine slept.
            obstore.delete(memory, "birds.index/.lock")
            machine("there")
            Index.open(ADDRESS).add([make_row("theirs")])
            machine("here")

    with pytest.raises(IndexBusyError, match="published meanwhile"):
        race()
    machine("third")
    assert ids(Index.open(ADDRESS)) == ["a", "b", "theirs"]
    machine("here")
    # What lost is kept apart, as an index of its own.
    reports: list[Any] = []
    kept = local_folder(ADDRESS, on_fetch=reports.append)
    assert ids(Index.open(kept)) == ["a", "b", "theirs"]
    assert reports[0].set_aside is not None
    assert ids(Index.open(reports[0].set_aside)) == ["a", "b", "mine"]


def test_commits_that_a_kill_left_unpublished_are_published_next(
    made: Index, machine: Machine, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = IndexFolder.open(ADDRESS)
    with monkeypatch.context() as killed:
        killed.setattr("earful.index.remote.folder.publish", lambda mirror, store: None)
        folder.add([make_row("c")])
    machine("there")
    assert ids(Index.open(ADDRESS)) == ["a", "b"]
    machine("here")
    reports: list[Any] = []
    local_folder(ADDRESS, on_fetch=reports.append)
    assert reports[0].n_unpublished > 0
    Index.open(ADDRESS).add([make_row("d")])
    machine("there")
    assert ids(Index.open(ADDRESS)) == ["a", "b", "c", "d"]


def test_a_kill_between_objects_and_manifest_is_resumed(
    made: Index, machine: Machine, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = IndexFolder.open(ADDRESS)

    class KilledError(BaseException):
        pass

    def kill(self: ObjectStore, name: str, data: bytes, *, etag: str) -> str | None:
        raise KilledError

    with monkeypatch.context() as killed:
        killed.setattr("earful.index.remote.lease.Lease.give_back", lambda self: None)

        def add_and_die() -> None:
            with folder.writer():
                folder.add([make_row("c")])
                killed.setattr(ObjectStore, "replace", kill)

        with pytest.raises(KilledError):
            add_and_die()
    machine("there")
    assert ids(Index.open(ADDRESS)) == ["a", "b"]
    machine("here")
    # The lease is still that of the killed writer, of this very copy.
    Index.open(ADDRESS).remove(["a"])
    machine("there")
    assert ids(Index.open(ADDRESS)) == ["b", "c"]


def test_there_is_no_such_index(memory: Any, machine: Machine) -> None:
    with pytest.raises(IndexFolderError, match=r"s3://sounds/birds\.index: there is no such index"):
        Index.open(ADDRESS)


def test_a_path_of_an_address_is_the_address(made: Index, machine: Machine) -> None:
    machine("there")
    assert ids(Index.open(Path(ADDRESS))) == ["a", "b"]


@pytest.mark.parametrize(
    ("address", "keyword"),
    [
        ("http://host/x.index", "expected s3://"),
        ("file:///tmp/x.index", "without file://"),
        ("s3://", "no name of a bucket"),
        ("s3://bucket/x/../y", "'..'"),
        ("s3://me:secret@bucket/x", "credentials"),
        ("s3://Upper/x", "no name of a bucket"),
    ],
)
def test_a_malformed_address_is_refused(address: str, keyword: str, machine: Machine) -> None:
    with pytest.raises(StoreError, match=keyword) as caught:
        Index.open(address)
    assert "secret" not in str(caught.value)


def test_an_emptied_cache_is_fetched_again_and_never_published(
    made: Index, machine: Machine, make_row: MakeRow
) -> None:
    import shutil

    folder = local_folder(ADDRESS)
    shutil.rmtree(folder)
    Index.open(ADDRESS).add([make_row("c")])
    machine("there")
    assert ids(Index.open(ADDRESS)) == ["a", "b", "c"]


def test_old_objects_go_a_day_later(
    made: Index, machine: Machine, memory: Any, monkeypatch: pytest.MonkeyPatch, make_row: MakeRow
) -> None:
    from datetime import UTC, datetime, timedelta

    from earful.index.remote import Manifest

    mirror = Mirror(parse_location(ADDRESS))
    before = len(names(memory))
    made.remove(["a"])
    assert len(names(memory)) > before  # nothing goes while somebody may be fetching
    store = ObjectStore(parse_location(ADDRESS))
    found = store.read("manifest.json", max_bytes=1 << 20)
    assert found is not None
    dropped = Manifest.from_bytes(found[0], ADDRESS).dropped
    assert dropped

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(UTC) + timedelta(days=2)

    monkeypatch.setattr("earful.index.remote.publishing.datetime", Later)
    made.add([make_row("c")])
    left = {name.rpartition("/")[2] for name in names(memory)}
    newest = store.read("manifest.json", max_bytes=1 << 20)
    assert newest is not None
    # A header of the same second may have come back.
    manifest = Manifest.from_bytes(newest[0], ADDRESS)
    assert not left & (set(dropped) - manifest.digests)
    # What is gone is forgotten, or the list of it would grow for ever.
    assert not dropped.keys() & manifest.dropped.keys()
    machine("there")
    assert ids(Index.open(ADDRESS)) == ["b", "c"]
    assert mirror.folder.is_dir()


def test_a_label_given_while_it_is_published_spoils_nothing(
    made: Index, machine: Machine, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = local_folder(ADDRESS) / "labels.jsonl"
    journal.write_text("first\n")
    head = ObjectStore.head
    waiting = ["second\n"]

    def label(self: ObjectStore, name: str) -> Any:
        if name.startswith("objects/"):
            with suppress(IndexError), journal.open("a") as file:  # as reviews add, in any thread
                file.write(waiting.pop())
        return head(self, name)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(ObjectStore, "head", label)
        made.add([make_row("c")])
    machine("there")
    assert ids(Index.open(ADDRESS)) == ["a", "b", "c"]
    assert (local_folder(ADDRESS) / "labels.jsonl").read_text() == "first\n"
    machine("here")
    made.add([make_row("d")])
    machine("there")
    assert (local_folder(ADDRESS) / "labels.jsonl").read_text() == "first\nsecond\n"


def test_what_a_kill_left_unpublished_is_published_with_its_lists(
    made: Index, machine: Machine, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = IndexFolder.open(ADDRESS)
    with monkeypatch.context() as killed:
        killed.setattr("earful.index.remote.folder.publish", lambda mirror, store: None)
        folder.add([make_row("c")])
    # A reader sees what changed, and must not take it for published.
    for _ in range(2):
        assert ids(Index.open(ADDRESS)) == ["a", "b", "c"]
    with IndexFolder.open(ADDRESS).writer():
        pass
    machine("there")
    found = Index.open(ADDRESS)
    assert (ids(found), found._folder.header.n) == (["a", "b", "c"], 3)
    for name in ("index.json", "checksums.txt"):
        assert (found.path / name).read_bytes() == (folder.path / name).read_bytes()
    assert verify_index(found).n_unlisted == 0
