"""Salvage: the rows of a table with damaged files that can still be read.

Some damage makes LanceDB end the whole process, so files that may be damaged are read in
another one: ``python -m earful.index.maintenance.salvage FOLDER VERSION``. It receives places
of rows, and answers with the rows or with the reason why they cannot be read; when it dies,
it is started again for the places that are left.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from earful.errors import IndexFolderError
from earful.index.storage import CHECKSUMS_NAME

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from earful.index.storage import Table

_ROWS_AT_ONCE: Final = 2048
# Fewer rows than this are not split further: damage seldom spares single rows.
_LEAST_PIECE: Final = 16
# The same limit where each try costs a new process.
_LEAST_DEADLY_PIECE: Final = 128
# The upper half of a row's place is the number of its fragment, which is one file.
_FRAGMENT_BITS: Final = 32
Places = list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """Rows that can be read; they may still be wrong.

    Attributes:
        places: Their places in the table.
        rows: All their columns.
    """

    places: Places
    rows: pa.Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Rows of one file that cannot be read.

    Attributes:
        n: How many.
        ids: Their ids; empty when even those cannot be read.
        reason: LanceDB's message.
    """

    n: int
    ids: tuple[str, ...]
    reason: str


def salvage_rows(table: Table) -> Iterator[Readable | Unreadable]:
    """Read all rows of a table that can be read, in batches.

    A damaged file costs its own rows only, and as few of those as possible.

    Args:
        table: The table, in its present version.

    Raises:
        IndexFolderError: Not even the places of the rows can be read, or another process has
            written in the meantime.
    """
    import pyarrow as pa

    places = table.places()
    left = set(places.tolist())
    # A few files that a kill left unlisted are no cause for suspicion; a missing list is.
    has_list = (table.folder / CHECKSUMS_NAME).exists()
    try:
        for batch in table.batches() if has_list else ():
            found = batch.column("_rowid").to_pylist()
            rows = pa.Table.from_batches([batch]).drop_columns(["_rowid"])
            yield Readable(places=found, rows=rows)
            left.difference_update(found)
    except IndexFolderError:
        # Read what is left in another process, where it can do no harm.
        pass
    if left:
        some = places[np.isin(places, np.fromiter(left, np.uint64, len(left)))]
        yield from _read_elsewhere(table, _pieces(some))


def _pieces(places: NDArray[np.uint64]) -> list[Places]:
    """Split places into pieces, none of which lies in two files."""
    fragments = places >> np.uint64(_FRAGMENT_BITS)
    pieces: list[Places] = []
    for fragment in np.unique(fragments):
        rows: Places = places[fragments == fragment].tolist()
        pieces += [
            rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE)
        ]
    return pieces


def read_piece(table: Table, places: Places) -> Iterator[Readable | Unreadable]:
    """Read rows of one file; where that fails, each half of them."""
    try:
        rows = table.at(places, table.columns, version=table.version)
    except IndexFolderError as error:
        if len(places) > _LEAST_PIECE:
            half = len(places) // 2
            yield from read_piece(table, places[:half])
            yield from read_piece(table, places[half:])
        else:
            reason = str(error.__cause__ or error)
            yield Unreadable(n=len(places), ids=_ids(table, places), reason=reason)
        return
    if rows is None:
        raise IndexFolderError(f"{table.folder}: was written in the meantime; try again")
    yield Readable(places=places, rows=rows)


def _ids(table: Table, places: Places) -> tuple[str, ...]:
    try:
        found = table.at(places, ["id"], version=table.version)
    except IndexFolderError:
        return ()
    return () if found is None else tuple(found.column("id").to_pylist())


# --- in another process --------------------------------------------------------------------


def _read_elsewhere(table: Table, pieces: Sequence[Places]) -> Iterator[Readable | Unreadable]:
    left = list(pieces)
    while left:
        n_done = 0
        for answer in _answers(table, left):
            yield from answer
            n_done += 1
        left = left[n_done:]
        if left:
            # It died over the first of these.
            places = left.pop(0)
            if len(places) > _LEAST_DEADLY_PIECE:
                half = len(places) // 2
                left = [places[:half], places[half:], *left]
            else:
                yield Unreadable(n=len(places), ids=(), reason="reading them ends the process")


def _answers(table: Table, pieces: Sequence[Places]) -> Iterator[list[Readable | Unreadable]]:
    """Yield the outcome of each piece, in order, until the other process dies."""
    command = [sys.executable, "-m", __name__, str(table.folder), str(table.version)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the process that reads damaged files was started without pipes")
        try:
            for piece in pieces:
                _send(process.stdin, {"places": piece})
                if (answer := _receive(process.stdout)) is None:
                    break
                yield answer
        except BrokenPipeError:
            pass
        finally:
            process.kill()


def _serve(folder: Path, version: int) -> None:
    from earful.index.storage import Table

    table = Table.at_version(folder, version)
    for line in sys.stdin.buffer:
        answer = list(read_piece(table, json.loads(line)["places"]))
        _send(sys.stdout.buffer, {"n": len(answer)})
        for part in answer:
            if isinstance(part, Readable):
                content = _packed(part.rows)
                head = {"places": part.places, "size": len(content)}
                _send(sys.stdout.buffer, head)
                sys.stdout.buffer.write(content)
            else:
                head = {"unreadable": part.n, "ids": part.ids, "reason": part.reason}
                _send(sys.stdout.buffer, head)
        sys.stdout.buffer.flush()


def _send(stream: IO[bytes], message: dict[str, Any]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def _receive(stream: IO[bytes]) -> list[Readable | Unreadable] | None:
    """Read an answer; ``None`` when the other process died before it was complete."""
    parts: list[Readable | Unreadable] = []
    if not (line := stream.readline()):
        return None
    for _ in range(json.loads(line)["n"]):
        if not (line := stream.readline()):
            return None
        head = json.loads(line)
        if "unreadable" in head:
            ids = tuple(head["ids"])
            parts.append(Unreadable(n=head["unreadable"], ids=ids, reason=head["reason"]))
            continue
        content = stream.read(head["size"])
        if len(content) < head["size"]:
            return None
        parts.append(Readable(places=head["places"], rows=_unpacked(content)))
    return parts


def _packed(rows: pa.Table) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _unpacked(content: bytes) -> pa.Table:
    import pyarrow as pa

    return pa.ipc.open_stream(content).read_all()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]))
