"""Builds by workers of a real Ray, of one session for all tests; about 2 CPUs are enough."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from earful.errors import EngineError, IndexMismatchError
from earful.index import Index, build_index, verify_index
from earful.index.builder import BuildReport
from earful.index.distributed import RayEngine
from tests.support.levels import Levels, write_level, write_table
from tests.support.ray_clusters import MARKS, ray_cluster
from tests.support.ray_embedders import (
    DEADLY,
    RAISING,
    Deadly,
    OtherWeights,
    Waiting,
    when_there,
)

pytestmark = MARKS
_LEVELS = [0.05 + number / 40 for number in range(20)]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[str]:
    with ray_cluster() as address:
        yield address


@pytest.fixture(autouse=True)
def decode_here() -> None:
    """Workers decode in processes of their own, unlike in the other tests here."""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a table of twenty recordings and others."""

    def to(*others: float) -> Path:
        rows = []
        for number, level in enumerate([*_LEVELS, *others]):
            write_level(tmp_path / f"{number:02}.wav", level)
            rows.append({"audio": f"{number:02}.wav", "label": "abc"[number % 3]})
        (tmp_path / "corrupt.wav").write_bytes(b"no audio at all")
        rows += [{"audio": f"{name}.wav", "label": "a"} for name in ("corrupt", "missing")]
        write_table(tmp_path / "table.csv", rows)
        return tmp_path / "table.csv"

    return to


def contents(path: Path) -> list[tuple[str, str]]:
    read = Index.open(path).read_table(["id", "row_sha256"])
    return sorted(zip(*read.to_pydict().values(), strict=True))


def build(table: Path, engine: RayEngine, name: str = "ray.index") -> BuildReport:
    return build_index(table, table.parent / name, embedder=Levels(), engine=engine)


def test_workers_make_what_a_local_build_makes(write: Callable[..., Path], tmp_path: Path) -> None:
    table = write()
    local = build_index(table, tmp_path / "local.index", embedder=Levels())
    report = build(table, RayEngine(workers=2, load=Levels))
    assert contents(tmp_path / "ray.index") == contents(tmp_path / "local.index")
    assert report.rejected == local.rejected
    assert [Path(one.audio).stem for one in report.rejected] == ["corrupt", "missing"]
    assert (report.accepted, report.skipped, report.n) == (20, 0, 20)
    query = np.array([0.6, 0.8], dtype=np.float32)
    found = [
        [(hit.exemplar.id, hit.similarity) for hit in Index.open(path).vectors().search(query, k=9)]
        for path in (tmp_path / "ray.index", tmp_path / "local.index")
    ]
    assert found[0] == found[1]
    assert not verify_index(Index.open(tmp_path / "ray.index")).problems
    again = build(table, RayEngine(workers=1, load=Levels))
    assert (again.accepted, again.skipped, again.rejected) == (0, 20, report.rejected)


def test_rows_that_end_or_fail_workers_cost_themselves_alone(
    write: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = write(DEADLY, RAISING)
    report = build(table, RayEngine(workers=2, max_unit_rows=2, load=Deadly))
    reasons = {Path(one.audio).stem: one.error for one in report.rejected}
    assert sorted(reasons) == ["20", "21", "corrupt", "missing"]
    assert reasons["20"] == "its worker was lost 3 times: its process ended"
    assert reasons["21"] == "it failed 3 times: RuntimeError: cannot embed this"
    assert (report.accepted, report.n) == (20, 20)
    # Ray would tell of lost workers on the standard output.
    assert capfd.readouterr().out == ""


def test_a_killed_worker_costs_no_row(write: Callable[..., Path], tmp_path: Path) -> None:
    table = write()
    build_index(table, tmp_path / "local.index", embedder=Levels())
    killed: list[int] = []

    def kill(pid: str) -> None:
        os.kill(int(pid), signal.SIGKILL)
        killed.append(int(pid))

    watching = threading.Thread(target=partial(when_there, tmp_path / "pid", kill))
    watching.start()
    load = Waiting(folder=tmp_path, level=_LEVELS[11])
    report = build(table, RayEngine(workers=2, load=load))
    watching.join()
    assert len(killed) == 1
    assert (report.accepted, len(report.rejected)) == (20, 2)
    assert contents(tmp_path / "ray.index") == contents(tmp_path / "local.index")


def test_workers_with_other_weights_refuse(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(IndexMismatchError, match="weights_sha256"):
        build(write(), RayEngine(workers=1, load=OtherWeights))
    assert contents(tmp_path / "ray.index") == []


def test_more_workers_than_there_is_room_for_are_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(EngineError, match="room for"):
        build(write(), RayEngine(workers=4096, load=Levels))
    with pytest.raises(EngineError, match="GPU"):
        build(write(), RayEngine(workers=4096, gpus_per_worker=1, load=Levels))


def test_the_command_builds_on_a_cluster_by_its_address(
    write: Callable[..., Path], tmp_path: Path, cluster: str
) -> None:
    table = write()
    command = [sys.executable, "-m", "earful", "index", "build", str(table), "--index"]
    options = ["--embedder", "logmel", "--engine", "ray", "--workers", "1", "--json"]
    done = subprocess.run(
        [*command, str(tmp_path / "cli.index"), *options, "--ray-address", cluster],
        stdout=subprocess.PIPE,
        env={**os.environ, "EARFUL_HOME": str(tmp_path / "home")},
        check=False,
    )
    told = json.loads(done.stdout)
    assert (told["accepted"], len(told["rejected"]), told["n"]) == (20, 2, 20)
