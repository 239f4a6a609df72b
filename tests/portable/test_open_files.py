"""Files that cannot be removed or replaced while somebody has them mapped, as on Windows."""

import os
from pathlib import Path
from typing import Any

import pytest

from earful.index import Index
from earful.index.builder import build_index
from tests.support.small_corpus import Samples, write_corpus
from tests.support.tones import write_tone


class MappedError(PermissionError):
    """What Windows says of a file that is mapped."""

    winerror = 1224


def refuse(names: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody remove or replace files of these names."""
    unlink, replace = os.unlink, os.replace

    def guarded_unlink(path: Any, *rest: Any, **named: Any) -> None:
        if Path(path).name in names:
            raise MappedError(13, "The file has a user-mapped section open", str(path))
        unlink(path, *rest, **named)

    def guarded_replace(source: Any, target: Any, **named: Any) -> None:
        if Path(target).name in names:
            raise MappedError(13, "The file has a user-mapped section open", str(target))
        replace(source, target, **named)

    monkeypatch.setattr(os, "unlink", guarded_unlink)
    monkeypatch.setattr(os, "replace", guarded_replace)
    monkeypatch.setattr("earful.system.durable._TRIES_S", ())


def test_an_old_snapshot_that_is_mapped_stays_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus(tmp_path / "sounds", 4)
    path = tmp_path / "sounds.index"
    build_index(corpus, path, embedder=Samples())
    opened = Index.open(path)
    before = opened.vectors()  # which has its files mapped
    old = {file.name for file in (path / "snapshot").glob("*.arrow")}
    refuse(old, monkeypatch)
    opened.remove([before.exemplars[0].id])
    assert len(Index.open(path).vectors().exemplars) == 3
    there = {file.name for file in (path / "snapshot").glob("*.arrow")}
    assert old < there
    monkeypatch.undo()
    opened = Index.open(path)
    opened.remove([before.exemplars[1].id])
    assert len(Index.open(path).vectors().exemplars) == 2
    # What nobody has mapped any more goes the next time.
    assert not old & {file.name for file in (path / "snapshot").glob("*.arrow")}


def test_names_that_differ_in_case_alone_are_two_exemplars(tmp_path: Path) -> None:
    for take, name in enumerate(["a.wav", "A.wav"]):
        write_tone(tmp_path / "sounds/hum" / name, 300, take)
    if len(os.listdir(tmp_path / "sounds/hum")) < 2:
        pytest.skip("this file system takes A.wav and a.wav for one")
    report = build_index(tmp_path / "sounds", tmp_path / "index", embedder="logmel")
    assert report.accepted == 2
    ids = {one.id for one in Index.open(tmp_path / "index").vectors().exemplars}
    assert len(ids) == 2
