"""A command line in a folder of its own, with a corpus of tones and its index."""

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


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four recordings each of two labels."""
    for seed in range(4):
        write_tone(tmp_path / "corpus" / "low hum" / f"{seed}.wav", 120 + 5 * seed, seed)
        write_tone(tmp_path / "corpus" / "whistle" / f"{seed}.wav", 3000 + 50 * seed, seed + 10)
    return tmp_path / "corpus"


@pytest.fixture
def index(run: Run, corpus: Path) -> Path:
    """The index of the corpus, by a command."""
    code, _, err = run("index", "build", corpus, "--index", "s.index", "--embedder", "logmel")
    assert code == 0, err
    return Path("s.index")
