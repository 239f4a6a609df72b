"""The layouts by name, and files that several of them have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.support.sound_files import write_text

LAYOUTS: dict[str, Callable[[Path], None]] = {}


def layout(lay_out: Callable[[Path], None]) -> Callable[[Path], None]:
    """Register a tree by the name of its dataset."""
    LAYOUTS[lay_out.__name__.replace("_", "-")] = lay_out
    return lay_out


def write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value))


def write_parquet(path: Path, rows: list[dict[str, object]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
