"""The built sdist and wheel, and an environment with the wheel alone, each made once a run."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.installed import ROOT, Installed, install, run_uv


def _made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return a folder that one of the test processes makes, and the others wait for."""
    with FileLock(folder.with_suffix(".lock")):
        done = folder.with_suffix(".done")
        if not done.exists():
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this run have."""
    mine = tmp_path_factory.getbasetemp()
    return mine.parent if os.environ.get("PYTEST_XDIST_WORKER") else mine


@pytest.fixture(scope="session")
def dist(shared: Path) -> Path:
    """The folder of sdist and wheel; ``EARFUL_DIST`` names one that is to be released."""
    if named := os.environ.get("EARFUL_DIST"):
        return Path(named).resolve()
    return _made_once(
        shared / "dist",
        lambda folder: run_uv("build", "--quiet", "--out-dir", folder, ROOT, cwd=shared),
    )


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("earful-*.whl")
    return found


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    (found,) = dist.glob("earful-*.tar.gz")
    return found


@pytest.fixture(scope="session")
def bare(shared: Path, wheel: Path) -> Installed:
    """An environment with earful and what it depends on, and no extra."""
    return Installed(_made_once(shared / "bare", lambda folder: install(wheel, folder)))
