"""Merges that complete one before, and parts that nobody here may write."""

import errno
import json
import os
from pathlib import Path

import pytest

from earful.errors import IndexFolderError
from earful.index import Index, build_index, merge_indexes
from earful.index.storage import IndexFolder
from earful.system import FileLock
from tests.index.distributed.conftest import OPTIONS, assert_same, build_shards
from tests.support.levels import Levels


def test_the_missing_shard_alone_completes_an_index(
    table: Path, parts: list[Path], tmp_path: Path
) -> None:
    merged = tmp_path / "all.index"
    first = merge_indexes([parts[0], parts[2]], merged, partial=True)
    again = merge_indexes([parts[2]], merged, partial=True)
    assert (again.added, again.missing) == (0, (2,))
    rest = merge_indexes([parts[1]], merged)
    assert (rest.added, rest.n, rest.missing) == (13 - first.n, 13, ())
    build_index(table, tmp_path / "whole.index", embedder=Levels(), options=OPTIONS)
    assert_same(merged, tmp_path / "whole.index")
    # And again, each by itself.
    for part in parts:
        assert merge_indexes([part], merged).added == 0
    # What an earlier release wrote has no note.
    header = json.loads((merged / "index.json").read_text())
    assert header.pop("merged")["shards"] == [1, 2, 3]
    (merged / "index.json").write_text(json.dumps(header))
    with pytest.raises(IndexFolderError, match=r"has no note of them: .* what is there is skipped"):
        merge_indexes([parts[1]], merged)
    assert merge_indexes(parts, merged).same == 13
    assert merge_indexes([parts[1]], merged).same == rest.added


def test_a_note_of_shards_is_of_one_cut_and_of_merges_that_ended(
    table: Path, parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = tmp_path / "all.index"
    with monkeypatch.context() as killed:
        killed.setattr(IndexFolder, "set_rejections", None)
        with pytest.raises(TypeError):
            merge_indexes(parts, merged)
    with pytest.raises(IndexFolderError, match="2 shards of 3 not given: 2, 3;"):
        merge_indexes([parts[0]], merged)
    merge_indexes(parts, merged)
    halves = build_shards(table, tmp_path / "halves", 2)
    with pytest.raises(IndexFolderError, match="1 shard of 2 not given: 2"):
        merge_indexes([halves[0]], merged)


@pytest.mark.parametrize(
    "note",
    [
        {"n": 3, "corpus": "0" * 64, "shards": [3, 1]},
        {"n": 3, "corpus": "0" * 64, "shards": [0]},
        {"n": 3, "corpus": "0" * 64, "shards": [4]},
        {"n": 3, "corpus": "0" * 64, "shards": [True]},
        {"n": 3, "corpus": "0" * 64, "shards": "1"},
        {"n": 0, "corpus": "0" * 64, "shards": []},
        {"n": 3, "corpus": "x", "shards": [1]},
        {"n": 3, "shards": [1]},
    ],
)
def test_a_damaged_note_of_shards_is_damage(tmp_path: Path, note: dict[str, object]) -> None:
    folder = IndexFolder.create(tmp_path / "all.index", Levels().fingerprint).path
    header = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**header, "merged": note}))
    with pytest.raises(IndexFolderError, match=r"index\.json: is damaged"):
        Index.open(folder)


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES])
def test_parts_that_nobody_here_may_write_are_merged(
    table: Path,
    parts: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: int,
) -> None:
    def states() -> dict[Path, tuple[int, int]]:
        found = (path for part in parts for path in part.rglob("*"))
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in found}

    before, acquire = states(), FileLock.acquire

    def locked(lock: FileLock, **more: bool) -> bool:
        if lock.path.parent.parent == parts[0].parent:
            raise OSError(error, os.strerror(error))
        return acquire(lock, **more)

    monkeypatch.setattr(FileLock, "acquire", locked)
    assert merge_indexes(parts, tmp_path / "all.index").added == 13
    assert states() == before
    build_index(table, tmp_path / "whole.index", embedder=Levels(), options=OPTIONS)
    assert_same(tmp_path / "all.index", tmp_path / "whole.index")


def test_a_part_whose_lock_fails_otherwise_is_not_merged(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(lock: FileLock, **more: bool) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(FileLock, "acquire", fail)
    with pytest.raises(IndexFolderError, match="cannot be locked"):
        merge_indexes(parts, tmp_path / "all.index")
