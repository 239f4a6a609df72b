"""Corpora in object stores: their addresses become paths, and tables that name addresses a root."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path

from earful.errors import CorpusError, StoreError
from earful.index.corpus.exemplar_reader import ExemplarReader
from earful.index.corpus.tables import as_text, read_rows, table_kind
from earful.object_stores import (
    Location,
    is_address,
    location_at,
    parse_location,
    stored_path,
    stored_source,
)

_WITH_COLUMNS = ("csv", "tsv", "jsonl", "parquet")


def source_path(source: str | os.PathLike[str]) -> Path:
    """Return the path of a corpus; one at an address is listed, and its tables fetched.

    Raises:
        StoreError: The address is malformed, or its store cannot be asked.
    """
    if not is_address(source):
        return Path(source)
    return stored_source(parse_location(source), _is_table)


def root_path(root: str | os.PathLike[str]) -> Path:
    """Return the path of a corpus root, which may be an address.

    Raises:
        StoreError: The address is malformed.
    """
    return stored_path(parse_location(root)) if is_address(root) else Path(root)


def root_of_table(
    table: Path, folder: Path, known: Collection[str], columns: Mapping[str, str]
) -> Path:
    """Return the root of a table without a given one: its folder, or the bucket of its addresses.

    Args:
        table: The table.
        folder: Its folder.
        known: Names of columns, in lower case, by which a header is told from other text.
        columns: Column of a field, where it has another name than usual.
    """
    text = _first_audio(table, known, columns)
    try:
        location = location_at(text) if is_address(text) else None
    except StoreError:
        location = None  # whoever reads the row says what is wrong with it
    if location is None:
        return folder
    return stored_path(Location(scheme=location.scheme, bucket=location.bucket))


def _first_audio(table: Path, known: Collection[str], columns: Mapping[str, str]) -> str:
    """Return what the first row of a table names as its audio; ``""`` where that is unclear."""
    if table_kind(table) not in _WITH_COLUMNS:
        return ""
    reader = ExemplarReader(
        root=table.parent,
        columns=dict(columns),
        label_separator="|",
        drop_missing=False,
        advise_options=False,
        allow_outside=True,
    )
    try:
        with closing(read_rows(table, known)) as rows:
            for where, record in rows:
                found = reader.find_columns(record, where)
                return as_text(record[found["audio"]], where, found["audio"]).strip()
    except (CorpusError, KeyError):
        pass  # whoever reads the table says what is wrong with it
    return ""


def _is_table(path: Path) -> bool:
    return table_kind(path) is not None
