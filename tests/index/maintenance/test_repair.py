import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.errors import CorpusError, IndexBusyError, IndexFolderError
from earful.index import Index, verify_index
from earful.index.builder import BuildOptions, build_index
from earful.index.corpus import single_recording
from earful.index.maintenance import RepairReport, repair, repair_index
from earful.index.storage import CHECKSUMS_NAME, FORMAT, Header, WriterLock, manifest_names
from tests.support.small_corpus import Samples, write_corpus
from tests.support.snapshots import drop_snapshot

N_FILES = 24
OPTIONS = BuildOptions(commit_rows=8, batch_clips=8, n_decoders=2)
Query = NDArray[np.float32]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, and an index of it in three commits and three files."""
    folder = tmp_path_factory.mktemp("made")
    write_corpus(folder / "sounds", N_FILES)
    build_index(folder / "sounds", folder / "sounds.index", embedder=Samples(), options=OPTIONS)
    return folder


@pytest.fixture
def corpus(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "sounds", tmp_path / "sounds"))


@pytest.fixture
def folder(made: Path, tmp_path: Path, corpus: Path) -> Path:
    """The index, beside its corpus."""
    return Path(shutil.copytree(made / "sounds.index", tmp_path / "sounds.index"))


@pytest.fixture
def wanted(made: Path) -> list[tuple[str, float]]:
    return hits(made / "sounds.index")


def query() -> Query:
    drawn = np.random.default_rng(5).standard_normal(16)
    unit: Query = (drawn / np.linalg.norm(drawn)).astype(np.float32)
    return unit


def hits(folder: Path) -> list[tuple[str, float]]:
    found = Index.open(folder).search(query(), k=N_FILES)
    return [(hit.exemplar.id, hit.similarity) for hit in found]


def files(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / "table/exemplars.lance").glob(f"{kind}/*"))


def rot(folder: Path) -> None:
    """Change the label of some rows."""
    path = next(path for path in files(folder, "data") if b"siren" in path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"siren", b"sirem"))


def repaired(folder: Path, corpus: Path | None = None) -> tuple[RepairReport, Samples]:
    embedder = Samples()
    report = repair_index(folder, corpus, embedder=embedder, options=OPTIONS)
    assert verify_index(Index.open(folder)).problems == ()
    return report, embedder


def test_a_sound_index_is_left_alone(folder: Path) -> None:
    before = manifest_names(folder)
    report, embedder = repaired(folder)
    assert (report.kept, report.dropped, report.missing, report.n) == (N_FILES, 0, 0, N_FILES)
    assert (report.set_aside, embedder.n_clips, manifest_names(folder)) == ((), 0, before)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", ["deleted", "truncated", pytest.param("garbage", marks=pytest.mark.slow)]
)
def test_an_unreadable_file_costs_its_own_rows(
    folder: Path, corpus: Path, wanted: list[tuple[str, float]], damage: str
) -> None:
    path = files(folder, "data")[1]
    if damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "truncated" else b"\x07" * 5000)
    found = verify_index(Index.open(folder))
    assert (found.n_checked, found.n_whole) == (N_FILES, N_FILES - 8)
    assert {problem.audio for problem in found.problems} == {str(path)}
    assert any("rows cannot be read" in problem.what for problem in found.problems)

    report, embedder = repaired(folder, corpus)
    assert (report.kept, report.dropped, report.embedded, report.missing) == (16, 8, 8, 0)
    assert report.set_aside == (str(path.relative_to(folder)),)
    assert (embedder.n_clips, hits(folder)) == (8, wanted)
    assert (folder / "_quarantine" / path.name).exists() == (damage != "deleted")


@pytest.mark.slow
def test_without_the_corpus_rows_that_cannot_be_read_are_missing(folder: Path) -> None:
    files(folder, "data")[1].unlink()
    report, _ = repaired(folder)
    assert (report.kept, report.dropped, report.embedded, report.missing) == (16, 8, 0, 8)
    assert len(hits(folder)) == 16


@pytest.mark.slow
@pytest.mark.parametrize("listed", [True, False])
def test_a_row_whose_vector_rotted_is_embedded_again_without_the_corpus(
    folder: Path, wanted: list[tuple[str, float]], listed: bool
) -> None:
    if not listed:
        (folder / CHECKSUMS_NAME).unlink()
    index = Index.open(folder)
    row = index.vectors().vectors[3]
    drop_snapshot(folder)
    for path in files(folder, "data"):
        content = path.read_bytes()
        path.write_bytes(content.replace(row.tobytes(), (-row).tobytes()))
    with pytest.raises(IndexFolderError, match="--repair"):
        hits(folder)
    report, embedder = repaired(folder)
    assert report.dropped_ids == (index.vectors().exemplars[3].id,)
    assert (report.kept, report.embedded, report.missing) == (N_FILES - 1, 1, 0)
    assert (embedder.n_clips, hits(folder)) == (1, wanted)


def test_a_row_whose_label_rotted_needs_the_corpus(
    folder: Path, corpus: Path, wanted: list[tuple[str, float]]
) -> None:
    rot(folder)
    report, _ = repaired(folder)
    assert report.embedded == 0
    assert report.missing == report.dropped > 0
    report, _ = repaired(folder, corpus)
    assert hits(folder) == wanted


@pytest.mark.slow
def test_a_lost_version_comes_back_from_the_corpus(
    folder: Path, corpus: Path, wanted: list[tuple[str, float]]
) -> None:
    (folder / manifest_names(folder)[0]).unlink()
    report, embedder = repaired(folder, corpus)
    assert report.missing == 0
    assert embedder.n_clips == report.embedded
    assert hits(folder) == wanted


def test_no_version_can_be_read(
    folder: Path, corpus: Path, wanted: list[tuple[str, float]]
) -> None:
    for name in manifest_names(folder):
        (folder / name).write_bytes(b"\x07" * 100)
    with pytest.raises(IndexFolderError, match=r"no version of its table can be read.*--corpus"):
        repair_index(folder)
    report, embedder = repaired(folder, corpus)
    assert (report.kept, report.embedded, embedder.n_clips) == (0, N_FILES, N_FILES)
    assert hits(folder) == wanted
    assert list((folder / "_quarantine").glob("table-*/exemplars.lance/data/*"))


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"format": 1}', b"[" * 100_000])
def test_a_lost_header_is_made_again_from_table_and_corpus(
    folder: Path, corpus: Path, wanted: list[tuple[str, float]], content: bytes | None
) -> None:
    path = folder / "index.json"
    before = json.loads(path.read_text())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IndexFolderError, match="With its corpus it can be made again"):
        repair_index(folder)
    assert path.exists() == (content is not None)
    report, embedder = repaired(folder, corpus)
    assert (report.kept, embedder.n_clips) == (N_FILES, 0)
    after = json.loads(path.read_text())
    kept = ("format", "n", "labels", "fingerprint")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert [root["relative"] for root in after["roots"]] == ["../sounds"]
    assert hits(folder) == wanted


def test_a_newer_index_is_no_damaged_one(folder: Path, corpus: Path) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": FORMAT + 1}))
    with pytest.raises(IndexFolderError, match="Upgrade earful"):
        repair_index(folder, corpus)


def test_damaged_lists_are_put_aside(folder: Path) -> None:
    for name in ("rejected.jsonl", "approximate.json"):
        (folder / name).write_text("gone wrong")
    assert [
        "approximate.json" in problem.what or "rejected.jsonl" in problem.what
        for problem in verify_index(Index.open(folder)).problems
    ] == [True, True]
    report, _ = repaired(folder)
    assert report.set_aside == ("approximate.json", "rejected.jsonl")


def test_an_id_that_stands_twice_stands_once(folder: Path, wanted: list[tuple[str, float]]) -> None:
    import lancedb
    import pyarrow as pa

    table = lancedb.connect(folder / "table").open_table("exemplars")
    table.add(pa.table(table.search().limit(3).to_arrow()))
    report, _ = repaired(folder)
    assert (report.kept, report.dropped, report.dropped_ids) == (N_FILES, 3, ())
    assert hits(folder) == wanted


@pytest.mark.slow
def test_removed_rows_stay_removed(folder: Path, wanted: list[tuple[str, float]]) -> None:
    gone = wanted[0][0]
    Index.open(folder).remove([gone])
    files(folder, "data")[0].unlink()
    repaired(folder)
    assert gone not in dict(hits(folder))


@pytest.mark.slow
def test_rows_of_two_corpora_are_kept_apart(folder: Path, tmp_path: Path, corpus: Path) -> None:
    other = write_corpus(tmp_path / "other", 1, seed=9)
    recording = next(other.rglob("*.wav"))
    build_index(single_recording(recording, labels=("horn",)), folder, embedder=Samples())
    index = Index.open(folder)
    row = index.vectors().vectors[sorted(index._folder.indexed_rows()).index(recording.name)]
    for path in files(folder, "data"):
        path.write_bytes(path.read_bytes().replace(row.tobytes(), (-row).tobytes()))
    report, _ = repaired(folder)
    assert (report.dropped_ids, report.embedded) == ((recording.name,), 1)
    assert {known.root for known in Index.open(folder)._folder.indexed_rows().values()} == {
        corpus,
        recording.parent,
    }


@pytest.mark.slow
def test_a_corpus_that_moved_is_followed(
    corpus: Path, wanted: list[tuple[str, float]], tmp_path: Path
) -> None:
    folder = tmp_path / "own.index"
    build_index(corpus, folder, embedder=Samples(), options=OPTIONS)
    moved = corpus.rename(tmp_path / "moved")
    (problem,) = verify_index(Index.open(folder)).problems
    assert (problem.id, problem.audio) == ("", str(corpus))
    assert f"the audio of {N_FILES} rows" in problem.what
    with pytest.raises(IndexFolderError, match=f"--repair --corpus {moved}"):
        build_index(moved, folder, embedder=Samples(), options=OPTIONS)
    rot(folder)
    report, embedder = repaired(folder, moved)
    assert (report.missing, report.n) == (0, N_FILES)
    assert 0 < embedder.n_clips < N_FILES
    assert hits(folder) == wanted
    assert Index.open(folder).vectors().paths[0].is_relative_to(moved)


@pytest.mark.slow
def test_a_second_corpus_of_the_same_ids_changes_nothing(
    folder: Path, corpus: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(corpus, tmp_path / "other"))
    rot(folder)
    before = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(IndexFolderError, match=rf"a row from {corpus}, which is still there"):
        repair_index(folder, other, embedder=Samples(), options=OPTIONS)
    assert sorted(path.name for path in folder.rglob("*")) == before


@pytest.mark.slow
def test_a_lost_list_is_made_again(folder: Path, wanted: list[tuple[str, float]]) -> None:
    listed = (folder / CHECKSUMS_NAME).read_text(encoding="utf-8").splitlines()
    (folder / CHECKSUMS_NAME).unlink()
    found = verify_index(Index.open(folder))
    assert found.problems == ()
    assert found.n_unlisted > 0
    repaired(folder)
    again = (folder / CHECKSUMS_NAME).read_text(encoding="utf-8").splitlines()
    assert set(again) <= set(listed)
    assert verify_index(Index.open(folder)).n_unlisted == 0
    assert hits(folder) == wanted


def test_nothing_is_done_while_another_writes(folder: Path) -> None:
    files(folder, "data")[0].unlink()
    with WriterLock(folder).held(), pytest.raises(IndexBusyError):
        repair_index(folder)


@pytest.mark.slow
def test_what_another_mended_meanwhile_is_left_alone(
    folder: Path,
    corpus: Path,
    wanted: list[tuple[str, float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between finding that the newest version cannot be read, and the right to write."""
    Index.open(folder).remove([wanted[0][0]])
    (deletions,) = files(folder, "_deletions")
    deletions.write_bytes(b"\x07" * 100)
    table_fault = repair._table_fault
    others: list[RepairReport] = []

    def overtaken(folder: Path, header: Header) -> IndexFolderError | None:
        found = table_fault(folder, header)
        if not others:
            with monkeypatch.context() as patch:
                patch.setattr(repair, "_table_fault", table_fault)
                others.append(repair_index(folder, corpus, embedder=Samples(), options=OPTIONS))
        return found

    monkeypatch.setattr(repair, "_table_fault", overtaken)
    report, embedder = repaired(folder, corpus)
    assert len(others[0].set_aside) > 0
    assert (report.set_aside, report.kept, embedder.n_clips) == ((), N_FILES, 0)
    assert hits(folder) == wanted


def test_a_folder_that_is_no_index(tmp_path: Path, corpus: Path) -> None:
    for name in ("none", "sounds"):
        with pytest.raises(IndexFolderError, match="is not an index"):
            repair_index(tmp_path / name, corpus)
    assert not (tmp_path / "none").exists()
    assert not (corpus / "table").exists()
    with pytest.raises(CorpusError):
        repair_index(tmp_path / "none", tmp_path / "nowhere")


@pytest.mark.slow
@pytest.mark.parametrize(
    "target", ["table.Table.keep", "table_files.TableFiles.sync", "table.Table.quarantine_damaged"]
)
def test_a_kill_leaves_what_the_next_repair_mends(
    folder: Path,
    corpus: Path,
    wanted: list[tuple[str, float]],
    monkeypatch: pytest.MonkeyPatch,
    target: str,
) -> None:
    files(folder, "data")[1].unlink()

    class Killed(BaseException):
        pass

    def die(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"earful.index.storage.{target}", die)
        with pytest.raises(Killed):
            repair_index(folder, embedder=Samples())
    repaired(folder, corpus)
    assert hits(folder) == wanted
