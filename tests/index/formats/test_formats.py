"""Indexes of every format that was released are opened, searched, verified and extended."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earful.errors import IndexBusyError, IndexFolderError
from earful.index import Index, verify_index
from earful.index.builder import build_index
from earful.index.cache import FeatureCacheFolder, ScoreCache
from earful.index.search import IndexBackend
from earful.index.storage import WriterLock, header

KEPT = Path(__file__).parent
RELEASED = sorted(path.name for path in KEPT.iterdir() if path.name.isdigit())


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of a kept index beside its recordings."""
    shutil.copytree(KEPT / "sounds", tmp_path / "sounds")
    name = getattr(request, "param", "1")
    return Path(shutil.copytree(KEPT / name, tmp_path / "kept.index"))


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_every_format_is_kept() -> None:
    wanted = [str(number) for number in range(1, header.FORMAT + 1)]
    assert wanted == RELEASED


@pytest.mark.parametrize("folder", RELEASED, indirect=True)
def test_an_index_of_every_format_is_read_and_verified(folder: Path) -> None:
    index = Index.open(folder)
    assert verify_index(index).problems == ()
    rows = index.vectors()
    assert [exemplar.id for exemplar in rows.exemplars] == [
        "high/2000.wav",
        "low/200.wav",
        "low/300.wav",
    ]
    backends: tuple[IndexBackend, ...] = ("exact", "half")
    for backend in backends:
        hits = index.search(rows.vectors[1], k=2, backend=backend)
        assert [hit.exemplar.labels for hit in hits] == [("low",), ("low",)]
        assert hits[0].similarity == pytest.approx(1)
    (rejection,) = index.rejections()
    assert rejection.audio == "low/broken.wav"
    # Caches may be made again, but never say anything else.
    scores = {"low/200.wav": [0.75, 0.25]}
    assert ScoreCache(folder).get("ef" * 32, n_scores=2) in ({}, scores)
    features = FeatureCacheFolder(folder).get(f"{'ab' * 32}/{'cd' * 32}")
    if features is not None:
        np.testing.assert_array_equal(features, np.arange(6, dtype=np.float32).reshape(2, 3))


@pytest.mark.parametrize("folder", RELEASED, indirect=True)
def test_an_index_of_every_format_goes_on(folder: Path) -> None:
    shutil.copy(folder.parent / "sounds/low/200.wav", folder.parent / "sounds/low/100.wav")
    report = build_index(folder.parent / "sounds", folder, embedder="logmel")
    assert (report.accepted, report.skipped, report.n) == (1, 3, 4)
    opened = Index.open(folder)
    assert opened.remove(["low/300.wav"]) == 1
    opened.compact()
    assert verify_index(opened).problems == ()
    assert json.loads((folder / "index.json").read_text())["format"] == header.FORMAT


# --- the way from one format to the next, shown by one that there is not yet ---------------


def step(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Give every index a file, and its header a field."""
    (folder / "new.json").write_text(json.dumps({"from": values["n"]}))
    return {**values, "new": True}


@pytest.fixture
def next_format(monkeypatch: pytest.MonkeyPatch) -> int:
    number = header.FORMAT + 1
    monkeypatch.setitem(header.STEPS, header.FORMAT, step)
    monkeypatch.setattr(header, "FORMAT", number)
    return number


def test_an_older_index_is_upgraded_once_and_says_so(folder: Path, next_format: int) -> None:
    with pytest.warns(RuntimeWarning, match=rf"from index format 1 to {next_format}"):
        index = Index.open(folder)
    assert index.info.format == next_format
    values = json.loads((folder / "index.json").read_text())
    assert (values["format"], values["new"], values["n"]) == (next_format, True, 3)
    assert (folder / "new.json").exists()
    assert len(Index.open(folder).vectors()) == 3


def test_a_step_that_fails_leaves_the_old_format(
    folder: Path, next_format: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
        step(folder, values)
        raise OSError(28, "No space left on device")

    before = contents(folder)
    with monkeypatch.context() as patch:
        patch.setitem(header.STEPS, 1, fail)
        with pytest.raises(IndexFolderError, match=r"which failed \(.*No space left"):
            Index.open(folder)
    after = contents(folder)
    assert {name: after[name] for name in before} == before
    with pytest.warns(RuntimeWarning, match="was upgraded from"):
        assert len(Index.open(folder).vectors()) == 3


KILLED = """
import os, sys
from pathlib import Path
from earful.index.storage import header

def step(folder, values):
    (folder / "new.json").write_text("half")
    if sys.argv[2] == "in":
        os._exit(9)
    return {**values, "new": True}

def write(folder, values):
    if sys.argv[2] == "before":
        os._exit(9)
    written(folder, values)
    os._exit(9)

written, header.write_values = header.write_values, write
header.FORMAT = 2
header.STEPS[1] = step
header.read_header(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("moment", ["in", "before", "after"])
def test_a_kill_leaves_the_old_format_or_the_new(
    folder: Path, moment: str, next_format: int
) -> None:
    found = subprocess.run([sys.executable, "-c", KILLED, folder, moment], check=False)
    assert found.returncode == 9
    number = json.loads((folder / "index.json").read_text())["format"]
    assert number == (next_format if moment == "after" else 1)
    if moment == "after":
        assert len(Index.open(folder).vectors()) == 3
    else:
        with pytest.warns(RuntimeWarning, match="was upgraded from"):
            assert len(Index.open(folder).vectors()) == 3


def test_a_folder_that_cannot_be_written_stays_as_it_is(
    folder: Path, next_format: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int, mode: int = 0) -> int:
        raise OSError(30, "Read-only file system")

    before = contents(folder)
    with monkeypatch.context() as patch:
        patch.setattr("earful.index.storage.lock.os.open", refuse)
        with pytest.raises(IndexFolderError, match=r"has index format 1 .*Read-only.*a copy that"):
            Index.open(folder)
    assert contents(folder) == before


def test_an_older_index_is_left_alone_while_another_process_writes(
    folder: Path, next_format: int
) -> None:
    with WriterLock(folder).held(), pytest.raises(IndexBusyError):
        Index.open(folder)


def test_a_format_without_a_way_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "FORMAT", header.FORMAT + 1)
    with pytest.raises(IndexFolderError, match="cannot upgrade"):
        Index.open(folder)


@pytest.mark.parametrize("number", ["0", "-1", '"1"', "true", "1.5", "1.0", "null", "[1]"])
def test_a_format_that_is_no_number_is_refused(folder: Path, number: str) -> None:
    path = folder / "index.json"
    path.write_text(path.read_text().replace('"format": 1', f'"format": {number}'))
    with pytest.raises(IndexFolderError, match=r"index\.json: is damaged .*number of 1 or more"):
        Index.open(folder)


@pytest.mark.slow
def test_the_script_that_keeps_a_format_still_works(tmp_path: Path) -> None:
    shutil.copy(KEPT / "make.py", tmp_path)
    subprocess.run([sys.executable, tmp_path / "make.py"], check=True, env={**os.environ})
    made, kept = (Index.open(root / str(header.FORMAT)) for root in (tmp_path, KEPT))
    assert made.vectors().exemplars == kept.vectors().exemplars
