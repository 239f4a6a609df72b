from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.page_servers import PageServer, make_index, open_server


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of eight tones; nobody changes it."""
    return make_index(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def server(index: Path) -> Iterator[PageServer]:
    """A server of that index."""
    opened = open_server(index)
    yield opened
    opened.state.close()
