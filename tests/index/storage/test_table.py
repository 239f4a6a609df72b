import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earful.errors import IndexFolderError
from earful.index import Index, verify_index
from earful.index.search import IndexBackend, SearchFilter
from earful.index.storage import Row, Table, WriterLock
from earful.index.storage.table_reader import translate_errors
from earful.model import Fingerprint
from tests.support.facilities import needs

MakeRow = Callable[..., Row]


def lance_files(index: Index, kind: str) -> list[Path]:
    """Files of one kind, newest version first for manifests."""
    return sorted((index.path / "table" / "exemplars.lance").glob(f"{kind}/*"))


def test_the_id_is_marked_as_the_primary_key(index: Index) -> None:
    import lancedb

    field = lancedb.connect(index.path / "table").open_table("exemplars").schema.field("id")
    assert field.metadata[b"lance-schema:unenforced-primary-key"] == b"true"
    assert not field.nullable


@pytest.mark.parametrize("damage", ["empty", "half", "garbage"])
def test_a_torn_manifest_costs_the_last_commit_only(
    index: Index, make_row: MakeRow, damage: str
) -> None:
    newest, before, *_ = lance_files(index, "_versions")
    content = newest.read_bytes()
    newest.write_bytes(
        {"empty": b"", "half": content[: len(content) // 2], "garbage": b"\x07" * len(content)}[
            damage
        ]
    )
    with pytest.warns(RuntimeWarning, match="newest version of its table was damaged"):
        opened = Index.open(index.path)
    assert list(opened._folder.indexed_rows()) == ["a"]
    assert (index.path / "_quarantine" / newest.name).exists()
    assert before.exists()
    opened.add([make_row("b")])
    assert list(Index.open(index.path)._folder.indexed_rows()) == ["a", "b"]
    assert verify_index(opened).problems == ()


def test_a_torn_manifest_is_left_alone_while_somebody_writes(index: Index) -> None:
    newest = lance_files(index, "_versions")[0]
    newest.write_bytes(b"")
    with WriterLock(index.path).held(), pytest.raises(IndexFolderError, match="being written"):
        Index.open(index.path)
    assert newest.exists()


def test_no_manifest_at_all(index: Index) -> None:
    shutil.rmtree(index.path / "table" / "exemplars.lance" / "_versions")
    with pytest.raises(IndexFolderError, match="its table cannot be used"):
        Index.open(index.path)


@pytest.mark.parametrize("damage", ["deleted", "truncated"])
def test_a_damaged_fragment_is_named_and_never_answers(
    index: Index, make_row: MakeRow, damage: str
) -> None:
    fragment = lance_files(index, "data")[0]
    if damage == "deleted":
        fragment.unlink()
    else:
        fragment.write_bytes(fragment.read_bytes()[:100])
    opened = Index.open(index.path)
    reads = (
        opened.vectors,
        opened._folder.indexed_rows,
        lambda: opened.search(make_row("a").vector),
    )
    for read in reads:
        with pytest.raises(IndexFolderError, match="--repair"):
            read()


def test_a_reader_whose_version_is_gone_goes_on_with_the_newest(
    index: Index, make_row: MakeRow
) -> None:
    reader = Index.open(index.path)
    index.add([make_row("c")])
    import lancedb

    # As a compaction does once the hour that old versions are kept is over.
    table = lancedb.connect(index.path / "table").open_table("exemplars")
    table.optimize()
    # That makes two versions; the first of them still needs the files that are to go.
    time.sleep(0.1)
    table.optimize(cleanup_older_than=timedelta(milliseconds=1))
    assert len(reader.vectors()) == 3


def test_compacting_needs_room(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(index.path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(
        IndexFolderError, match=r"compacting needs [\d,]+ bytes and the disk has 1,000; free"
    ):
        index.compact()


def test_compacting_merges_fragments(index: Index, make_row: MakeRow) -> None:
    for number in range(6):
        index.add([make_row(str(number))])
    index.compact()
    import lancedb

    table = lancedb.connect(index.path / "table").open_table("exemplars")
    stats: Any = table.stats()
    assert stats["fragment_stats"]["num_fragments"] == 1
    assert len(index._folder.indexed_rows()) == 8


@needs("O_DIRECTORY")
def test_every_file_of_a_commit_is_flushed(
    index: Index, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[str] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        flushed.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    before = {str(path.resolve()) for path in index.path.rglob("*")}
    monkeypatch.setattr(os, "fsync", noted)
    index.add([make_row("c")])
    after = {str(path.resolve()) for path in index.path.rglob("*") if path.is_file()}
    new = after - before
    assert {Path(path).parent.name for path in new} >= {"data", "_versions"}
    assert new <= flushed
    assert {str(Path(path).parent) for path in new} <= flushed


def test_a_table_with_other_columns_is_refused(index: Index, fingerprint: Fingerprint) -> None:
    import lancedb

    lancedb.connect(index.path / "table").open_table("exemplars").drop_columns(["meta"])
    with pytest.raises(IndexFolderError, match="do not belong together"):
        Table.open(index.path, fingerprint)


@pytest.mark.parametrize("where", ["", "duration_s > 0"])
@pytest.mark.parametrize("backend", ["exact", "half"])
def test_every_search_goes_on_when_its_version_is_gone(
    index: Index,
    make_row: MakeRow,
    monkeypatch: pytest.MonkeyPatch,
    backend: IndexBackend,
    where: str,
) -> None:
    monkeypatch.setattr("earful.index.storage.table._KEEP_VERSIONS", timedelta(milliseconds=1))
    reader = Index.open(index.path)
    reader.search(make_row("a").vector)
    index.add([make_row("c")])
    time.sleep(0.1)
    index.compact()
    chosen = SearchFilter(where=where)
    hits = reader.search(make_row("a").vector, backend=backend, filter=chosen)
    assert hits[0].exemplar.id == "a"


def test_a_panic_of_lancedb_is_an_error_of_the_folder(tmp_path: Path) -> None:
    """Its class derives from BaseException, and says where it was made only."""
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    with (
        pytest.raises(IndexFolderError, match=r"cannot be used \(index out of bounds\)"),
        translate_errors(tmp_path),
    ):
        raise panic("index out of bounds")
    with pytest.raises(KeyboardInterrupt), translate_errors(tmp_path):
        raise KeyboardInterrupt


@pytest.mark.parametrize("backend", ["exact", "half", "approximate"])
@pytest.mark.parametrize(
    "query", [[0, 0, 0, 0], [np.nan, 0, 0, 1], [np.inf, 0, 0, 0], [2, 0, 0, 0]]
)
def test_a_query_that_is_no_unit_vector_is_refused_by_every_backend(
    index: Index, backend: IndexBackend, query: list[float]
) -> None:
    with pytest.raises(ValueError, match="unit norm"):
        index.search(np.array(query, np.float32), backend=backend)
