"""What earlier code made works on: indexes, steps of recordings, scans and labels.

And back: what this code writes is read by earlier code, or refused with the way out.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import earful
from earful.errors import IndexFolderError
from earful.index import Index, verify_index
from earful.index.builder import build_index
from earful.index.corpus import single_recording
from earful.index.labels import LabelJournal, journal_path
from earful.index.maintenance import repair_index
from tests.index.formats.make_earlier import RELEASE, write_night
from tests.support.earlier_code import has_commit, run_code, write_code

KEPT = Path(__file__).parent
EMBEDDERS = {"first": "logmel", "release": "yamnet"}
# The last commit before an index could say what is not there.
BEFORE_FORMAT_2 = "c66bd50"


@pytest.fixture
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of what earlier code made, beside the recordings of which it did."""
    for name in ("sounds", "task"):
        shutil.copytree(KEPT / name, tmp_path / name)
    shutil.copytree(KEPT / getattr(request, "param", "release"), tmp_path, dirs_exist_ok=True)
    write_night(tmp_path / "night/S1_20260503_220000.wav")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("home", EMBEDDERS, indirect=True)
def test_an_earlier_index_is_read_and_searched_and_stays_as_it_is(home: Path) -> None:
    before = contents(home / "tones")
    index = Index.open(home / "tones")
    assert index.labels == {"low": 2, "high": 1}
    rows = index.vectors()
    assert [one.id for one in rows.exemplars] == ["high/2000.wav", "low/200.wav", "low/300.wav"]
    hits = index.search(rows.vectors[1], k=3)
    assert hits[0].exemplar.id == "low/200.wav"
    assert hits[0].similarity == pytest.approx(1)
    # To open and to search changes nothing but what can be made again.
    kept = {"index.json", "checksums.txt", "rejected.jsonl"}
    for name, content in contents(home / "tones").items():
        if name in kept or name.startswith("table/"):
            assert before[name] == content, name


@pytest.mark.parametrize("home", EMBEDDERS, indirect=True)
def test_vectors_of_an_earlier_index_are_those_of_today(
    home: Path, request: pytest.FixtureRequest
) -> None:
    name = EMBEDDERS[request.node.callspec.params["home"]]
    build_index(home / "sounds", home / "new.index", embedder=name)
    old, new = (Index.open(home / one).vectors() for one in ("tones", "new.index"))
    np.testing.assert_allclose(old.vectors, new.vectors, atol=1e-5)
    assert old.exemplars == new.exemplars


@pytest.mark.parametrize("home", EMBEDDERS, indirect=True)
def test_an_earlier_index_takes_new_rows_and_what_is_not_there(
    home: Path, request: pytest.FixtureRequest
) -> None:
    name, folder = EMBEDDERS[request.node.callspec.params["home"]], home / "tones"
    shutil.copy(home / "sounds/low/200.wav", home / "sounds/low/again.wav")
    report = build_index(home / "sounds", folder, embedder=name)
    assert (report.accepted, report.skipped, report.n) == (1, 3, 4)
    assert json.loads((folder / "index.json").read_text())["format"] == 1
    denies = single_recording(home / "sounds/low/300.wav", labels=(), not_labels=("high",))
    build_index(denies, folder, embedder=name)
    assert json.loads((folder / "index.json").read_text())["format"] == 2
    index = Index.open(folder)
    assert index.labels == {"low": 3, "high": 1}
    assert index.not_labels == {"high": 1}
    assert verify_index(index).problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("home", ["first"], indirect=True)
def test_a_repair_gives_an_index_without_digests_its_list(home: Path) -> None:
    folder = home / "tones"
    report = verify_index(Index.open(folder))
    assert report.n_unlisted > 0
    assert report.problems == ()
    repair_index(folder)
    report = verify_index(Index.open(folder))
    assert (report.n_checked, report.n_unlisted, report.problems) == (3, 0, ())


def test_class_scores_that_an_earlier_index_keeps_are_searched(home: Path) -> None:
    few = earful.FewShot.open(home / "tones")
    assert few.index is not None
    assert few.index.info.n_classes == 521
    assert len(few.search(text="a whistle", k=3)) == 3


def test_an_earlier_index_answers_an_earlier_task(home: Path) -> None:
    few = earful.FewShot.open(home / "tones")
    answer = few.classify(home / "task/query.wav", task=home / "task/pitch.toml")
    # What was prepared then is as good as what is prepared now.
    shutil.rmtree(home / "tones/prepared")
    shutil.rmtree(home / "tones/snapshot")
    anew = earful.FewShot.open(home / "tones")
    assert (
        anew.classify(home / "task/query.wav", task=home / "task/pitch.toml").to_dict()
        == answer.to_dict()
    )


def test_an_earlier_scan_is_read_and_goes_on_without_decoding(home: Path) -> None:
    events = earful.Events.open(home / "night.scan")
    assert [(round(e.start_s), round(e.end_s)) for e in events] == [(2, 3), (5, 6)]
    state = LabelJournal(journal_path(home / "night.scan")).state()
    assert [label.reviewer for label in state.counted] == ["ana"]
    steps = sorted((home / "night.scan/vectors").rglob("*.npy"))
    before = [path.stat().st_mtime_ns for path in steps]
    marks = home / "marks.csv"
    marks.write_text("recording,start_s,end_s,label\nS1_20260503_220000.wav,2,3,tone\n")
    again = earful.scan(home / "night", examples=marks, out=home / "night.scan")
    assert [e.event_id for e in again] == [e.event_id for e in events]
    assert sorted((home / "night.scan/vectors").rglob("*.npy")) == steps
    assert [path.stat().st_mtime_ns for path in steps] == before


@pytest.mark.slow
@pytest.mark.skipif(not has_commit(RELEASE), reason="a shallow clone has no earlier code")
def test_earlier_code_reads_what_this_code_writes(home: Path, tmp_path: Path) -> None:
    build_index(home / "sounds", home / "new.index", embedder="logmel")
    shutil.copy(home / "sounds/low/200.wav", home / "sounds/low/again.wav")
    build_index(home / "sounds", home / "tones", embedder="yamnet")
    code = write_code(RELEASE, tmp_path / "code")
    for index, n in (("new.index", 3), ("tones", 4)):
        done = run_code(code, "index", "verify", index, "--json", cwd=home)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["checked"], report["problems"]) == (n, [])
        done = run_code(code, "search", "sounds/low/200.wav", "--index", index, cwd=home)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not has_commit(BEFORE_FORMAT_2), reason="a shallow clone has no earlier code")
def test_earlier_code_refuses_a_format_that_it_would_read_wrongly(
    home: Path, tmp_path: Path
) -> None:
    shutil.copytree(KEPT / "2", home / "two.index")
    code = write_code(BEFORE_FORMAT_2, tmp_path / "code")
    done = run_code(code, "index", "info", "two.index", cwd=home)
    assert done.returncode == 1
    assert "has index format 2" in done.stderr
    assert "Upgrade earful, or build the index anew" in done.stderr
    # As this code refuses one of a later format.
    path = home / "two.index/index.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 99'))
    with pytest.raises(IndexFolderError, match=r"index format 99, .*Upgrade earful"):
        Index.open(home / "two.index")
