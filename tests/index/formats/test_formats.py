"""Indexes of every format that was released are opened, searched, verified and extended."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earful.errors import IndexFolderError
from earful.index import Index, verify_index
from earful.index.builder import build_index
from earful.index.cache import FeatureCacheFolder, ScoreCache
from earful.index.corpus import single_recording
from earful.index.search import IndexBackend
from earful.index.storage import header

KEPT = Path(__file__).parent
RELEASED = sorted(path.name for path in KEPT.iterdir() if path.name.isdigit())


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of a kept index beside its recordings."""
    shutil.copytree(KEPT / "sounds", tmp_path / "sounds")
    name = getattr(request, "param", "1")
    return Path(shutil.copytree(KEPT / name, tmp_path / "kept.index"))


def test_every_format_is_kept() -> None:
    wanted = [str(number) for number in range(1, header.FORMAT + 1)]
    assert wanted == RELEASED


@pytest.mark.parametrize("folder", RELEASED, indirect=True)
def test_an_index_of_every_format_is_read_and_verified(folder: Path) -> None:
    index = Index.open(folder)
    assert verify_index(index).problems == ()
    rows = index.vectors()
    denying = ["not-low"] if folder.joinpath("index.json").read_text().count('"format": 2') else []
    assert [exemplar.id for exemplar in rows.exemplars] == [
        "high/2000.wav",
        "low/200.wav",
        "low/300.wav",
        *denying,
    ]
    assert [x.id for x in rows.exemplars if x.is_negative] == denying
    assert index.labels == {"low": 2, "high": 1}
    assert index.not_labels == ({"low": 1} if denying else {})
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
    number = json.loads((folder / "index.json").read_text())["format"]
    n = len(Index.open(folder))
    report = build_index(folder.parent / "sounds", folder, embedder="logmel")
    assert (report.accepted, report.skipped, report.n) == (1, 3, n + 1)
    opened = Index.open(folder)
    assert opened.remove(["low/300.wav"]) == 1
    opened.compact()
    assert verify_index(opened).problems == ()
    # Nothing was added that the format before could not hold.
    assert json.loads((folder / "index.json").read_text())["format"] == number


def test_format_1_becomes_2_with_the_first_row_that_says_what_is_not_there(folder: Path) -> None:
    index = Index.open(folder)
    before = list(index.vectors().exemplars)
    # A reader that opened it earlier goes on with what it has read, and sees it after a refresh.
    earlier = Index.open(folder)
    assert list(earlier.vectors().exemplars) == before
    build_index(
        single_recording(folder.parent / "sounds/low/300.wav", labels=(), not_labels=("high",)),
        folder,
        embedder="logmel",
    )
    assert json.loads((folder / "index.json").read_text())["format"] == 2
    assert list(earlier.vectors().exemplars) == before
    for found in (earlier, Index.open(folder), Index.open(folder)):
        found.refresh()
        denies, *others = sorted(found.vectors().exemplars, key=lambda x: bool(x.labels))
        assert others == before
        assert (denies.not_labels, denies.is_negative) == (("high",), True)
        assert verify_index(found).problems == ()
    assert found.info.to_dict()["not_labels"] == {"high": 1}
    assert found.labels == {"low": 2, "high": 1}


def test_a_kill_between_header_and_column_leaves_an_index_that_goes_on(folder: Path) -> None:
    path = folder / "index.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    assert Index.open(folder).not_labels == {}
    corpus = single_recording(folder.parent / "sounds/low/300.wav", labels=(), not_labels=("high",))
    build_index(corpus, folder, embedder="logmel")
    # And between the column and the header, as when a header is made again.
    path.write_text(path.read_text().replace('"format": 2', '"format": 1'))
    opened = Index.open(folder)
    assert opened.not_labels == {"high": 1}
    opened.remove(["low/200.wav"])
    assert json.loads(path.read_text())["format"] == 2


def test_another_format_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "FORMAT", header.FORMAT + 1)
    path = folder / "index.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 4'))
    with pytest.raises(IndexFolderError, match=r"has index format 4, .*formats up to 3.*anew"):
        Index.open(folder)


@pytest.mark.parametrize("number", ["0", "-1", '"1"', "true", "1.5", "1.0", "null", "[1]"])
def test_a_format_that_is_no_number_is_refused(folder: Path, number: str) -> None:
    path = folder / "index.json"
    path.write_text(path.read_text().replace('"format": 1', f'"format": {number}'))
    with pytest.raises(IndexFolderError, match=r"index\.json: is damaged .*number of 1 or more"):
        Index.open(folder)


@pytest.mark.slow
@pytest.mark.parametrize("folder", [str(header.FORMAT)], indirect=True)
def test_the_script_that_keeps_a_format_still_works(tmp_path: Path, folder: Path) -> None:
    shutil.copy(KEPT / "make.py", tmp_path)
    subprocess.run([sys.executable, tmp_path / "make.py"], check=True, env={**os.environ})
    made, kept = (Index.open(path) for path in (tmp_path / str(header.FORMAT), folder))
    assert made.vectors().exemplars == kept.vectors().exemplars
