"""The night that the tests of the page share, and a server of it for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from earful.index.labels import journal_path
from tests.support.served_page import make_night, open_night, served


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    make_night(folder)
    return folder


@pytest.fixture
def folder(made: Path) -> Iterator[Path]:
    """The night without labels."""
    journal_path(made / "night.scan").unlink(missing_ok=True)
    yield made
    journal_path(made / "night.scan").unlink(missing_ok=True)


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """Address of a page that serves the night."""
    with served(open_night(folder)) as address:
        yield address
