"""Registry of the trees of datasets, and writers of the files that several of them have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.support.sound_files import write_text

LAYOUTS: dict[str, Callable[[Path], None]] = {}


def layout(lay_out: Callable[[Path], None]) -> Callable[[Path], None]:
    """Register a tree under the name of its dataset."""
    LAYOUTS[lay_out.__name__.replace("_", "-")] = lay_out
    return lay_out


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON."""
    write_text(path, json.dumps(value))
