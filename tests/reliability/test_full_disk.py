"""A disk that is full at any write costs nothing: one error, and the same call goes on later."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import filling
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(300)]

MOUNT = 'mount -t tmpfs -o size=4m none "$1" && shift && exec "$@"'


def on_a_small_disk(disk: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a mount namespace where a folder is a small disk."""
    return subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            MOUNT,
            "sh",
            disk,
            *command,
        ],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_a_disk_that_is_full_at_every_write_in_turn(
    tmp_path: Path, keep_figures: Callable[..., None]
) -> None:
    disk, beside = tmp_path / "disk", tmp_path / "beside"
    disk.mkdir()
    beside.mkdir()
    if on_a_small_disk(disk, "true").returncode:
        pytest.skip("no disk can be mounted here; want user namespaces")
    found = on_a_small_disk(disk, sys.executable, filling.__file__, disk, beside)
    assert found.returncode == 0, found.stderr
    n_full: dict[str, int] = json.loads(found.stdout.splitlines()[-1])
    assert n_full.keys() == filling.CHANGES.keys()
    assert all(n_full.values())
    keep_figures("full-disk", trials=sum(n_full.values()), rows_lost=0, **n_full)
