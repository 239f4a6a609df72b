"""An index with a snapshot, and one without."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.index import Index
from earful.index.storage import table
from tests.support.snapshots import made_index, names


@pytest.fixture(scope="session")
def plain_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``index`` copies."""
    return made_index(tmp_path_factory.mktemp("plain"), 12)


@pytest.fixture(scope="session")
def kept_index(plain_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``kept`` copies."""
    path = shutil.copytree(plain_index, tmp_path_factory.mktemp("kept") / plain_index.name)
    assert Index.open(path).class_scores is not None
    assert names(path)
    return path


@pytest.fixture
def index(plain_index: Path, tmp_path: Path) -> Path:
    """An index of twelve rows and three classes, in two commits, without a snapshot."""
    return shutil.copytree(plain_index, tmp_path / plain_index.name)


@pytest.fixture
def kept(kept_index: Path, tmp_path: Path) -> Path:
    """The same with a snapshot."""
    return shutil.copytree(kept_index, tmp_path / kept_index.name)


@pytest.fixture
def no_lance(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on nobody may use LanceDB."""

    def refuse(folder: Path) -> None:
        raise AssertionError(f"LanceDB was used in {folder}")

    return lambda: monkeypatch.setattr(table, "connect", refuse)
