"""Class scores beside the vectors: written, moved, read, checked and repaired with their rows."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from earful.errors import IndexFolderError, IndexMismatchError
from earful.index import Index, export_index, repair_index, verify_index
from earful.index.builder import BuildOptions, build_index
from earful.index.maintenance.verify import row_faults
from earful.index.storage import (
    CHECKSUMS_NAME,
    HEADER_NAME,
    IndexFolder,
    Row,
    Table,
    to_float16,
)
from earful.index.storage.schema import to_arrow
from earful.model import ClassScorer, Fingerprint
from earful.model.audio import Clip, load_audio
from tests.support.class_scorers import ScoredSamples, logits_of
from tests.support.small_corpus import RATE, Samples, write_corpus
from tests.support.snapshots import drop_snapshot

MakeRow = Callable[..., Row]
Scores = NDArray[np.float16]


def scored(row: Row, *logits: float) -> Row:
    return replace(row, class_scores=to_float16(np.array(logits)))


@pytest.fixture
def index(tmp_path: Path, fingerprint: Fingerprint, make_row: MakeRow) -> Index:
    """Two commits: b, then a; three classes."""
    made = Index.create(tmp_path / "scored.index", fingerprint, n_classes=3)
    made.add([scored(make_row("b"), 1, 2, 3)])
    made.add([scored(make_row("a"), -4, 0.5, 1e9)])
    return made


def kept(index: Index) -> dict[str, list[float]]:
    scores = index.class_scores
    assert scores is not None
    ids = [exemplar.id for exemplar in index.vectors().exemplars]
    return dict(zip(ids, scores.tolist(), strict=True))


# --- rows -------------------------------------------------------------------------------


def test_rows_bring_their_scores_in_the_order_of_ids(index: Index) -> None:
    opened = Index.open(index.path)
    assert opened.class_scores is not None
    assert opened.class_scores.dtype == np.float16
    assert opened.class_scores.tolist() == [[-4, 0.5, 65504], [1, 2, 3]]
    assert not opened.class_scores.flags.writeable
    assert (opened.n_classes, opened.info.n_classes) == (3, 3)
    assert json.loads((index.path / HEADER_NAME).read_text())["n_classes"] == 3
    assert verify_index(opened).problems == ()


def test_replaced_removed_and_compacted_rows_keep_or_lose_theirs(
    index: Index, make_row: MakeRow
) -> None:
    index.add([scored(make_row("b", labels=("cat",)), 7, 8, 9), scored(make_row("c"), 0, 0, 1)])
    index.remove(["a"])
    index.compact()
    assert kept(index) == kept(Index.open(index.path)) == {"b": [7, 8, 9], "c": [0, 0, 1]}
    rows = IndexFolder.open(index.path).rows(["b", "c"])
    assert [row.class_scores.tolist() for row in rows.values() if row.class_scores is not None] == [
        [7, 8, 9],
        [0, 0, 1],
    ]


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), arrays(np.float32, 2) | st.none()),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_scores_stay_with_their_rows_whatever_is_done(
    fingerprint: Fingerprint,
    make_row: MakeRow,
    steps: list[tuple[str, NDArray[np.float32] | None]],
) -> None:
    expected: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        made = Index.create(f"{folder}/i", fingerprint, n_classes=2)
        for id_, logits in steps:
            if logits is None:
                if id_ in expected:
                    made.remove([id_])
                    made.compact()
                    del expected[id_]
            elif np.isfinite(scores := to_float16(logits)).all():
                made.add([replace(make_row(id_), class_scores=scores)])
                expected[id_] = scores.tolist()
                np.testing.assert_allclose(scores, logits.clip(-65504, 65504), rtol=1e-3, atol=1e-7)
        assert kept(made) == kept(Index.open(made.path)) == dict(sorted(expected.items()))


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        (None, r"expected float16 of shape \(3,\), got none"),
        (np.zeros(2, np.float16), r"got float16 of shape \(2,\)"),
        (np.zeros(3, np.float32), r"got float32 of shape \(3,\)"),
        (np.array([0, np.nan, 0], np.float16), "expected finite numbers"),
        (np.array([0, np.inf, 0], np.float16), "expected finite numbers"),
    ],
)
def test_scores_that_cannot_be_kept_are_refused(
    index: Index, make_row: MakeRow, scores: Scores | None, told: str
) -> None:
    with pytest.raises(ValueError, match=f"class scores of 'c': .*{told}"):
        index.add([replace(make_row("c"), class_scores=scores)])
    assert len(index.vectors()) == 2


def test_an_index_without_scores_stays_without(
    tmp_path: Path, fingerprint: Fingerprint, make_row: MakeRow
) -> None:
    plain = Index.create(tmp_path / "plain.index", fingerprint)
    plain.add([make_row("a")])
    assert (plain.class_scores, plain.n_classes) == (None, 0)
    assert "n_classes" not in json.loads((plain.path / HEADER_NAME).read_text())
    assert "class_scores" not in plain._folder.table.columns
    with pytest.raises(ValueError, match="class scores of 'b': expected none, got float16"):
        plain.add([scored(make_row("b"), 1, 2, 3)])


# --- reading ----------------------------------------------------------------------------


def test_scores_are_read_when_they_are_asked_for_and_then_once(
    index: Index, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, ...]] = []
    through = Table.read

    def noted(table: Table, columns: Sequence[str]) -> object:
        read.append(tuple(columns))
        return through(table, columns)

    Index.open(index.path).vectors()  # which keeps a snapshot
    monkeypatch.setattr(Table, "read", noted)
    opened = Index.open(index.path)
    opened.search(make_row("a").vector, k=1)
    some = opened.vectors().subset(np.array([1]))
    assert not any("class_scores" in columns for columns in read)
    assert some.class_scores is not None
    assert some.class_scores.tolist() == [[1, 2, 3]]
    assert opened.class_scores is opened.class_scores
    assert sum("class_scores" in columns for columns in read) == 1


def test_rows_read_earlier_have_their_own_scores(index: Index, make_row: MakeRow) -> None:
    before = index.vectors()
    index.add([scored(make_row("b"), 7, 8, 9)])
    index.remove(["a"])
    assert before.class_scores is not None
    assert before.class_scores.tolist() == [[-4, 0.5, 65504], [1, 2, 3]]
    assert kept(index) == {"b": [7, 8, 9]}


def test_scores_of_rows_that_are_gone_for_good_are_refused(
    index: Index, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.vectors()  # which keeps a snapshot
    index = Index.open(index.path)
    before = index.vectors()
    index.remove(["a"])
    now = index._folder.table
    monkeypatch.setattr(Table, "at_version", lambda folder, version: now)
    with pytest.raises(IndexFolderError, match=r"written and compacted since .*read them again"):
        before.class_scores  # noqa: B018


@pytest.mark.parametrize("backend", ["half", "exact"])
def test_without_the_list_of_files_rows_are_checked_by_their_digests(
    index: Index, make_row: MakeRow, backend: str
) -> None:
    (index.path / CHECKSUMS_NAME).unlink()
    opened = Index.open(index.path)
    (hit,) = opened.search(make_row("a").vector, k=1, backend=backend)  # type: ignore[arg-type]
    assert hit.exemplar.id == "a"
    assert kept(opened) == {"a": [-4, 0.5, 65504], "b": [1, 2, 3]}


# --- damage -----------------------------------------------------------------------------


def overwrite(index: Index, row: Row, stored: Sequence[float]) -> None:
    """Store a row as it is, with other scores, past every check."""
    import lancedb
    import pyarrow as pa

    batch = to_arrow([row], [0], index.fingerprint, 3)
    field = batch.schema.field("class_scores")
    scores = pa.FixedSizeListArray.from_arrays(pa.array(np.array(stored, np.float16)), 3)
    batch = batch.set_column(batch.schema.get_field_index(field.name), field, scores)
    table = lancedb.connect(index.path / "table").open_table("exemplars")
    table.delete(f"id = '{row.exemplar.id}'")
    table.add(pa.Table.from_batches([batch]))
    index.refresh()


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ([1, np.inf, 3], ["its class scores are missing or not finite", "its own digest"]),
        ([1, 2, 4], ["its own digest"]),
    ],
)
def test_damaged_scores_are_found(
    index: Index, make_row: MakeRow, stored: list[float], told: list[str]
) -> None:
    overwrite(index, scored(make_row("b"), 1, 2, 3), stored)
    problems = [problem for problem in verify_index(index).problems if problem.id]
    assert [problem.id for problem in problems] == ["b"] * len(told)
    for problem, part in zip(problems, told, strict=True):
        assert part in problem.what
    with pytest.raises(IndexFolderError, match="'b' does not match its own digest"):
        index.search(make_row("a").vector)


def test_missing_scores_are_found(index: Index) -> None:
    import pyarrow as pa

    folder = index._folder
    rows = folder.table.read(folder.table.columns)
    scores = pa.array([None, [1.0, 2.0, 3.0]], pa.list_(pa.float16(), 3))
    rows = rows.set_column(rows.schema.get_field_index("class_scores"), "class_scores", scores)
    first, second = row_faults(rows, folder.roots(), 4)
    assert first[0] == "its class scores are missing or not finite"
    assert second == []


# --- builds and repairs -----------------------------------------------------------------

OPTIONS = BuildOptions(commit_rows=4, batch_clips=4, n_decoders=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_corpus(folder / "sounds", 8)
    path = folder / "sounds.index"
    build_index(folder / "sounds", path, embedder=ScoredSamples(), options=OPTIONS)
    return folder


@pytest.fixture
def built(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made/sounds.index"


def expected(index: Index) -> dict[str, list[float]]:
    vectors = index.vectors()
    return {
        exemplar.id: to_float16(logits_of(load_audio(path, sample_rate=RATE))).tolist()
        for exemplar, path in zip(vectors.exemplars, vectors.paths, strict=True)
    }


def test_a_build_keeps_what_the_embedder_scores(built: Path) -> None:
    assert isinstance(ScoredSamples(), ClassScorer)
    assert not isinstance(Samples(), ClassScorer)
    index = Index.open(built)
    assert (len(index.vectors()), kept(index)) == (8, expected(index))


def test_a_copy_of_a_recording_gets_the_scores_of_the_first(built: Path) -> None:
    sounds = built.parent / "sounds"
    shutil.copy(sounds / "dog/0000.wav", sounds / "rain/copy.wav")
    embedder = ScoredSamples()
    report = build_index(sounds, built, embedder=embedder, options=OPTIONS)
    assert (report.accepted, report.reused, embedder.n_clips) == (1, 1, 0)
    found = kept(Index.open(built))
    assert found["rain/copy.wav"] == found["dog/0000.wav"]


def test_an_index_begun_without_scores_grows_and_is_repaired_without(tmp_path: Path) -> None:
    sounds, path = write_corpus(tmp_path / "sounds", 4), tmp_path / "old.index"
    build_index(sounds, path, embedder=Samples(), options=OPTIONS)
    write_corpus(sounds, 6)
    assert build_index(sounds, path, embedder=ScoredSamples(), options=OPTIONS).n == 6
    index = Index.open(path)
    assert (index.n_classes, index.class_scores) == (0, None)
    index.remove(["dog/0000.wav"])
    report = repair_index(path, sounds, embedder=ScoredSamples(), options=OPTIONS)
    assert (report.embedded, report.n) == (1, 6)
    assert verify_index(Index.open(path)).problems == ()


def test_an_embedder_that_scores_nothing_cannot_extend_an_index_with_scores(built: Path) -> None:
    before = kept(Index.open(built))
    write_corpus(built.parent / "sounds", 10)
    with pytest.raises(IndexMismatchError, match=r"has 3 class scores .*'samples' gives none"):
        build_index(built.parent / "sounds", built, embedder=Samples(), options=OPTIONS)
    assert kept(Index.open(built)) == before


class Unsure(ScoredSamples):
    """Scores the first clip of every batch with NaN."""

    def embed_and_score(
        self, clips: Sequence[Clip]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        vectors, scores = super().embed_and_score(clips)
        scores[0] = np.nan
        return vectors, scores


def test_a_recording_without_a_finite_score_is_rejected(tmp_path: Path) -> None:
    sounds = write_corpus(tmp_path / "sounds", 4)
    report = build_index(sounds, tmp_path / "i", embedder=Unsure(), options=OPTIONS)
    assert (report.accepted, len(report.rejected)) == (3, 1)
    assert "a class score that is not finite" in report.rejected[0].error
    index = Index.open(tmp_path / "i")
    assert kept(index) == expected(index)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", ["scores", "unlisted scores", "file", "header", "number", "table"]
)
def test_a_repair_gives_the_scores_back(built: Path, damage: str) -> None:
    before = Index.open(built)
    wanted, scores = kept(before), before.class_scores
    assert scores is not None
    drop_snapshot(built)
    files = sorted((built / "table/exemplars.lance/data").glob("*"))
    if damage == "header":
        (built / HEADER_NAME).unlink()
    elif damage == "number":
        values = json.loads((built / HEADER_NAME).read_text())
        del values["n_classes"]
        (built / HEADER_NAME).write_text(json.dumps(values))
        with pytest.raises(IndexFolderError, match="do not belong together"):
            Index.open(built)
    elif damage == "table":
        shutil.rmtree(built / "table")
    elif damage == "file":
        files[0].write_bytes(files[0].read_bytes()[:100])
    else:
        for path in files:
            content = path.read_bytes()
            path.write_bytes(content.replace(scores[2].tobytes(), (-scores[2]).tobytes()))
        if damage == "unlisted scores":
            (built / CHECKSUMS_NAME).unlink()
        with pytest.raises(IndexFolderError, match="--repair"):
            Index.open(built).vectors()
    report = repair_index(built, built.parent / "sounds", embedder=ScoredSamples(), options=OPTIONS)
    n_lost = {"file": 4, "header": 0, "number": 0, "table": 8}.get(damage, 1)
    assert (report.embedded, report.n) == (n_lost, 8)
    index = Index.open(built)
    assert (kept(index), verify_index(index).problems) == (wanted, ())


def test_an_export_has_the_scores(built: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    index = Index.open(built)
    export_index(index, tmp_path / "rows.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    ids, scores = (table.column(name).to_pylist() for name in ("id", "class_scores"))
    assert dict(zip(ids, scores, strict=True)) == kept(index)
    export_index(index, tmp_path / "rows.csv")
    assert "class_scores" not in (tmp_path / "rows.csv").read_text().splitlines()[0]
