"""Renaming and flushing, where the system is Windows or macOS: simulated, call by call."""

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from earful.files import write_atomically
from earful.system import durable
from earful.system.durable import flush, replace_file, replace_folder, sync_folder
from tests.support.facilities import needs


class InUseError(PermissionError):
    """What Windows says of a file that somebody has open."""

    winerror = 32


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits, in seconds, that nobody waits for."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


@pytest.mark.parametrize("n_busy", [0, 1, 6, 7])
def test_an_open_file_is_replaced_when_it_is_closed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: list[float], n_busy: int
) -> None:
    path = tmp_path / "run.json"
    path.write_text("old", encoding="utf-8")
    replace, n_tried = os.replace, 0

    def busy(source: Any, target: Any) -> None:
        nonlocal n_tried
        n_tried += 1
        if n_tried <= n_busy:
            raise InUseError(13, "The process cannot access the file", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", busy)
    write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert len(naps) == n_busy
    assert sum(naps) < 2


def test_a_file_that_stays_open_is_named_and_nothing_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: list[float]
) -> None:
    path = tmp_path / "run.json"
    path.write_text("old", encoding="utf-8")

    def busy(source: Any, target: Any) -> None:
        raise InUseError(13, "The process cannot access the file", str(target))

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(PermissionError, match=r"open in another program.*close it") as told:
        write_atomically(path, "new")
    assert told.value.filename == str(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["run.json"]


def test_what_may_not_be_written_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: list[float]
) -> None:
    def denied(source: Any, target: Any) -> None:
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr(os, "replace", denied)
    with pytest.raises(PermissionError, match="Permission denied"):
        replace_file(tmp_path / "a", tmp_path / "b")
    assert not naps


def test_a_folder_takes_the_place_of_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_windows(source: Any, target: Any) -> None:
        if os.path.exists(target):
            raise PermissionError(13, "Access is denied", str(target))
        os.rename(source, target)

    for system, replace in ((os.name, os.replace), ("nt", as_windows)):
        (tmp_path / "new").mkdir()
        (tmp_path / "new/file").touch()
        (tmp_path / "place").mkdir()
        monkeypatch.setattr(durable, "os", _os_like(name=system, replace=replace))
        replace_folder(tmp_path / "new", tmp_path / "place")
        assert os.listdir(tmp_path / "place") == ["file"]
        (tmp_path / "place/file").unlink()
        (tmp_path / "place").rmdir()


def test_folders_are_not_opened_where_they_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(durable, "os", _os_like(without=("O_DIRECTORY",), open=closed))
    sync_folder(tmp_path)


@needs("fcntl")
def test_macos_is_asked_to_empty_its_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    fcntl = types.ModuleType("fcntl")
    fcntl.F_FULLFSYNC = 51  # type: ignore[attr-defined]
    fcntl.fcntl = lambda descriptor, what: asked.append(what)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fcntl", fcntl)
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(os, "fsync", lambda _: asked.append("fsync"))
    with open(tmp_path / "file", "wb") as file:
        flush(file.fileno())

        def refused(descriptor: int, what: int) -> None:
            raise OSError(45, "Operation not supported")

        fcntl.fcntl = refused  # type: ignore[attr-defined]
        flush(file.fileno())
    assert asked == [51, "fsync"]


def _os_like(*, without: tuple[str, ...] = (), **changed: Any) -> types.SimpleNamespace:
    """Return what looks like ``os`` but for some names."""
    names = {name: getattr(os, name) for name in dir(os) if name not in without}
    return types.SimpleNamespace(**{**names, **changed})
