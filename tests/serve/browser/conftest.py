"""The night that the tests of the page share, and a server of it for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from earful.index.labels import journal_path
from tests.support.asked_page import asked, make_examples
from tests.support.browser import launched, visited
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


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    make_examples(folder)
    return folder


Visit = Callable[..., AbstractContextManager[Any]]


@pytest.fixture(scope="module")
def visit(made: Path, examples: Path) -> Iterator[Visit]:
    """Visits to a page that answers, in one browser and by one server for all tests of a file."""
    with ExitStack() as stack:
        browser = stack.enter_context(
            launched("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
        )
        address = stack.enter_context(asked(examples, made / "night.scan"))
        yield partial(visited, address, browser=browser)
