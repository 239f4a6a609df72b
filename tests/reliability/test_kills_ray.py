"""Drivers of a Ray build, killed at random moments and started again."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from earful.index import Index, build_index, verify_index
from tests.support.killed_jobs import index_contents, require_same
from tests.support.ray_clusters import MARKS, ray_cluster
from tests.support.small_corpus import Samples, write_corpus

pytestmark = [*MARKS, pytest.mark.trial]
_ROOT = Path(__file__).resolve().parents[2]
_KILLS = 8
_DRIVER = """
import sys
from earful.index import BuildOptions, build_index
from earful.index.distributed import RayEngine
from tests.support.ray_clusters import MARKS, ray_cluster
from tests.support.small_corpus import Samples

def tell(progress):
    print(progress.committed, flush=True)

build_index(
    sys.argv[1], sys.argv[2], embedder=Samples(), progress=tell,
    options=BuildOptions(commit_rows=8),
    engine=RayEngine(address=sys.argv[3], workers=1, max_unit_rows=4, load=Samples),
)
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Ray that outlives its drivers."""
    with ray_cluster() as address:
        yield address


def test_a_killed_driver_loses_no_row_that_was_committed(address: str, tmp_path: Path) -> None:
    moments = random.Random(27)
    corpus, index = write_corpus(tmp_path / "corpus", 80), tmp_path / "ray.index"
    build_index(corpus, tmp_path / "whole.index", embedder=Samples())
    n_known = 0
    for _ in range(_KILLS):
        driver = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, str(corpus), str(index), address],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        assert driver.stdout is not None
        # The first word comes with the first result: from then on anything may be under way.
        committed = int(driver.stdout.readline() or 0)
        time.sleep(moments.uniform(0, 0.3))
        driver.send_signal(signal.SIGKILL)
        committed = max([committed, *map(int, driver.stdout.read().split())])
        driver.wait()
        rows = index_contents(Index.open(index))
        assert len(rows) >= n_known + committed
        n_known = len(rows)
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(corpus), str(index), address],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        check=False,
    )
    assert done.returncode == 0
    whole = index_contents(Index.open(tmp_path / "whole.index"))
    require_same(index_contents(Index.open(index)), whole)
    assert not verify_index(Index.open(index)).problems
