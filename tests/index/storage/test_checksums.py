import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.errors import IndexFolderError
from earful.index import Index
from earful.index.search import IndexBackend, SearchFilter
from earful.index.storage import CHECKSUMS_NAME, Checksums, Row
from earful.model import Fingerprint
from tests.support.snapshots import drop_snapshot

MakeRow = Callable[..., Row]


@pytest.fixture
def index(tmp_path: Path, fingerprint: Fingerprint, make_row: MakeRow) -> Index:
    """Three commits: a and b; c; then b is replaced."""
    made = Index.create(tmp_path / "sounds.index", fingerprint)
    made.add([make_row("a"), make_row("b", labels=("dog",))])
    made.add([make_row("c")])
    made.add([make_row("b", labels=("cat",))])
    return made


def files(index: Index, kind: str) -> list[Path]:
    return sorted((index.path / "table/exemplars.lance").glob(f"{kind}/*"))


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_file_is_digested_once_and_damage_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    written = Checksums(tmp_path)
    written.add(["a", "b"])
    assert (tmp_path / CHECKSUMS_NAME).read_text().splitlines()[0] == (
        f"{hashlib.sha256(b'one').hexdigest()}  a"
    )
    read = Checksums(tmp_path)
    assert (read.names(), "a" in read, "c" in read) == (["a", "b"], True, False)
    (tmp_path / "a").write_bytes(b"onE")
    (tmp_path / "b").unlink()
    assert (read.is_damaged("a"), read.is_damaged("b"), read.is_damaged("c")) == (
        True,
        False,
        False,
    )
    read.keep(lambda name: name == "b")
    assert Checksums(tmp_path).names() == ["b"]


def test_a_torn_line_lists_nothing_and_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    Checksums(tmp_path).add(["a"])
    listed = tmp_path / CHECKSUMS_NAME
    line = listed.read_bytes()
    for n_torn in range(1, len(line)):
        listed.write_bytes(line + line.replace(b"  a", b"  table/b")[:n_torn])
        torn = Checksums(tmp_path)
        assert torn.names() == ["a"]
    (tmp_path / "b").write_bytes(b"two")
    torn.add(["b"])
    assert Checksums(tmp_path).names() == ["a", "b"]


def test_reload_sees_what_others_listed(tmp_path: Path) -> None:
    mine = Checksums(tmp_path)
    (tmp_path / "a").write_bytes(b"one")
    Checksums(tmp_path).add(["a"])
    assert mine.names() == []
    mine.reload()
    assert mine.names() == ["a"]


def test_what_others_listed_is_seen_after_adding_to_it_unseen(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    mine = Checksums(tmp_path)
    mine.add(["a"])
    Checksums(tmp_path).add(["b"])
    mine.add(["c"])
    mine.reload()
    assert sorted(mine.names()) == ["a", "b", "c"]
    mine.keep(lambda name: name != "b")
    mine.add(["b"])
    mine.reload()
    assert mine.names() == Checksums(tmp_path).names() == ["a", "c", "b"]


def test_the_list_is_not_read_again_after_adding_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    Checksums(tmp_path).add(["a"])
    mine = Checksums(tmp_path)
    mine.add(["b"])
    with monkeypatch.context() as patch:
        patch.delattr(Path, "read_text")
        mine.reload()
    Checksums(tmp_path).add(["c"])
    mine.reload()
    assert mine.names() == ["a", "b", "c"]


def test_every_file_of_a_table_is_listed_in_the_form_of_sha256sum(index: Index) -> None:
    listed = Checksums(index.path).names()
    there = {
        str(path.relative_to(index.path))
        for path in (index.path / "table").rglob("*")
        if path.is_file() and path.suffix != ".json"
    }
    assert set(listed) == there
    subprocess.run(["sha256sum", "--check", "--quiet", CHECKSUMS_NAME], cwd=index.path, check=True)


@pytest.mark.parametrize("backend", ["exact", "half"])
@pytest.mark.parametrize("kind", ["data", "_deletions"])
def test_a_flipped_bit_in_any_file_of_the_table_never_answers(
    index: Index, make_row: MakeRow, kind: str, backend: IndexBackend
) -> None:
    for path in files(index, kind):
        content = path.read_bytes()
        flip(path, len(content) // 3)
        with pytest.raises(IndexFolderError, match=rf"{kind}/{path.name}|cannot be used"):
            Index.open(index.path).search(make_row("a").vector, backend=backend)
        path.write_bytes(content)
    found = Index.open(index.path).search(make_row("a").vector)
    assert sorted(hit.exemplar.id for hit in found) == ["a", "b", "c"]


def test_a_label_changed_on_the_disk_never_answers_without_a_list_either(
    index: Index, make_row: MakeRow
) -> None:
    (index.path / CHECKSUMS_NAME).unlink()
    assert len(Index.open(index.path).vectors()) == 3
    drop_snapshot(index.path)
    for path in files(index, "data"):
        path.write_bytes(path.read_bytes().replace(b"dog", b"dig"))
    backends: tuple[IndexBackend, ...] = ("exact", "half")
    for backend in backends:
        with pytest.raises(IndexFolderError, match="does not match its own digest"):
            Index.open(index.path).search(make_row("a").vector, backend=backend)


def test_files_that_are_not_listed_are_checked_by_their_rows(
    index: Index, make_row: MakeRow
) -> None:
    """As after a kill between a commit and the list."""
    newest = files(index, "data")
    Checksums(index.path).keep(lambda name: not name.endswith(newest[0].name))
    assert len(Index.open(index.path).vectors()) == 3
    index.compact()
    assert set(Checksums(index.path).names()) >= {
        str(path.relative_to(index.path)) for path in files(index, "_versions")[:1]
    }


def test_damage_is_not_compacted_into_sound_files(index: Index) -> None:
    flip(files(index, "data")[0], 3)
    with pytest.raises(IndexFolderError, match="is damaged"):
        Index.open(index.path).compact()


def test_a_damaged_table_is_no_fault_of_a_filter(index: Index, make_row: MakeRow) -> None:
    (index.path / CHECKSUMS_NAME).unlink()
    opened = Index.open(index.path)
    opened.vectors()
    files(index, "data")[0].unlink()
    with pytest.raises(IndexFolderError, match="Not found"):
        opened.search(make_row("a").vector, filter=SearchFilter(where="duration_s > 0"))
