"""Salvage: the rows of a table with damaged files that can still be read.

Some damage makes LanceDB end the whole process, so a table that may be damaged is read in
another one: ``python -m earful.index.maintenance.salvage FOLDER VERSION FIRST``. It writes one
Arrow stream for each piece of the table, from the given one on; when it dies over a piece, it
is started again for the next one.

A piece is read whole or not at all. Most damage changes a value and stops no reading; the row's
own digest tells then which row it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import numpy as np

from earful.errors import IndexFolderError
from earful.index.storage import CHECKSUMS_NAME

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.storage import Table

# The most rows that are lost with one that cannot be read; fewer at once take longer to read.
_ROWS_AT_ONCE: Final = 512
# The upper half of a row's place is the number of its fragment, which is one file.
_FRAGMENT_BITS: Final = 32
_FAULT: Final = b"earful:fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Rows of one file, read together.

    Attributes:
        places: Their places in the table.
        rows: All their columns; the values may still be wrong. Where they cannot be read: their
            ids, or nothing at all.
        fault: LanceDB's message where they cannot be read; empty where they can.
    """

    places: list[int]
    rows: pa.Table
    fault: str

    @property
    def ids(self) -> list[str]:
        """The ids of the rows; empty where even those cannot be read."""
        if "id" not in self.rows.column_names:
            return []
        ids: list[str] = self.rows.column("id").to_pylist()
        return ids


def salvage_rows(table: Table) -> Iterator[Piece]:
    """Read all rows of a table, in pieces; one that cannot be read has a fault instead.

    Args:
        table: The table, in its present version.

    Raises:
        IndexFolderError: Not even the places of the rows can be read.
    """
    pieces, version = _pieces(table), table.version
    # A few files that a kill left unlisted are no cause for suspicion; a missing list is.
    is_suspect = table.damaged_files() or not (table.folder / CHECKSUMS_NAME).exists()
    read = _read_elsewhere(table, pieces) if is_suspect else _read(table, pieces, version)
    for places, rows in zip(pieces, read, strict=True):
        fault = (rows.schema.metadata or {}).get(_FAULT, b"").decode()
        yield Piece(places=places, rows=rows, fault=fault)


def _pieces(table: Table) -> list[list[int]]:
    """Split the places of all rows into pieces, none of which lies in two files."""
    places = np.sort(table.places())
    files = np.split(places, np.flatnonzero(np.diff(places >> np.uint64(_FRAGMENT_BITS))) + 1)
    return [
        rows[start : start + _ROWS_AT_ONCE].tolist()
        for rows in files
        for start in range(0, len(rows), _ROWS_AT_ONCE)
    ]


def _read(table: Table, pieces: list[list[int]], version: int) -> Iterator[pa.Table]:
    """Read pieces; of one that cannot be read the ids or nothing, with the reason as metadata."""
    for places in pieces:
        try:
            yield _columns(table, places, table.columns, version)
        except IndexFolderError as error:
            reason = str(error.__cause__ or error)
            try:
                ids = _columns(table, places, ["id"], version)
            except IndexFolderError:
                ids = _nothing("")
            yield ids.replace_schema_metadata({_FAULT: reason.encode()})


def _columns(table: Table, places: list[int], columns: list[str], version: int) -> pa.Table:
    if (found := table.at(places, columns, version=version)) is None:
        raise IndexFolderError(f"{table.folder}: was written in the meantime; try again")
    return found


def _nothing(reason: str) -> pa.Table:
    import pyarrow as pa

    return pa.table({}).replace_schema_metadata({_FAULT: reason.encode()})


# --- in another process --------------------------------------------------------------------


def _read_elsewhere(table: Table, pieces: list[list[int]]) -> Iterator[pa.Table]:
    """Read pieces as ``_read`` does, where damage can do no harm."""
    import pyarrow as pa

    n_read = 0
    while n_read < len(pieces):
        command = [sys.executable, "-m", __name__]
        command += map(str, (table.folder, table.version, n_read))
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                while n_read < len(pieces):
                    n_read += 1
                    yield pa.ipc.open_stream(process.stdout).read_all()
            except (OSError, pa.ArrowInvalid):
                yield _nothing("reading them ends the process")
            finally:
                process.kill()


def _write_pieces(folder: Path, version: int, first: int, out: IO[bytes]) -> None:
    import pyarrow as pa

    from earful.index.storage import Table

    table = Table.at_version(folder, version)
    for rows in _read(table, _pieces(table)[first:], version):
        with pa.ipc.new_stream(out, rows.schema) as writer:
            writer.write_table(rows)
        out.flush()


def _end_with_parent() -> None:
    """End this process when the one that reads its pieces has gone."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _write_pieces(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.stdout.buffer)
