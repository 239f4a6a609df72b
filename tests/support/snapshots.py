"""Indexes without their snapshot, to see what is read of the table itself."""

import shutil
from pathlib import Path


def drop_snapshot(index: Path) -> None:
    """Remove the snapshot of an index folder, if there is one."""
    shutil.rmtree(index / "snapshot", ignore_errors=True)
