"""A command line with language models: small, of random weights, from a folder."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.index.builder import build_index
from earful.testing import write_flamingo
from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index, a Flamingo, and a recording to ask about."""
    home = tmp_path_factory.mktemp("home")
    for seed in range(4):
        write_tone(home / "corpus" / "hum" / f"{seed}.wav", 120 + 5 * seed, seed)
        write_tone(home / "corpus" / "fan" / f"{seed}.wav", 3000 + 50 * seed, seed + 10)
    write_tone(home / "q.wav", 130, 99)
    write_flamingo(home / "flamingo")
    write_flamingo(home / "chatty", variant="chat")
    build_index(home / "corpus", home / "s.index", embedder="logmel")
    return home


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, earful_command: Run) -> Run:
    """Run a command in that folder, with ``stdin`` as typed or piped."""
    monkeypatch.chdir(home)
    monkeypatch.delenv("EARFUL_MODEL", raising=False)
    monkeypatch.setenv("EARFUL_HOME", str(home / "earful-home"))

    def call(*words: object, stdin: str | io.StringIO = "") -> tuple[int, str, str]:
        typed = io.StringIO(stdin) if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", typed)
        code, out, err = earful_command(*words)
        assert "Traceback" not in err
        return code, out, err

    return call
