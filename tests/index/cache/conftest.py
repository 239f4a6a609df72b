"""An index with a snapshot, and one without."""

from collections.abc import Callable
from pathlib import Path

import pytest

from earful.index import Index
from earful.index.storage import table
from tests.support.snapshots import made_index, names


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index of twelve rows and three classes, in two commits, without a snapshot."""
    return made_index(tmp_path, 12)


@pytest.fixture
def kept(index: Path) -> Path:
    """The same with a snapshot."""
    assert Index.open(index).class_scores is not None
    assert names(index)
    return index


@pytest.fixture
def no_lance(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on nobody may use LanceDB."""

    def refuse(folder: Path) -> None:
        raise AssertionError(f"LanceDB was used in {folder}")

    return lambda: monkeypatch.setattr(table, "connect", refuse)
