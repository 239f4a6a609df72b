"""Snapshot: a table's rows beside it, in files that are mapped rather than read.

::

    sounds.index/snapshot/<state>-rows.arrow      all columns but the next two, ordered by id
    sounds.index/snapshot/<state>-vector.arrow
    sounds.index/snapshot/<state>-class_scores.arrow
    sounds.index/snapshot/snapshot.json           which state of the table, and their digests

A question reads an index without LanceDB, whose import alone takes longer than the answer. The
table stays the truth: a snapshot of another state is not used, and made again. Nothing is flushed
to the disk; a file torn by a power cut fails its digest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earful.files import drop_left_behind, keep_file, partial_file
from earful.model.runtime import sha256_of

if TYPE_CHECKING:
    import pyarrow as pa

SNAPSHOT_NAME: Final = "snapshot"
_ABOUT: Final = "snapshot.json"
_ROWS: Final = "rows"
# Columns with a file of their own: they are large, and not every question needs them.
_APART: Final = ("vector", "class_scores")


class Snapshot:
    """The rows of a table at one state; see the module.

    Attributes:
        version: The table's version.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], schema: pa.Schema) -> None:
        """Use ``find``."""
        self.version = int(about["version"])
        self._folder = folder
        self._files = about["files"]
        self._schema = schema
        self._parts: dict[str, pa.Table] = {}

    @classmethod
    def find(cls, index: Path, *, state: str, made_by: str, schema: pa.Schema) -> Snapshot | None:
        """Return the snapshot of an index folder, or ``None`` where there is no such one.

        Args:
            index: The index folder.
            state: The state that the table is in.
            made_by: The embedder that the index names.
            schema: The columns that the table may have.
        """
        folder = index / SNAPSHOT_NAME
        try:
            about = json.loads((folder / _ABOUT).read_bytes())
            if (about["state"], about["made_by"]) != (state, made_by):
                return None
            found = cls(folder, about, schema)
            found._part(_ROWS)
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        return found

    @staticmethod
    def keep(index: Path, table: pa.Table, *, state: str, made_by: str, version: int) -> bool:
        """Write the snapshot of a table.

        Args:
            index: The index folder.
            table: All of its rows, ordered by id, with all columns.
            state: The state that the table is in.
            made_by: The embedder that the index names.
            version: The table's version.

        Returns:
            Whether it is there now; ``False`` where the folder cannot be written.
        """
        folder = index / SNAPSHOT_NAME
        apart = [name for name in _APART if name in table.schema.names]
        parts = {_ROWS: table.drop_columns(apart), **{name: table.select([name]) for name in apart}}
        try:
            folder.mkdir(exist_ok=True)
            files: dict[str, dict[str, str]] = {}
            for part, rows in parts.items():
                name = f"{state[:16]}-{part}.arrow"
                files[part] = {"file": name, "sha256": _write(folder / name, rows)}
            about = {"state": state, "made_by": made_by, "version": version, "files": files}
            keep_file(folder / _ABOUT, json.dumps(about, indent=1).encode("ascii"))
        except OSError:
            return False
        kept = {about["file"] for about in files.values()}
        for path in folder.glob("*.arrow"):
            if path.name not in kept:
                # Whoever has mapped one keeps it, gone or not; on Windows it stays till next time.
                with suppress(OSError):
                    path.unlink()
        drop_left_behind(folder)
        return True

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self._part(_ROWS).num_rows)

    @property
    def columns(self) -> list[str]:
        """The names of the columns that have no file of their own."""
        return list(self._part(_ROWS).schema.names)

    def read(self, columns: Sequence[str]) -> pa.Table | None:
        """Return some columns of all rows, ordered by id; ``None`` where a file is damaged."""
        import pyarrow as pa

        try:
            parts = [(self._part(name if name in _APART else _ROWS), name) for name in columns]
            return pa.table(
                [part.column(name) for part, name in parts],
                schema=pa.schema([part.schema.field(name) for part, name in parts]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _part(self, name: str) -> pa.Table:
        """Map a file, which is compared with its digest first.

        Raises:
            OSError: It is gone or cannot be read.
            ValueError: Its bytes are not those that were written, or are no table.
            KeyError, TypeError: There is no such part.
        """
        if name not in self._parts:
            import pyarrow as pa

            about = self._files[name]
            path = self._folder / os.path.basename(about["file"])
            if sha256_of(path) != about["sha256"]:
                raise ValueError(f"{path}: is damaged")
            try:
                table = pa.ipc.open_file(pa.memory_map(os.fspath(path))).read_all()
                # Offsets out of range would be read all the same; the file may be a stranger's.
                table.validate(full=True)
            except pa.ArrowException as error:
                raise ValueError(f"{path}: {error}") from error
            for column, field in zip(table.columns, table.schema, strict=True):
                wanted = self._schema.field(field.name)
                if field.type != wanted.type or (column.null_count and not wanted.nullable):
                    raise ValueError(f"{path}: {field.name} is not the table's")
            self._parts[name] = table
        return self._parts[name]


def _write(path: Path, table: pa.Table) -> str:
    """Write a table where readers see all of it or nothing; return the file's digest."""
    import pyarrow as pa

    with partial_file(path) as partial:
        with partial.open("wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            # In one piece, so that a column is one array where it lies.
            writer.write_table(table.combine_chunks())
        return sha256_of(partial)
