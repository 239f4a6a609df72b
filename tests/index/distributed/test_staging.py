import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from earful.errors import IndexBusyError, IndexFolderError
from earful.index import Index
from earful.index.corpus import CorpusRow, open_corpus
from earful.index.distributed import Staging, UnitDriver, embed_rows
from earful.index.storage import IndexFolder
from tests.index.distributed.conftest import OPTIONS
from tests.support.levels import Levels

Rows = list[tuple[int, CorpusRow]]
Change = Callable[[dict[str, Any]], None]


def stage(folder: IndexFolder, table: Path, rows: Rows) -> tuple[UnitDriver, Staging]:
    """Have workers stage all rows, four at once."""
    root = open_corpus(table).root
    staging = Staging(folder.path, "run-1")
    driver = UnitDriver(folder, root=root, n_rows=14, staging=staging)
    for unit in driver.units(rows, n_rows=4):
        staging.write(embed_rows(unit, Levels(), root=root, options=OPTIONS))
    return driver, staging


def test_what_is_staged_is_what_was_embedded(
    table: Path, folder: IndexFolder, corpus_rows: Rows
) -> None:
    driver, staging = stage(folder, table, corpus_rows)
    records = staging.records()
    assert [record.suffix for record in records] == [".json"] * 4
    last = staging.read(records[-1], folder.fingerprint, 0)
    assert (last.numbers, [item.number for item in last.rejected]) == ((12,), [13])
    assert last.rejected[0].rejection.audio == "sounds/broken.wav"
    with folder.writer():
        for record in reversed(records):
            assert driver.take_record(record)
        driver.finish()
    assert not staging.folder.exists()
    assert len(Index.open(folder.path)) == 13


def test_what_a_dead_driver_left_is_taken_up_without_decoding(
    table: Path, folder: IndexFolder, corpus_rows: Rows
) -> None:
    dead, staging = stage(folder, table, corpus_rows)
    with folder.writer():
        # Committed, and killed before its record was removed.
        dead.take(staging.read(staging.records()[0], folder.fingerprint, 0))
        dead.commit()
    opened = IndexFolder.open(folder.path)
    (staging.folder / ".half.arrow.tmp").write_bytes(b"a kill came here")
    with opened.writer():
        driver = UnitDriver(opened, root=open_corpus(table).root, n_rows=14, staging=staging)
        assert driver.take_up() == 9
        assert staging.records() == []
        embedder = Levels()
        for unit in driver.units(corpus_rows, n_rows=20):
            root = open_corpus(table).root
            driver.take(embed_rows(unit, embedder, root=root, options=OPTIONS))
        driver.finish()
    assert embedder.n_clips == 0
    assert (driver.n_unchanged, driver.n_accepted, len(driver.rejected)) == (13, 0, 1)
    assert not staging.folder.exists()


def set_to(name: str, value: Any) -> Change:
    def change(about: dict[str, Any]) -> None:
        about[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_to("format", 2), "format 2, expected 1"),
        (set_to("file", "../../index.json"), "it names"),
        (set_to("file", 3), "it names 3"),
        (set_to("unit", "other"), "it names"),
        (set_to("bytes", 10), "expected 10"),
        (set_to("bytes", "10"), "expected a whole number"),
        (set_to("bytes", 1 << 60), "expected 1152921504606846976"),
        (set_to("sha256", "0" * 64), "has other bytes than were written"),
        (set_to("ids_sha256", "0" * 64), "has other ids"),
        (set_to("numbers", [0]), "1 numbers for 4 rows"),
        (set_to("numbers", [0, 0, 1, 2]), "a row is there twice"),
        (set_to("numbers", [-1, 0, 1, 2]), "0 or more"),
        (set_to("numbers", [True, 0, 1, 2]), "0 or more"),
        (set_to("unchanged", {}), "expected a list"),
        (set_to("audio_s", float("nan")), "expected 0 or more seconds"),
        (set_to("audio_s", "1"), "expected 0 or more seconds"),
        (set_to("rejected", [{"number": 9}]), "rejection"),
        (set_to("rejected", [7]), "not subscriptable"),
        (set_to("rejected", [{"number": 9, "id": "x", "rejection": {"audio": 1}}]), "a text"),
        (set_to("beyond", [1]), "expected five counts"),
        (set_to("doubtful", [{"n": -1}]), "0 or more"),
    ],
)
def test_a_strangers_record_is_refused(
    table: Path, folder: IndexFolder, corpus_rows: Rows, change: Change, message: str
) -> None:
    _, staging = stage(folder, table, corpus_rows[:4])
    (record,) = staging.records()
    about = json.loads(record.read_text())
    change(about)
    record.write_text(json.dumps(about))
    with pytest.raises(IndexFolderError, match=message) as raised:
        staging.read(record, folder.fingerprint, 0)
    assert "remove it and its .arrow file" in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"format": 1}'])
def test_what_is_no_record_is_refused(
    table: Path, folder: IndexFolder, corpus_rows: Rows, text: str
) -> None:
    _, staging = stage(folder, table, corpus_rows[:4])
    (record,) = staging.records()
    record.write_text(text)
    with pytest.raises(IndexFolderError, match="is no whole record"):
        staging.read(record, folder.fingerprint, 0)


def test_rows_of_another_index_are_refused(
    table: Path, folder: IndexFolder, corpus_rows: Rows
) -> None:
    _, staging = stage(folder, table, corpus_rows[:4])
    (record,) = staging.records()
    with pytest.raises(IndexFolderError, match="other columns than this index"):
        staging.read(record, folder.fingerprint, 3)
    rows = record.with_suffix(".arrow")
    rows.unlink()
    with pytest.raises(IndexFolderError, match="is no whole record"):
        staging.read(record, folder.fingerprint, 0)
    rows.symlink_to(table)
    with pytest.raises(IndexFolderError, match="is no whole record"):
        staging.read(record, folder.fingerprint, 0)


def test_names_of_runs_and_units_stay_in_their_folder(folder: IndexFolder) -> None:
    for name in ("../x", "", "a/b", ".hidden", "A"):
        with pytest.raises(ValueError, match="expected a name of small letters"):
            Staging(folder.path, name)


def test_a_second_driver_is_refused(folder: IndexFolder) -> None:
    other = IndexFolder.open(folder.path)
    with folder.writer(), pytest.raises(IndexBusyError, match="is being written by process"):
        other.writer().__enter__()


def test_the_file_of_rows_is_read_by_others(
    table: Path, folder: IndexFolder, corpus_rows: Rows
) -> None:
    _, staging = stage(folder, table, corpus_rows[:4])
    (rows,) = staging.folder.glob("*.arrow")
    with pa.ipc.open_file(rows) as file:
        assert file.read_all().column("id").to_pylist() == [
            row.exemplar.id for _, row in corpus_rows[:4]
        ]
