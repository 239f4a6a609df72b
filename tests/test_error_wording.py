"""Whole sentences of errors from every layer, as a user reads them.

Other tests compare an error's type, the value at fault and a keyword, so that a sentence can
be improved here alone: ``EARFUL_WRITE_GOLDEN=1`` writes ``golden/errors.txt`` anew.
"""

import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]
GOLDEN = Path(__file__).with_name("golden") / "errors.txt"

COMMANDS = (
    "classify q.wav --index none.index",
    "classify none.wav --index s.index --model none",
    "classify q.wav --index s.index --labels whistle,gong --model none",
    "classify q.wav --index s.index --length max",
    "classify q.wav --index s.index --shots -1",
    "classify q.wav --task urban-sound",
    "ask q.wav 'Is it near?' --model flamigo",
    "ask q.wav 'Is it near?' --index s.index --model none",
    "search q.wav --index s.index --where 'nonsense = 1'",
    "search --text 'a whistle' --index s.index",
    "index build corpus --index s.index --embedder earful-tiny",
    "index build corpus --index new.index --embedder erful-tiny",
    "index build table.csv --index new.index --embedder logmel",
    "index remove s.index nobody.wav",
    "index push s.index sounds",
    "index pull ./nowhere --index new.index",
    "tasks check wrong.toml",
    "evaluate --index s.index --data corpus --model none --near-duplicate 1.0",
    "models pull audio-flamingo-chat",
)
TASK = """\
labels = ["hum", "hum"]
questoin = "What is it?"

[shots]
k = -3
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earful_command: Run) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EARFUL_HOME", "home")
    for seed in range(3):
        write_tone(Path(f"corpus/hum/{seed}.wav"), 120 + 5 * seed, seed)
        write_tone(Path(f"corpus/whistle/{seed}.wav"), 3000 + 50 * seed, seed + 10)
    write_tone(Path("q.wav"), 130, 99)
    Path("table.csv").write_text("file_name,label\ncorpus/hum/0.wav,hum\ncorpus/hum/1.wav\n")
    Path("wrong.toml").write_text(TASK)
    code, _, err = earful_command(
        *("index", "build", "corpus", "--index", "s.index", "--embedder", "logmel")
    )
    assert code == 0, err
    return earful_command


def test_errors_read_as_they_did(run: Run, tmp_path: Path) -> None:
    def sections() -> Iterator[str]:
        for command in COMMANDS:
            code, out, err = run(*shlex.split(command))
            assert code in (1, 2), (command, out)
            assert not out
            lines = [
                line for line in err.splitlines() if line.lower().startswith(("error: ", "help: "))
            ]
            text = "".join(f"  {line}\n" for line in lines)
            text = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", text.replace(str(tmp_path), "/TMP"))
            yield f"earful {command}\n{text}"

    found = "\n".join(sections())
    if os.environ.get("EARFUL_WRITE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")
