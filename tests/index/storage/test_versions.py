import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.errors import IndexFolderError
from earful.index import Index, verify_index
from earful.index.storage import CHECKSUMS_NAME, Checksums, Row, manifest_names
from earful.index.storage.versions import manifest_name, newest_listed

MakeRow = Callable[..., Row]


def newest(index: Index) -> Path:
    return index.path / manifest_names(index.path)[0]


def test_the_newest_version_comes_first(index: Index) -> None:
    names = manifest_names(index.path)
    assert names == [manifest_name(version) for version in (3, 2, 1)]


def test_the_newest_that_was_ever_listed_is_told_by_its_name(index: Index) -> None:
    assert newest_listed(Checksums(index.path)) == 3
    newest(index).unlink()
    assert newest_listed(Checksums(index.path)) == 3
    listed = index.path / CHECKSUMS_NAME
    lines = [line for line in listed.read_text().splitlines(True) if "_versions" not in line]
    odd = ("_versions/x.manifest", "_versions/²²².manifest", "data/1.manifest")
    listed.write_text(
        "".join([*lines, *(f"{'0' * 64}  table/exemplars.lance/{name}\n" for name in odd)])
    )
    assert newest_listed(Checksums(index.path)) == 0


def test_any_flipped_byte_of_the_newest_version_goes_back_one(index: Index) -> None:
    path = newest(index)
    content = path.read_bytes()
    for place in range(0, len(content), 97):
        flipped = bytearray(content)
        flipped[place] ^= 0xFF
        path.write_bytes(flipped)
        with pytest.warns(RuntimeWarning, match="from version 3 to 2, so rows may be missing"):
            opened = Index.open(index.path)
        assert list(opened._folder.indexed_rows()) == ["a"]
        assert (index.path / "_quarantine" / path.name).read_bytes() == flipped
        assert not path.exists()
    path.write_bytes(content)
    assert list(Index.open(index.path)._folder.indexed_rows()) == ["a", "b"]


def test_a_version_that_is_gone_is_told_until_the_index_is_written_again(
    index: Index, make_row: MakeRow
) -> None:
    newest(index).unlink()
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="is gone; went back from version 3 to 2"):
            opened = Index.open(index.path)
    opened.add([make_row("b")])
    assert list(Index.open(index.path)._folder.indexed_rows()) == ["a", "b"]
    assert verify_index(opened).problems == ()


def test_a_version_that_is_right_is_never_moved(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as where LanceDB fails for another reason."""

    def fail(folder: Path) -> None:
        raise IndexFolderError("too many open files")

    monkeypatch.setattr("earful.index.storage.table._open_lance", fail)
    before = manifest_names(index.path)
    with pytest.raises(IndexFolderError, match="too many open files"):
        Index.open(index.path)
    assert manifest_names(index.path) == before


@pytest.mark.parametrize("listed", [True, False])
def test_where_no_version_can_be_opened_all_stay_where_they_were(
    index: Index, listed: bool
) -> None:
    if not listed:
        (index.path / CHECKSUMS_NAME).unlink()
    before = manifest_names(index.path)
    for name in before:
        (index.path / name).write_bytes(b"\x07" * 100)
    with pytest.raises(IndexFolderError, match="--repair"):
        Index.open(index.path)
    assert manifest_names(index.path) == before


def test_a_reader_of_the_version_before_hears_nothing(index: Index, make_row: MakeRow) -> None:
    reader = Index.open(index.path)
    index.add([make_row("c")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(reader.vectors()) == 2
        reader.refresh()
        assert len(reader.vectors()) == 3
