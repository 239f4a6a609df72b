"""A command line in a folder whose every name is private."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.private_home import write_private_home

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_private_home(tmp_path_factory.mktemp("jane doe's sounds"))


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, earful_command: Run) -> Run:
    monkeypatch.chdir(home)
    return earful_command
