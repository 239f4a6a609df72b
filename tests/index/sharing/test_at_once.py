"""Pushes and pulls beside others: of two at once, or after a kill, nothing is mixed or lost."""

from pathlib import Path

import pytest

from earful.errors import SharingError
from earful.index import Index, pull_index, push_index
from earful.system import FileLock, lock_beside
from tests.index.conftest import MakeRow


def test_two_pushes_to_a_folder_do_not_mix(shared: Index, tmp_path: Path) -> None:
    place = tmp_path / "place"
    push_index(shared, str(place))
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    shared.remove(["none"])
    begun = tmp_path / ".place.pushing"
    begun.mkdir()
    (begun / "half.lance").write_bytes(b"of the other push")
    with FileLock(lock_beside(begun)), pytest.raises(SharingError, match="another process is push"):
        push_index(shared, str(place))
    assert (begun / "half.lance").is_file()
    assert before == {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert push_index(shared, str(place)).plan.n == 4
    assert pull_index(str(place), tmp_path / "pulled.index").n == 4


def test_a_place_that_a_killed_push_set_aside_is_put_back(shared: Index, tmp_path: Path) -> None:
    place = tmp_path / "place"
    push_index(shared, str(place))
    (place / "LICENSE").write_text("CC0")
    place.rename(tmp_path / ".place.before")
    assert pull_index(str(place), tmp_path / "pulled.index").n == 5
    place.rename(tmp_path / ".place.before")
    shared.remove(["none"])
    assert not push_index(shared, str(place)).plan.is_new
    assert (place / "LICENSE").read_text() == "CC0"


def test_rows_written_while_an_index_is_pulled_are_kept(
    shared: Index, tmp_path: Path, make_row: MakeRow
) -> None:
    place, target = tmp_path / "place", tmp_path / "pulled.index"
    push_index(shared, str(place))
    pull_index(str(place), target)
    shared.remove(["none"])
    push_index(shared, str(place))

    def write(done: int, total: int) -> None:
        if done == total:
            Index.open(target).add([make_row("mine")])

    for force in (False, True):
        with pytest.raises(SharingError, match="was changed while it was pulled"):
            pull_index(str(place), target, fetching=write, force=force)
        assert len(Index.open(target)) == 6
        Index.open(target).remove(["mine"])
    assert pull_index(str(place), target).n == 4


def test_an_index_made_while_another_is_pulled_there_is_kept(shared: Index, tmp_path: Path) -> None:
    place, target = tmp_path / "place", tmp_path / "pulled.index"
    push_index(shared, str(place))

    def make(done: int, total: int) -> None:
        if done == total:
            Index.create(target, shared.fingerprint)

    with pytest.raises(SharingError, match="was changed while it was pulled"):
        pull_index(str(place), target, fetching=make)
    assert len(Index.open(target)) == 0
