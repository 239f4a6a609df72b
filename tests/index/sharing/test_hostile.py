"""Pulls from strangers: what is not as it was pushed, or leads out, leaves no index."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from earful.errors import SharingError
from earful.index import Index, PullLimits, pull_index, push_index
from earful.index.sharing.layout import SharedFile, path_fault, require_files
from earful.index.sharing.records import rows_digest
from earful.index.sharing.table_manifest import require_own_files
from earful.index.storage import Checksums, Row
from earful.model import Fingerprint
from tests.index.conftest import MakeRow
from tests.support.stub_hub import StubHub

Hurt = Callable[[Path], None]


@pytest.fixture
def place(shared: Index, tmp_path: Path) -> Path:
    """A folder in a hub's layout, with an index that was pushed."""
    push_index(shared, str(tmp_path / "place"), with_audio=True)
    return tmp_path / "place"


def refused(place: Path, match: str, **options: object) -> None:
    target = place.with_name("pulled.index")
    with pytest.raises(SharingError, match=match):
        pull_index(str(place), target, **options)  # type: ignore[arg-type]
    assert not target.exists()
    assert not list(place.parent.glob(".pulled*"))


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_a_changed_byte_is_refused_wherever_it_is(place: Path) -> None:
    (recording, *_) = (place / "audio").rglob("*.wav")
    for path in (*place.rglob("data/*.lance"), *place.rglob("*.manifest"), recording):
        before = path.read_bytes()
        flip(path)
        refused(place, "other bytes than were written|has changed since")
        path.write_bytes(before)
    assert pull_index(str(place), place.with_name("pulled.index")).n == 5


def test_roots_lie_inside(place: Path) -> None:
    header = place / "index.json"
    for root in (
        {"absolute": "/etc", "relative": "audio/0"},
        {"absolute": "", "relative": "../../etc"},
        {"absolute": "", "relative": "audio/../.."},
        {"absolute": "", "relative": "/etc"},
    ):
        change_json(header, roots=[root, root])
        refused(place, "outside of the index")


def test_newer_formats_are_refused(place: Path) -> None:
    before = (place / "index.json").read_text()
    change_json(place / "index.json", format=99)
    refused(place, "has index format 99.*Upgrade earful")
    (place / "index.json").write_text(before)
    change_json(place / "shared.json", format=2)
    refused(place, "pushed in format 2 .*Upgrade earful")


def test_counts_and_digests_are_compared(place: Path) -> None:
    before = (place / "shared.json").read_text()
    for changes in ({"n": 6}, {"rows_sha256": "0" * 64}, {"recordings_sha256": "0" * 64}):
        change_json(place / "shared.json", **changes)
        refused(place, "nothing was pulled")
    (place / "shared.json").write_text("[" * 100_000)
    refused(place, "cannot be read as JSON")
    (place / "shared.json").write_text(before)
    (recording, *_) = (place / "audio").rglob("*.wav")
    recording.rename(recording.with_name("another.wav"))
    refused(place, "is no recording of a row|is missing")


def test_lists_name_files_of_the_table_only(place: Path) -> None:
    with open(place / "checksums.txt", "a") as file:
        file.write(f"{'0' * 64}  ../../etc/passwd\n")
    refused(place, "'../../etc/passwd'")


def test_links_and_other_files_do_not_come(place: Path, tmp_path: Path) -> None:
    (place / "prepared").mkdir()
    (place / "prepared/evil.npz").write_bytes(b"a cache of a stranger's")
    (place / "notes.txt").write_text("hello")
    report = pull_index(str(place), tmp_path / "first.index")
    assert report.others == ("notes.txt", "prepared/evil.npz")
    assert not (report.path / "prepared").exists()
    (place / "audio/0/x.wav").symlink_to("/etc/passwd")
    refused(place, "is a link or no file")


def test_rows_cannot_name_files_outside(
    fingerprint: Fingerprint, make_row: MakeRow, tmp_path: Path, shared: Index, place: Path
) -> None:
    for audio in ("../../../etc/passwd", "/etc/passwd"):
        row = make_row("evil")
        _put_rows(place, [replace(row, exemplar=replace(row.exemplar, audio=PurePosixPath(audio)))])
        refused(place, "leads out of its folder")


def test_a_text_that_moves_the_cursor_is_refused(make_row: MakeRow, place: Path) -> None:
    row = make_row("evil")
    _put_rows(place, [replace(row, exemplar=replace(row.exemplar, labels=("a\x1b[2J",)))])
    refused(place, r"holds the character U\+001B")


def test_a_table_cannot_name_files_elsewhere(place: Path, tmp_path: Path) -> None:
    """Lance follows base paths of a manifest, to any folder and address."""
    lance = pytest.importorskip("lance")
    table = place / "table/exemplars.lance"
    rows = lance.dataset(str(table)).to_table()
    shutil.rmtree(table)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    base = lance.DatasetBasePath(str(elsewhere), name="x", is_dataset_root=False)
    lance.write_dataset(rows, str(table), initial_bases=[base], target_bases=["x"])
    assert lance.dataset(str(table)).count_rows() == 5
    (manifest,) = table.rglob("*.manifest")
    with pytest.raises(SharingError, match=r"has field 7|has base paths"):
        require_own_files(manifest)
    _list_anew(place)
    refused(place, "the table's manifest cannot be trusted")


def test_manifests_of_any_bytes_are_refused_in_words(tmp_path: Path, place: Path) -> None:
    (good,) = place.rglob("*.manifest")
    content = good.read_bytes()
    path = tmp_path / "x.manifest"
    for bad in (b"", b"LANC", content[:-1], b"\xff" * 64 + content[-16:], content[8:]):
        path.write_bytes(bad)
        with pytest.raises(SharingError, match="cannot be trusted"):
            require_own_files(path)
    assert len(require_own_files(good)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "../x", "audio/0/../../x", "/etc/passwd", "audio//x", "audio/0/.", "", "a\\b", "C:x",
        "audio/0/a\n", "audio/0/.git/x", "x" * 2000, "audio/0/" + "é" * 200, "audio/0/nul.",
    ],
)  # fmt: skip
def test_paths_that_lead_out_are_seen_before_anything_is_fetched(name: str) -> None:
    assert path_fault(name)
    listed = [SharedFile(name=name, n_bytes=1)]
    with pytest.raises(SharingError, match="nothing was pulled"):
        require_files(listed, "ada/sounds", PullLimits())


def test_names_that_some_system_takes_for_one_are_refused() -> None:
    for one, other in (("A.wav", "a.wav"), ("\u00e9.wav", "e\u0301.wav")):
        names = [f"audio/0/{one}", f"audio/0/{other}"]
        listed = [SharedFile(name=name, n_bytes=1) for name in names]
        with pytest.raises(SharingError, match="occurs twice; nothing was pulled"):
            require_files(listed, "ada/sounds", PullLimits())


def test_a_listing_of_a_hub_that_leads_out_is_refused(
    hub: StubHub, shared: Index, tmp_path: Path
) -> None:
    push_index(shared, "ada/sounds")
    hub.sets["ada/sounds"].change({"audio/0/../../../evil.wav": b"x"})
    hub.asked.clear()
    with pytest.raises(SharingError, match=r"has a part '\.\.'"):
        pull_index("ada/sounds", tmp_path / "x.index")
    assert not any("resolve" in line for line in hub.asked)
    assert not (tmp_path / "x.index").exists()


def test_a_pull_takes_no_more_than_it_may(place: Path) -> None:
    refused(place, "more than the 100 allowed", limits=PullLimits(max_bytes=100))
    refused(place, "more than 3 files", limits=PullLimits(max_files=3))
    refused(place, "expected at most 10;", limits=PullLimits(max_small_bytes=10))
    with pytest.raises(ValueError, match="max_files=0"):
        PullLimits(max_files=0)


def test_an_embedder_that_the_user_did_not_name_is_refused(
    fingerprint: Fingerprint, make_row: MakeRow, tmp_path: Path
) -> None:
    made = replace(fingerprint, name="evil/clap", revision="refs/pr/1")
    index = Index.create(tmp_path / "evil.index", made)
    index.add([make_row("a")])
    place = tmp_path / "place"
    push_index(index, str(place))
    refused(place, "--embedder evil/clap@refs/pr/1")
    refused(place, "--embedder evil/clap@refs/pr/1", embedder="evil/clap")
    refused(place, "--embedder evil/clap@refs/pr/1", embedder="laion/clap-htsat-unfused")
    report = pull_index(str(place), tmp_path / "p.index", embedder="evil/clap@refs/pr/1")
    assert json.loads((report.path / "pulled.json").read_text())["embedder"].startswith("evil/clap")


def test_an_embedder_of_earfuls_own_needs_no_name(place: Path) -> None:
    refused(place, "comes with earful", embedder="logmel")


def test_what_lies_in_the_way_is_not_lost(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(SharingError, match="holds other files than an index"):
            pull_index(str(place), target, force=force)
    pull_index(str(place), tmp_path / "p.index")
    (tmp_path / "p.index/thesis.txt").write_text("years of work")
    with pytest.raises(SharingError, match=r"thesis\.txt beside an index"):
        pull_index(str(place), tmp_path / "p.index", force=True)


def test_a_folder_that_a_kill_left_aside_is_put_back(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "p.index"
    pull_index(str(place), target)
    target.rename(tmp_path / ".p.index.before")
    assert not pull_index(str(place), target).is_new


def _put_rows(place: Path, rows: list[Row]) -> None:
    """Write other rows into a pushed folder, with digests and counts as a stranger would."""
    index = Index.open(place)
    old = [one.id for one in index.vectors().exemplars]
    made = Index.create(place.with_name("made.index"), index.fingerprint)
    made.add([replace(row, root=place.parent) for row in rows])
    push_by_hand = made._folder.table
    table = push_by_hand.read(push_by_hand.row_columns)
    assert old
    assert table.num_rows == len(rows)
    shutil.rmtree(place / "table")
    shutil.rmtree(place / "audio", ignore_errors=True)
    (place / "ATTRIBUTION.csv").unlink(missing_ok=True)
    _write_table(place, made)
    change_json(
        place / "shared.json",
        n=len(rows),
        rows_sha256=rows_digest(made),
        recordings_sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
    change_json(place / "index.json", n=len(rows), labels=1)
    shutil.rmtree(made.path)


def _write_table(place: Path, made: Index) -> None:
    shutil.copytree(made.path / "table", place / "table")
    old, new = sorted(place.rglob("*.manifest"), reverse=True)
    old.unlink()
    for part in place.rglob("*.txn"):
        if part.name.encode() not in new.read_bytes():
            part.unlink()
    _list_anew(place)


def _list_anew(place: Path) -> None:
    for hint in place.rglob("latest_version_hint.json"):
        hint.unlink()
    (place / "checksums.txt").unlink(missing_ok=True)
    names = (path.relative_to(place).as_posix() for path in (place / "table").rglob("*"))
    Checksums(place).add(name for name in names if (place / name).is_file())
