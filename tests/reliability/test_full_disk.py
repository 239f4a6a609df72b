"""A disk that is full at any write costs nothing: one error, and the same call goes on later."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.index.builder import build_index
from tests.support import full_disk
from tests.support.small_corpus import Samples, write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(300)]

SMALL = 'mount -t tmpfs -o size=4m none "$1" && shift && exec "$@"'
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
# Root may write any folder, but not one that is mounted so.
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")


def mounted(mount: str, folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a mount namespace where a folder is a disk of some kind."""
    return subprocess.run(
        [*NAMESPACE, mount, "sh", folder, *command],
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
    )


def test_a_disk_that_is_full_at_every_write_in_turn(
    tmp_path: Path, keep_figures: Callable[..., None]
) -> None:
    disk, beside = tmp_path / "disk", tmp_path / "beside"
    disk.mkdir()
    beside.mkdir()
    if mounted(SMALL, disk, "true").returncode:
        pytest.skip("no disk can be mounted here: expected user namespaces")
    found = mounted(SMALL, disk, sys.executable, full_disk.__file__, disk, beside)
    assert found.returncode == 0, found.stderr
    n_full: dict[str, int] = json.loads(found.stdout.splitlines()[-1])
    assert n_full.keys() == full_disk.CHANGES.keys()
    assert all(n_full.values())
    keep_figures("full-disk", trials=sum(n_full.values()), **n_full)


READER = """
import sys
from pathlib import Path
from earful.errors import IndexFolderError
from earful.index import Index, repair_index, verify_index
from tests.support.small_corpus import Samples

folder = Path(sys.argv[1])
index = Index.open(folder)
rows = index.vectors()
assert len(index.search(rows.vectors[0])) == 8
assert len(index.search(rows.vectors[0], backend="half")) == 8
assert verify_index(index).problems == ()
stored = list(index._folder.rows([rows.exemplars[0].id]).values())
for write in (
    lambda: index.add(stored),
    lambda: index.remove([rows.exemplars[0].id]),
    index.compact,
    index._folder.index_columns,
    lambda: repair_index(folder, embedder=Samples()),
):
    try:
        write()
    except IndexFolderError as error:
        assert "Read-only file system" in str(error), error
    else:
        raise AssertionError("a read-only folder was written")
"""


def test_a_read_only_folder_is_searched_and_verified_and_never_written(tmp_path: Path) -> None:
    corpus, folder = write_corpus(tmp_path / "sounds", 10), tmp_path / "sounds.index"
    build_index(corpus, folder, embedder=Samples())
    if mounted(READ_ONLY, tmp_path, "true").returncode:
        pytest.skip("no folder can be mounted here: expected user namespaces")
    found = mounted(READ_ONLY, tmp_path, sys.executable, "-c", READER, folder)
    assert (found.returncode, found.stderr) == (0, "")
