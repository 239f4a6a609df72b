"""Snapshots: the same rows as the table's, of no other state, and never needed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earful.index import Index
from earful.index.builder import build_index
from earful.index.corpus import Exemplar
from earful.index.search import VectorSet, stored_rows
from earful.index.storage import exemplar_of
from tests.support.facilities import needs
from tests.support.small_corpus import Samples, write_corpus
from tests.support.snapshots import (
    QUERY,
    drop_snapshot,
    made_index,
    names,
    row_of,
    told,
)


def test_rows_of_a_snapshot_are_those_of_the_table(
    index: Path, no_lance: Callable[[], None]
) -> None:
    read = told(Index.open(index))
    assert names(index) != []
    no_lance()
    assert told(Index.open(index)) == read


def test_rows_that_are_made_lazily_behave_as_a_tuple(kept: Path) -> None:
    drop_snapshot(kept)
    read = Index.open(kept).vectors()
    plain = tuple(read.exemplars), tuple(read.paths)
    mapped = Index.open(kept).vectors()
    assert not isinstance(mapped.exemplars, tuple)
    for found, wanted in zip((mapped.exemplars, mapped.paths), plain, strict=True):
        assert [found[row] for row in (0, -1, -12)] == [wanted[row] for row in (0, -1, -12)]
        for wrong in (12, -13):
            with pytest.raises(IndexError):
                found[wrong]
        for some in (
            slice(2, 9),
            slice(-3, None),
            slice(9, 2),
            slice(2, 9, 3),
            slice(None, None, -1),
        ):
            assert found[some] == wanted[some]
        assert found == wanted
        assert len(found) == len(wanted)
        assert list(found)[3] is found[3]
    rows = np.array([1, 5, 7])
    assert mapped.subset(rows).exemplars == read.subset(rows).exemplars
    assert (mapped.subset(rows).vectors == read.subset(rows).vectors).all()


@pytest.mark.slow
def test_a_question_makes_the_exemplars_of_its_hits_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made_index(tmp_path, 3000)
    wanted = Index.open(path).search(QUERY, k=5)
    made: list[object] = []

    def make(values: tuple[object, ...]) -> Exemplar:
        made.append(values)
        return exemplar_of(values)

    monkeypatch.setattr(stored_rows, "exemplar_of", make)
    assert Index.open(path).search(QUERY, k=5) == wanted
    assert len(made) == 5


# --- other states ------------------------------------------------------------------------


def test_a_snapshot_goes_with_the_next_change(kept: Path) -> None:
    before = names(kept)
    opened, other = Index.open(kept), Index.open(kept)
    n_rows = len(opened.vectors()), len(other.vectors())
    opened.add([row_of(kept.parent / "sounds", 12)])
    assert (len(opened.vectors()), len(Index.open(kept).vectors())) == (13, 13)
    assert names(kept) != before
    # Who read before goes on with what it read, until it is told.
    assert (12, len(other.vectors()), other.__len__()) == (*n_rows[:1], 12, 12)
    other.refresh()
    assert (len(other.vectors()), other.__len__()) == (13, 13)
    opened.remove(["tür/0003"])
    other.refresh()
    assert len(Index.open(kept).vectors()) == len(other.vectors()) == 12
    assert [file.count("-") for file in names(kept)] == [1, 1, 1, 0]


def test_a_change_by_another_process_is_seen(kept: Path, no_lance: Callable[[], None]) -> None:
    opened = Index.open(kept)
    code = "import sys; from earful import Index; Index.open(sys.argv[1]).remove(['tür/0000'])"
    subprocess.run([sys.executable, "-c", code, os.fspath(kept)], check=True)
    assert opened.__len__() == 12  # as it was opened
    opened.refresh()
    assert len(opened.vectors()) == opened.__len__() == 11
    assert "tür/0000" not in [e.id for e in Index.open(kept).vectors().exemplars]
    no_lance()
    assert len(Index.open(kept).vectors()) == 11


def test_a_table_without_the_version_that_was_kept_is_not_answered_from_it(kept: Path) -> None:
    shutil.copytree(kept / "snapshot", kept.parent / "old")
    Index.open(kept).remove(["tür/0001"])
    drop_snapshot(kept)
    shutil.copytree(kept.parent / "old", kept / "snapshot")
    assert len(Index.open(kept).vectors()) == 11


def test_a_build_keeps_one_and_so_does_the_next(
    tmp_path: Path, no_lance: Callable[[], None]
) -> None:
    corpus, path = write_corpus(tmp_path / "sounds", 10), tmp_path / "built.index"
    build_index(corpus, path, embedder=Samples())
    first = names(path)
    assert len(first) == 3  # there are no class scores
    write_corpus(corpus, 14, seed=1)
    build_index(corpus, path, embedder=Samples())
    assert names(path) != first
    Index.open(path).compact()
    opened = Index.open(path)
    assert len(opened.vectors()) == 14
    no_lance()
    assert len(Index.open(path).vectors()) == 14


# --- folders and processes ----------------------------------------------------------------


def test_a_folder_that_cannot_be_written_answers_without(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (index / "snapshot").write_text("a file where the folder should be")
    wanted = told(Index.open(index))
    (index / "snapshot").unlink()
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert told(Index.open(index)) == wanted
    assert names(index) == []


@pytest.mark.slow
def test_two_processes_may_keep_one_at_once(index: Path) -> None:
    code = """
import sys
from earful import Index
from tests.support.snapshots import drop_snapshot
for _ in range(15):
    opened = Index.open(sys.argv[1])
    rows = opened.vectors()
    print(len(rows), opened.class_scores.sum(), opened.search(rows.vectors[0], k=1))
    if sys.argv[2] == "drop":
        drop_snapshot(opened.path)
"""
    words = [sys.executable, "-c", code, os.fspath(index)]
    both = [
        subprocess.Popen([*words, what], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for what in ("drop", "keep")
    ]
    lines = [line for done in both for line in done.communicate(timeout=120)[0].splitlines()]
    assert [done.returncode for done in both] == [0, 0]
    assert len(lines) == 30
    assert len(set(lines)) == 1
    assert not [name for name in names(index) if name.endswith(".partial")]


@pytest.mark.slow
@needs("fork")
def test_a_forked_child_answers_from_a_snapshot(kept: Path) -> None:
    code = """
import json, os, signal, sys
from earful import Index
import numpy as np
opened = Index.open(sys.argv[1])
opened.add([])  # with LanceDB, whose threads a child lacks
opened.__len__(), opened._folder.table.columns
read, write = os.pipe()
child = os.fork()
if not child:
    signal.alarm(60)
    other = Index.open(sys.argv[1])
    hits = other.search(np.eye(8, dtype=np.float32)[0], k=2)
    os.write(write, json.dumps([hit.exemplar.id for hit in hits]).encode())
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(os.read(read, 60_000).decode())
assert "lancedb" in sys.modules
"""
    words = [sys.executable, "-W", "ignore", "-c", code, os.fspath(kept)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = [hit.exemplar.id for hit in Index.open(kept).search(QUERY, k=2)]
    assert json.loads(done.stdout) == wanted


def test_rows_written_by_hand_are_a_set_as_before(kept: Path) -> None:
    rows = Index.open(kept).vectors()
    again = VectorSet(
        exemplars=[replace(exemplar) for exemplar in reversed(rows.exemplars)],
        paths=list(reversed(rows.paths)),
        content=list(reversed(rows.content)),
        vectors=rows.vectors[::-1],
        durations=rows.durations[::-1],
    )
    assert again.exemplars == rows.exemplars
    assert again.search(QUERY, k=3) == rows.search(QUERY, k=3)
