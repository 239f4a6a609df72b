"""A command line in a folder of its own, with a corpus of tones and its index."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, earful_command: Run, tmp_path: Path) -> Run:
    """Run a command in the test's folder; gives exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    return earful_command


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and its index by a command, to copy: to build takes much longer."""
    from earful import cli

    first = tmp_path_factory.mktemp("first")
    for seed in range(4):
        write_tone(first / "corpus" / "low hum" / f"{seed}.wav", 120 + 5 * seed, seed)
        write_tone(first / "corpus" / "whistle" / f"{seed}.wav", 3000 + 50 * seed, seed + 10)
    words = ["index", "build", "corpus", "--index", "s.index", "--embedder", "logmel"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(first)
        patch.setattr(sys, "argv", ["earful", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code
    # A copy finds its recordings beside itself, if those it was built of are gone.
    return first.rename(first.with_name("made"))


@pytest.fixture
def corpus(made: Path, tmp_path: Path) -> Path:
    """Four recordings each of two labels."""
    return shutil.copytree(made / "corpus", tmp_path / "corpus")


@pytest.fixture
def index(made: Path, run: Run, corpus: Path, tmp_path: Path) -> Path:
    """The index of the corpus."""
    shutil.copytree(made / "s.index", tmp_path / "s.index")
    return Path("s.index")
