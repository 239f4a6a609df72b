"""Pieces of a table: each is read whole, or costs its own rows only."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from earful.errors import IndexFolderError
from earful.index.maintenance import salvage
from earful.index.storage import CHECKSUMS_NAME, IndexFolder, Row, Table
from earful.model import Fingerprint

N_ROWS = 1300  # three pieces in one file
MakeRow = Callable[..., Row]


@pytest.fixture
def table(tmp_path: Path, fingerprint: Fingerprint, make_row: MakeRow) -> Table:
    index = IndexFolder.create(tmp_path / "sounds.index", fingerprint)
    index.add([make_row(f"{number:04}") for number in range(N_ROWS)])
    return index.table


def sizes(table: Table) -> list[tuple[int, int, str]]:
    return [(len(p.places), len(p.ids), p.fault) for p in salvage.salvage_rows(table)]


@pytest.mark.slow
@pytest.mark.parametrize("listed", [True, False])
def test_all_rows_are_read_here_or_in_another_process(table: Table, listed: bool) -> None:
    if not listed:
        (table.folder / CHECKSUMS_NAME).unlink()
    pieces = list(salvage.salvage_rows(table))
    assert [id_ for piece in pieces for id_ in piece.ids] == [f"{n:04}" for n in range(N_ROWS)]
    assert {piece.fault for piece in pieces} == {""}
    assert pieces[0].rows.column_names == table.columns


@pytest.mark.parametrize("unreadable", ["vector", "id"])
def test_a_row_that_cannot_be_read_costs_its_piece(
    table: Table, monkeypatch: pytest.MonkeyPatch, unreadable: str
) -> None:
    at, broken = table.at, table.places().tolist()[700]

    def fail(row_ids: Sequence[int], columns: Sequence[str], **options: Any) -> Any:
        if broken in row_ids and unreadable in columns:
            raise IndexFolderError("torn page")
        return at(row_ids, columns, **options)

    monkeypatch.setattr(table, "at", fail)
    n_ids = 0 if unreadable == "id" else 512
    assert sizes(table) == [(512, 512, ""), (512, n_ids, "torn page"), (276, 276, "")]


@pytest.mark.slow
def test_a_piece_that_ends_the_process_costs_its_own_rows(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (table.folder / CHECKSUMS_NAME).unlink()
    python = tmp_path / "python"
    # Dies over the second piece: its arguments are -m MODULE FOLDER VERSION FIRST.
    python.write_text(
        "#!/bin/sh\n"
        f'if [ "$5" = 0 ]; then "{sys.executable}" "$@" | head -c 100000; kill -9 $$; fi\n'
        f'if [ "$5" = 1 ]; then exit 1; fi\nexec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    read = sizes(table)
    assert [(n, n_ids) for n, n_ids, _ in read] == [(512, 0), (512, 0), (276, 276)]
    assert "ends the process" in read[0][2]
