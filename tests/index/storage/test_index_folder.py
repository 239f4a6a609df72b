"""Index folders: what is refused, several roots, writers, kills and full disks."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earful.errors import IndexBusyError, IndexFolderError
from earful.index import Index, verify_index
from earful.index.corpus import Rejection
from earful.index.search import SearchFilter
from earful.index.storage import FORMAT, HEADER_NAME, Header, Row, Table, read_header
from earful.index.storage.table_files import TableFiles
from earful.model import Fingerprint

MakeRow = Callable[..., Row]


class Killed(BaseException):
    """Stands for a SIGKILL: nothing in the library may catch it."""


@pytest.fixture
def index(tmp_path: Path, fingerprint: Fingerprint) -> Index:
    return Index.create(tmp_path / "sounds.index", fingerprint)


def ids(index: Index) -> list[str]:
    return [exemplar.id for exemplar in index.vectors().exemplars]


# --- the folder ----------------------------------------------------------------------------


def test_folders_that_are_no_index(tmp_path: Path, fingerprint: Fingerprint) -> None:
    with pytest.raises(IndexFolderError, match="there is no such folder; build an index with"):
        Index.open(tmp_path / "missing")
    (tmp_path / "clip.wav").write_bytes(b"RIFF")
    with pytest.raises(IndexFolderError, match=r"clip\.wav: is a file; expected the folder"):
        Index.open(tmp_path / "clip.wav")
    (tmp_path / "clip.wav").unlink()
    with pytest.raises(IndexFolderError, match=r"is not an index, it has no index\.json"):
        Index.open(tmp_path)
    (tmp_path / "a file").write_text("")
    with pytest.raises(IndexFolderError, match="cannot be made"):
        Index.create(tmp_path / "a file", fingerprint)
    with pytest.raises(IndexFolderError, match=r"holds other files \(a file\)"):
        Index.open_or_create(tmp_path, fingerprint)
    assert os.listdir(tmp_path) == ["a file"]


def test_somebody_elses_table_folder_is_left_alone(
    tmp_path: Path, fingerprint: Fingerprint
) -> None:
    theirs = tmp_path / "table" / "exemplars.lance" / "notes.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    with pytest.raises(IndexFolderError, match=r"holds other files \(table\)"):
        Index.open_or_create(tmp_path, fingerprint)
    assert theirs.read_text() == "mine"


def test_an_index_is_not_made_over_another(index: Index, fingerprint: Fingerprint) -> None:
    with pytest.raises(IndexFolderError, match="holds an index already"):
        Index.create(index.path, fingerprint)


def test_rows_whose_header_was_lost_are_kept(
    index: Index, make_row: MakeRow, fingerprint: Fingerprint
) -> None:
    index.add([make_row("a")])
    header = index.path / HEADER_NAME
    content = header.read_bytes()
    header.unlink()
    with pytest.raises(IndexFolderError, match=r"its table has rows, but its index\.json is gone"):
        Index.open_or_create(index.path, fingerprint)
    header.write_bytes(content)
    assert ids(Index.open(index.path)) == ["a"]


def test_a_newer_format_is_refused(index: Index) -> None:
    header = index.path / HEADER_NAME
    values = json.loads(header.read_text())
    header.write_text(json.dumps({**values, "format": FORMAT + 1, "earful": "9.9"}))
    with pytest.raises(
        IndexFolderError, match=rf"index format {FORMAT + 1}, written by earful 9\.9.*Upgrade"
    ):
        Index.open(index.path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "1"}', '{"format": 1}', "\x00"])
def test_a_damaged_header_is_refused(index: Index, content: str) -> None:
    (index.path / HEADER_NAME).write_text(content)
    with pytest.raises(IndexFolderError, match=r"index\.json"):
        Index.open(index.path)


def test_header_and_table_of_different_indexes(
    index: Index, tmp_path: Path, fingerprint: Fingerprint
) -> None:
    other = Index.create(tmp_path / "other", replace(fingerprint, weights_sha256="cd"))
    shutil.copy(other.path / HEADER_NAME, index.path / HEADER_NAME)
    with pytest.raises(IndexFolderError, match="do not belong together"):
        Index.open(index.path)


def test_a_missing_table(index: Index) -> None:
    shutil.rmtree(index.path / "table")
    with pytest.raises(IndexFolderError, match="its table is gone"):
        Index.open(index.path)


def test_index_and_corpus_moved_together(
    index: Index, make_row: MakeRow, tmp_path: Path, sounds: Path
) -> None:
    row = make_row("a")
    index.add([row])
    moved = tmp_path.resolve() / "moved"
    moved.mkdir()
    index.path.rename(moved / index.path.name)
    # The corpus stayed: it is found where it was.
    opened = Index.open(moved / index.path.name)
    assert opened.vectors().paths == (sounds / row.exemplar.audio,)
    shutil.copytree(sounds, moved / sounds.name)
    # Now there is a copy beside the index, and that is the one.
    opened = Index.open(moved / index.path.name)
    assert opened.vectors().paths == (moved / sounds.name / row.exemplar.audio,)
    # Rows from the new place are the same corpus, not a clash.
    opened.add([make_row("a", root=moved / sounds.name), make_row("b", root=moved / sounds.name)])
    assert opened.info.roots == (str(moved / sounds.name),)


def test_an_index_opened_through_a_link(index: Index, make_row: MakeRow, tmp_path: Path) -> None:
    deep = tmp_path / "some" / "where"
    deep.mkdir(parents=True)
    (deep / "link").symlink_to(index.path)
    Index.open(deep / "link").add([make_row("a")])
    assert verify_index(Index.open(index.path)).problems == ()
    assert read_header(index.path).roots[0].relative == "../sounds"


def test_linked_recordings_are_known_by_where_they_lie(
    index: Index, make_row: MakeRow, sounds: Path, tmp_path: Path
) -> None:
    row = make_row("a")
    path = sounds / row.exemplar.audio
    elsewhere = (tmp_path / "recording.wav").resolve()
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    index.add([row])
    assert index.vectors().paths == (elsewhere,)
    own = SearchFilter(exclude_paths=frozenset({str(elsewhere)}))
    assert index.search(row.vector, filter=own) == []


def test_several_roots(index: Index, make_row: MakeRow, tmp_path: Path) -> None:
    roots = [tmp_path.resolve() / name for name in ("one", "two")]
    for root in roots:
        root.mkdir()
    index.add([make_row("a", root=roots[0]), make_row("b", root=roots[1])])
    index.add([make_row("c", root=roots[0])])
    assert index.info.roots == tuple(map(str, roots))
    assert [path.parent.name for path in index.vectors().paths] == ["one", "two", "one"]


def test_rejections(index: Index) -> None:
    assert index.rejections() == ()
    # Separators of lines that are not newlines, and a name that is not UTF-8.
    odd = "a\u2028b\x85c\udcff.wav"
    wanted = (
        Rejection(audio=odd, where=odd, error="bad"),
        Rejection(audio="b.wav", where="t.csv:3", error="\n"),
    )
    index._folder.set_rejections(wanted)
    assert Index.open(index.path).rejections() == wanted
    assert index.info.n_rejected == 2
    index._folder.set_rejections(())
    assert index.rejections() == ()
    (index.path / "rejected.jsonl").write_text('{"audio": 1}\n')
    with pytest.raises(IndexFolderError, match=r"rejected\.jsonl: is damaged"):
        index.rejections()


# --- others, kills and full disks ----------------------------------------------------------


def test_one_writer_at_a_time_and_readers_all_along(index: Index, make_row: MakeRow) -> None:
    index.add([make_row("a")])
    other = Index.open(index.path)
    with index._folder.writer():
        index.add([make_row("b")])
        for change in (
            lambda: other.add([make_row("c")]),
            lambda: other.remove(["a"]),
            lambda: other._folder.set_rejections([]),
            other.compact,
        ):
            with pytest.raises(IndexBusyError, match=f"process {os.getpid()}"):
                change()
        assert ids(other) == ["a"]
        other.refresh()
        assert ids(other) == ["a", "b"]


def test_a_writer_that_was_opened_earlier_sees_what_others_wrote(
    index: Index, make_row: MakeRow, tmp_path: Path
) -> None:
    early = Index.open(index.path)
    assert early._folder.indexed_rows() == {}
    elsewhere = tmp_path.resolve() / "elsewhere"
    elsewhere.mkdir()
    index.add([make_row("a", root=elsewhere)])
    early.add([make_row("b")])
    assert [path.parent.name for path in early.vectors().paths] == ["elsewhere", "sounds"]
    assert read_header(index.path).n == 2
    index.refresh()
    assert verify_index(index).problems == ()
    with pytest.raises(IndexFolderError, match="belongs to a row from"):
        early.add([make_row("a")])


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, target: str, *, before: bool) -> Iterator[None]:
    """Raise ``Killed`` just before or just after the next call of a function."""
    kind, _, name = target.partition(".")
    owner = {"Header": Header, "Table": Table, "TableFiles": TableFiles}[kind]
    original = owner.__dict__[name]
    called: Any = original.__func__ if isinstance(original, classmethod) else original

    def deadly(*args: object, **kwargs: object) -> object:
        if not before:
            called(*args, **kwargs)
        raise Killed

    replacement: Any = classmethod(deadly) if isinstance(original, classmethod) else deadly
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, replacement)
        # On leaving, the error comes out of the block that was interrupted.
        with pytest.raises(Killed):
            yield


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("target", ["Table.create", "TableFiles.sync", "Header.write"])
def test_a_kill_while_an_index_is_made(
    tmp_path: Path,
    fingerprint: Fingerprint,
    make_row: MakeRow,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    before: bool,
) -> None:
    folder = tmp_path / "i"
    with killed_at(monkeypatch, target, before=before):
        Index.create(folder, fingerprint)
    (folder / ".index.json.tmp").write_text('{"form')
    index = Index.open_or_create(folder, fingerprint)
    index.add([make_row("a")])
    assert verify_index(Index.open(folder)).problems == ()


@pytest.mark.parametrize(
    ("target", "before", "committed"),
    [
        ("Table.upsert", True, False),
        ("TableFiles.sync", True, True),
        ("Table.upsert", False, True),
        ("Header.write", True, True),
        ("Header.write", False, True),
    ],
)
def test_a_kill_during_add_leaves_all_of_it_or_nothing(
    index: Index,
    make_row: MakeRow,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    before: bool,
    committed: bool,
) -> None:
    index.add([make_row("a", labels=("cat",))])
    new = [make_row("a", labels=("dog",)), make_row("b")]
    with killed_at(monkeypatch, target, before=before):
        index.add(new)
    opened = Index.open(index.path)
    assert ids(opened) == (["a", "b"] if committed else ["a"])
    assert opened.vectors().exemplars[0].labels == (("dog",) if committed else ("cat",))
    # The same rows again, as a build that resumes may send them, and the header is true.
    with opened._folder.writer():
        assert read_header(index.path).n == len(ids(opened))
    opened.add(new)
    assert ids(opened) == ["a", "b"]
    assert verify_index(opened).problems == ()
    # The object that was interrupted knows what is there, too.
    index.refresh()
    assert list(index._folder.indexed_rows()) == ["a", "b"]


@pytest.mark.parametrize("target", ["Table.delete", "Header.write"])
def test_a_kill_during_remove(
    index: Index, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    index.add([make_row(name) for name in "abc"])
    with killed_at(monkeypatch, target, before=False):
        index.remove(["a", "b"])
    opened = Index.open(index.path)
    assert ids(opened) == ["c"]
    with opened._folder.writer():
        assert read_header(index.path).n == 1


@pytest.mark.slow
def test_a_full_disk_keeps_what_was_committed(index: Index, make_row: MakeRow) -> None:
    index.add([make_row("a")])
    model = make_row("model")
    many = [
        replace(model, exemplar=replace(model.exemplar, id=f"{number:05}"))
        for number in range(5000)
    ]
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(IndexFolderError, match=r"cannot be written \(.*File too large"):
            index.add(many)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ids(Index.open(index.path)) == ids(index) == ["a"]
    index.add(many)
    assert index.info.n == 5001
    assert verify_index(index).n_checked == 5001
