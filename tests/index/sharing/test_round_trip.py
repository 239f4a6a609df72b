"""Push and pull through the hub's own client: the same rows arrive, and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from earful.errors import SharingError
from earful.index import Index, index_card, merge_indexes, pull_index, push_index, verify_index
from earful.index.cache import CACHE_NAMES
from earful.model import Fingerprint
from tests.index.conftest import MakeRow
from tests.support.stub_hub import StubHub


def digests(index: Index) -> dict[str, str]:
    table = index.read_table(["id", "row_sha256"])
    return dict(zip(*(table.column(n).to_pylist() for n in ("id", "row_sha256")), strict=True))


def contents(folder: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_what_is_pulled_has_the_rows_that_were_pushed(
    hub: StubHub, shared: Index, tmp_path: Path
) -> None:
    (shared.path / "labels.jsonl").write_text('{"reviewer": "ana"}\n')
    pushed = push_index(shared, "ada/sounds")
    assert "what reviewers said" in "".join(pushed.plan.left_out)
    place = hub.sets["ada/sounds"]
    assert (pushed.sent, pushed.revision) == (True, place.head)
    assert len(place.commits) == 2  # the hub's own first one, and ours
    assert not [name for name in place.files() if name.startswith(("audio", "snapshot", ".lock"))]
    report = pull_index("ada/sounds", tmp_path / "pulled.index")
    assert (report.n, report.revision, report.is_new) == (5, pushed.revision, True)
    found = Index.open(report.path)
    assert digests(found) == digests(shared)
    query = shared.vectors().vectors[0]
    for mine, theirs in zip(shared.search(query), found.search(query), strict=True):
        assert (mine.exemplar, mine.similarity) == (theirs.exemplar, theirs.similarity)
    verified = verify_index(found)
    assert (verified.problems, verified.n_whole, verified.n_without_audio) == ((), 5, 5)
    assert verified.unheard == ("by", "nameless", "nc", "none", "zero")
    assert {path.name for path in report.path.iterdir()} <= {
        "index.json", "table", "checksums.txt", "README.md", "pulled.json", "snapshot"
    }  # fmt: skip
    # Nothing of this machine, and no secret, on either side.
    secrets = (str(tmp_path).encode(), str(Path.home()).encode() + b"/", hub.token.encode())
    for content in (*place.files().values(), *hub.large.values(), *contents(report.path)):
        assert not any(secret in content for secret in secrets)
    assert not any(hub.token.encode() in body for body in hub.bodies)


def test_recordings_travel_where_their_licence_allows_it(
    hub: StubHub, shared: Index, tmp_path: Path
) -> None:
    pushed = push_index(shared, "ada/sounds", with_audio=True)
    assert dict(pushed.plan.refused) == {
        "CC-BY-4.0 without an author": 1, "CC-BY-NC-3.0": 1, "no licence": 1
    }  # fmt: skip
    files = hub.sets["ada/sounds"].files()
    names = {
        str(h.exemplar.audio): h.exemplar.id for h in shared.search(shared.vectors().vectors[0])
    }
    assert {names[n.removeprefix("audio/0/")] for n in files if n.startswith("audio/")} == {
        "zero", "by"
    }  # fmt: skip
    assert b"CC-BY-4.0,Ada,https://example.org/by" in files["ATTRIBUTION.csv"]
    assert "`Ada (CC-BY-4.0)`: 1 recording" in files["README.md"].decode()
    report = pull_index("ada/sounds", tmp_path / "pulled.index")
    found = Index.open(report.path)
    assert (report.n_recordings, verify_index(found).n_without_audio) == (2, 3)
    assert verify_index(found).unheard == ("nameless", "nc", "none")
    assert digests(found) == digests(shared)
    (recording, *_) = (report.path / "audio").rglob("*.wav")
    recording.write_bytes(b"another")
    (problem,) = verify_index(found).problems
    assert "changed" in problem.what


def test_recordings_whose_names_differ_in_case_stay_at_home(
    hub: StubHub, fingerprint: Fingerprint, make_row: MakeRow, tmp_path: Path
) -> None:
    made = Index.create(tmp_path / "sounds.index", fingerprint)
    for name in ("Owl", "owl", "rain"):
        row = make_row(name)
        audio = row.exemplar.audio.with_name(f"{name}.wav")
        (row.root / row.exemplar.audio).rename(row.root / audio)
        made.add([replace(row, exemplar=replace(row.exemplar, licence="CC0", audio=audio))])
    pushed = push_index(made, "ada/sounds", with_audio=True)
    assert pushed.plan.refused == {"another recording's name differs only in case": 2}
    report = pull_index("ada/sounds", tmp_path / "pulled.index")
    assert (report.n_recordings, digests(Index.open(report.path))) == (1, digests(made))


def test_a_licence_that_is_allowed_by_name_goes_along(
    hub: StubHub, shared: Index, tmp_path: Path
) -> None:
    plan = push_index(
        shared, "ada/sounds", with_audio=True, allow_licences=["cc by-nc"], dry_run=True
    ).plan
    assert (plan.n_recordings, "CC-BY-NC-3.0" in plan.refused) == (3, False)
    assert hub.sets == {}
    with pytest.raises(ValueError, match="with_audio"):
        push_index(shared, "ada/sounds", allow_licences=["CC-BY-NC"])


def test_a_recording_that_has_changed_is_not_pushed(
    hub: StubHub, shared: Index, sounds: Path
) -> None:
    for path in sounds.iterdir():
        path.write_bytes(b"another")
    with pytest.raises(SharingError, match="has changed since it was embedded"):
        push_index(shared, "ada/sounds", with_audio=True)
    assert hub.sets == {}


def test_nothing_is_sent_twice_and_another_card_alone(hub: StubHub, shared: Index) -> None:
    first = push_index(shared, "ada/sounds")
    second = push_index(shared, "ada/sounds")
    assert (second.sent, second.revision) == (False, first.revision)
    before = set(hub.sets["ada/sounds"].files())
    own = shared.path.with_name("card.md")
    own.write_text("---\nlicense: cc-by-4.0\n---\n# Mine\n", encoding="utf-8")
    third = push_index(shared, "ada/sounds", card=own)
    assert (third.sent, third.plan.n_files) == (True, 1)
    assert set(hub.sets["ada/sounds"].files()) == before
    assert hub.sets["ada/sounds"].files()["README.md"] == own.read_bytes()
    own.write_text("# no front matter\n", encoding="utf-8")
    with pytest.raises(SharingError, match="names no license"):
        push_index(shared, "ada/sounds", card=own)


def test_an_update_says_what_changed_and_loses_nothing(
    hub: StubHub, shared: Index, make_row: MakeRow, tmp_path: Path
) -> None:
    push_index(shared, "ada/sounds")
    target = tmp_path / "pulled.index"
    first = pull_index("ada/sounds", target)
    shared.add([make_row("new"), make_row("zero", labels=("owl",))])
    shared.remove(["none"])
    push_index(shared, "ada/sounds", message="More")
    names = [name for name in hub.sets["ada/sounds"].files() if "/data/" in name]
    assert len(names) == 1  # what was there before is not there any more
    report = pull_index("ada/sounds", target)
    assert (report.added, report.removed, report.changed, report.is_new) == (1, 1, 1, False)
    assert digests(Index.open(target)) == digests(shared)
    # Nothing of what it has already is fetched.
    hub.asked.clear()
    assert pull_index("ada/sounds", target).added == 0
    assert not any("resolve" in line for line in hub.asked)
    # An earlier revision is still to be had, by its hash.
    old = pull_index(f"ada/sounds@{first.revision}", tmp_path / "old.index")
    assert (old.n, old.revision) == (5, first.revision)
    assert json.loads((old.path / "pulled.json").read_text())["asked"] == first.revision
    # What was changed here is not replaced.
    Index.open(target).remove(["new"])
    with pytest.raises(SharingError, match="was changed since it was pulled"):
        pull_index("ada/sounds", target)
    assert pull_index("ada/sounds", target, force=True).added == 1
    with pytest.raises(SharingError, match="was not pulled"):
        pull_index("ada/sounds", shared.path)


@pytest.mark.parametrize(
    "name", ["answers", *(pytest.param(name, marks=pytest.mark.slow) for name in CACHE_NAMES)]
)
def test_caches_of_an_earlier_pull_are_not_in_the_way(
    shared: Index, tmp_path: Path, name: str
) -> None:
    place, target = tmp_path / "place", tmp_path / "pulled.index"
    push_index(shared, str(place))
    pull_index(str(place), target)
    (target / name).mkdir(exist_ok=True)
    shared.remove(["none"])
    push_index(shared, str(place))
    assert pull_index(str(place), target).n == 4
    assert not (target / name).exists()


def test_two_pushes_cannot_mix(hub: StubHub, shared: Index) -> None:
    push_index(shared, "ada/sounds")
    shared.remove(["nc"])
    place = hub.sets["ada/sounds"]
    hub.before_commit = lambda: place.change({"README.md": b"theirs"})
    with pytest.raises(SharingError, match="changed by somebody else"):
        push_index(shared, "ada/sounds")
    assert place.files()["README.md"] == b"theirs"
    assert len(place.commits) == 3


@pytest.mark.parametrize("part", ["/lfs/", "/objects/batch", "/preupload/", "/commit/"])
def test_a_push_that_dies_midway_leaves_no_commit(hub: StubHub, shared: Index, part: str) -> None:
    hub.faults[part] = 400
    with pytest.raises(SharingError, match="cannot be pushed") as caught:
        push_index(shared, "ada/sounds")
    assert hub.token not in str(caught.value)
    assert list(hub.sets["ada/sounds"].files()) == [".gitattributes"]
    hub.faults.clear()
    assert push_index(shared, "ada/sounds").sent


def test_a_pull_that_dies_midway_goes_on(hub: StubHub, shared: Index, tmp_path: Path) -> None:
    push_index(shared, "ada/sounds")
    target = tmp_path / "pulled.index"
    hub.faults["resolve"] = 400
    with pytest.raises(SharingError, match="run the same command again"):
        pull_index("ada/sounds", target)
    assert not target.exists()
    hub.faults = {"/data/": 400}
    with pytest.raises(SharingError, match="run the same command again"):
        pull_index("ada/sounds", target)
    hub.faults.clear()
    hub.asked.clear()
    assert pull_index("ada/sounds", target).n == 5
    got = [line for line in hub.asked if line.startswith("GET") and "resolve" in line]
    assert any("/data/" in line for line in got)
    assert not any("index.json" in line for line in got)  # it was there already
    assert not list(tmp_path.glob(".pulled*"))


def test_a_private_push_is_private(hub: StubHub, shared: Index) -> None:
    assert push_index(shared, "ada/sounds", private=True).plan.is_private
    assert hub.sets["ada/sounds"].private
    push_index(shared, "ada/others")
    with pytest.raises(SharingError, match="is public already"):
        push_index(shared, "ada/others", private=True)


def test_what_holds_something_else_is_left_alone(hub: StubHub, shared: Index) -> None:
    push_index(shared, "ada/sounds")
    place = hub.sets["ada/sounds"]
    place.commit({"train.parquet": b"rows"})
    with pytest.raises(SharingError, match=r"holds other files than an index \(train.parquet\)"):
        push_index(shared, "ada/sounds")
    with pytest.raises(SharingError, match="is no index that `earful index push` made"):
        pull_index("ada/sounds", shared.path.with_name("x.index"))


def test_without_a_right_to_write_nothing_is_sent(
    hub: StubHub, shared: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(SharingError, match="HF_TOKEN") as caught:
        push_index(shared, "ada/sounds")
    assert "hf_wrong" not in str(caught.value)
    assert hub.sets == {}


def test_an_unknown_place_or_revision_is_said(hub: StubHub, shared: Index, tmp_path: Path) -> None:
    with pytest.raises(SharingError, match="no such place, or it is private"):
        pull_index("ada/nothing", tmp_path / "x.index")
    push_index(shared, "ada/sounds")
    with pytest.raises(SharingError, match="no such revision"):
        pull_index("ada/sounds@v9", tmp_path / "x.index")
    for odd in ("ada", "a/b/c", "s3://ada/sounds", "ada/../etc", "ada/sounds@../x", ""):
        with pytest.raises(SharingError, match="expected"):
            pull_index(odd, tmp_path / "x.index")


def test_offline_it_says_so(hub: StubHub, shared: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SharingError, match="HF_HUB_OFFLINE is set"):
        push_index(shared, "ada/sounds")


def test_a_path_of_this_machine_in_a_text_is_refused(
    hub: StubHub, fingerprint: Fingerprint, make_row: MakeRow, tmp_path: Path, sounds: Path
) -> None:
    index = Index.create(tmp_path / "s.index", fingerprint)
    row = make_row("a")
    exemplar = replace(row.exemplar, meta={"file": f"{sounds}/a.wav"})
    index.add([replace(row, exemplar=exemplar)])
    with pytest.raises(SharingError, match="a further column of row 'a' holds"):
        push_index(index, "ada/sounds")
    assert hub.sets == {}


def test_an_embedder_in_a_folder_travels_under_its_last_name(
    hub: StubHub, fingerprint: Fingerprint, make_row: MakeRow, tmp_path: Path
) -> None:
    made = replace(fingerprint, name="/home/ada/models/clap")
    index = Index.create(tmp_path / "s.index", made)
    index.add([make_row("a")])
    assert "/home/ada" not in index_card(index).text
    push_index(index, "ada/sounds")
    assert not any(b"/home/ada" in content for content in hub.sets["ada/sounds"].files().values())
    report = pull_index("ada/sounds", tmp_path / "p.index", embedder="clap")
    assert report.embedder == "clap"


@pytest.mark.slow
def test_pulled_indexes_are_merged_with_others(
    shared: Index, fingerprint: Fingerprint, make_row: MakeRow, tmp_path: Path
) -> None:
    push_index(shared, str(tmp_path / "place"), with_audio=True)
    pulled = pull_index(str(tmp_path / "place"), tmp_path / "pulled.index").path
    own = Index.create(tmp_path / "own.index", fingerprint)
    own.add([make_row("own")])
    assert merge_indexes([pulled, own.path], tmp_path / "all.index").n == 6
    merged = Index.open(tmp_path / "all.index")
    assert digests(merged) == {**digests(shared), **digests(own)}
    verified = verify_index(merged)
    assert (verified.problems, verified.n_without_audio) == ((), 3)
