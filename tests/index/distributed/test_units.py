import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earful.errors import IndexFolderError
from earful.index import Index, verify_index
from earful.index.builder import build_index
from earful.index.corpus import CorpusRow, open_corpus
from earful.index.distributed import (
    Staging,
    Unit,
    UnitDriver,
    UnitHome,
    UnitResult,
    embed_rows,
    reject_rows,
)
from earful.index.intake import BuildOptions
from earful.index.storage import IndexFolder
from tests.index.distributed.conftest import OPTIONS
from tests.support.levels import Levels

Rows = list[tuple[int, CorpusRow]]


def driver_of(folder: IndexFolder, table: Path, staging: Staging | None = None) -> UnitDriver:
    corpus = open_corpus(table)
    return UnitDriver(folder, root=corpus.root, n_rows=14, staging=staging)


def embedded(unit: Unit, table: Path, embedder: Levels | None = None) -> UnitResult:
    root = open_corpus(table).root
    return embed_rows(unit, embedder or Levels(), root=root, options=OPTIONS)


def contents(path: Path) -> list[tuple[str, str]]:
    read = Index.open(path).read_table(["id", "row_sha256"])
    return list(zip(*read.to_pydict().values(), strict=True))


def test_a_unit_says_of_each_row_what_became_of_it(
    table: Path, folder: IndexFolder, corpus_rows: Rows
) -> None:
    embedder = Levels()
    (unit,) = driver_of(folder, table).units(corpus_rows, n_rows=20)
    result = embedded(pickle.loads(pickle.dumps(unit)), table, embedder)
    assert result.numbers == tuple(range(13))
    assert [item.number for item in result.rejected] == [13]
    assert result.unchanged == ()
    # The copy has its vector from the row that came before.
    assert (result.n_reused, embedder.n_clips) == (1, 12)
    vectors = np.array(result.batch.column("vector").to_pylist(), dtype=np.float32)
    np.testing.assert_allclose(vectors[2], [0.15, np.sqrt(1 - 0.15**2)], rtol=1e-6)
    np.testing.assert_array_equal(vectors[3], vectors[12])
    assert pickle.loads(pickle.dumps(result)).batch.equals(result.batch)


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(n_rows=st.integers(1, 15), order=st.randoms(use_true_random=False))
def test_units_in_any_order_make_what_a_build_makes(
    tmp_path_factory: pytest.TempPathFactory, table: Path, n_rows: int, order: object
) -> None:
    where = tmp_path_factory.mktemp("any")
    report = build_index(table, where / "built", embedder=Levels(), options=OPTIONS)
    made = IndexFolder.create(where / "made", Levels().fingerprint)
    with made.writer():
        driver = driver_of(made, table)
        units = list(driver.units(list(enumerate(open_corpus(table))), n_rows=n_rows))
        order.shuffle(units)  # type: ignore[attr-defined]
        for unit in units:
            result = embedded(unit, table)
            assert driver.take(result)
            assert not driver.take(result)  # a retry after a lost answer
        driver.finish()
        made.set_rejections(driver.rejections)
    assert contents(where / "made") == contents(where / "built")
    assert driver.rejections == report.rejected
    assert driver.n_accepted == 13
    assert driver.audio_s == pytest.approx(report.audio_s, rel=0.1)
    assert verify_index(Index.open(where / "made")).problems == ()


def test_a_second_run_embeds_nothing_and_a_new_label_keeps_its_vector(
    table: Path, folder: IndexFolder, corpus_rows: Rows
) -> None:
    relabelled = list(corpus_rows)
    number, row = relabelled[5]
    exemplar = replace(row.exemplar, labels=("new",), answer="", not_labels=("a",))
    relabelled[5] = number, replace(row, exemplar=exemplar)
    embedder = Levels()
    for rows in (corpus_rows, relabelled):
        with folder.writer():
            driver = driver_of(folder, table)
            for unit in driver.units(rows, n_rows=4):
                driver.take(embedded(unit, table, embedder))
            driver.finish()
    assert embedder.n_clips == 13  # the copy was in another unit
    assert (driver.n_unchanged, driver.n_accepted, driver.n_reused) == (12, 1, 1)
    (replaced,) = driver.replaced
    assert (replaced.before, replaced.after, replaced.denied_after) == (("c",), ("new",), ("a",))
    assert folder.table.has_not_labels
    assert verify_index(Index.open(folder.path)).problems == ()


def test_a_row_without_an_answer_is_an_error(
    table: Path, folder: IndexFolder, corpus_rows: Rows
) -> None:
    with folder.writer():
        driver = driver_of(folder, table)
        first, second, *_ = driver.units(corpus_rows, n_rows=4)
        driver.take(embedded(second, table))
        with pytest.raises(IndexFolderError, match=r"10 rows of 14 .* the first is row 1 "):
            driver.finish()
    assert len(folder.table) == 4
    assert [half.name for half in first.halves()] == [
        "000000000000-000000000001-2",
        "000000000002-000000000003-2",
    ]


def test_a_unit_that_no_worker_could_finish_is_rejected(
    table: Path, folder: IndexFolder, corpus_rows: Rows
) -> None:
    home = UnitHome(root=open_corpus(table).root)
    with folder.writer():
        driver = driver_of(folder, table)
        for unit in driver.units(corpus_rows[:1], n_rows=4):
            driver.take(reject_rows(unit, "ended three workers", folder.fingerprint, home=home))
        driver.finish()
    (rejection,) = driver.rejections
    assert rejection.error == "ended three workers"
    assert rejection.audio == "sounds/00.wav"


def test_rows_that_changed_on_their_way_are_refused(
    table: Path, folder: IndexFolder, corpus_rows: Rows
) -> None:
    driver = driver_of(folder, table)
    (unit,) = driver.units(corpus_rows[:3], n_rows=4)
    result = embedded(unit, table)
    for name, values in (
        ("vector", [[0.6, 0.8]] * 3),
        ("answer", ["owl"] * 3),
        ("duration_s", [2.0] * 3),
    ):
        columns = result.batch.to_pydict() | {name: values}
        batch = type(result.batch).from_pydict(columns, schema=result.batch.schema)
        with folder.writer(), pytest.raises(IndexFolderError, match="do not match their own"):
            driver.take(replace(result, batch=batch))
    assert len(folder.table) == 0


def test_workers_of_another_embedder_are_refused(
    table: Path, folder: IndexFolder, corpus_rows: Rows
) -> None:
    driver = driver_of(folder, table)
    (unit,) = driver.units(corpus_rows[:1], n_rows=4)
    with pytest.raises(IndexFolderError, match="3 numbers and 0 class scores, expected 2 and 0"):
        driver.take(embedded(unit, table, Levels(dim=3)))


def test_an_id_of_another_corpus_is_refused(
    table: Path, folder: IndexFolder, corpus_rows: Rows, tmp_path: Path
) -> None:
    with folder.writer():
        driver = driver_of(folder, table)
        for unit in driver.units(corpus_rows[:1], n_rows=4):
            driver.take(embedded(unit, table))
        driver.finish()
        other = UnitDriver(folder, root=tmp_path / "elsewhere", n_rows=14)
        with pytest.raises(IndexFolderError, match=r"belongs to a row from .* and now comes from"):
            next(other.units(corpus_rows, n_rows=4))


def test_commits_follow_the_options(table: Path, folder: IndexFolder, corpus_rows: Rows) -> None:
    root, commits = open_corpus(table).root, []
    with folder.writer():
        driver = UnitDriver(
            folder,
            root=root,
            n_rows=14,
            options=BuildOptions(commit_rows=5),
            on_commit=lambda: commits.append(driver.n_committed),
        )
        for unit in driver.units(corpus_rows, n_rows=3):
            driver.take(embedded(unit, table))
        driver.finish()
    assert commits == [6, 12, 13]
