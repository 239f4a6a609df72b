import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documented_blocks import run_alone, serve_and_end, without_numbers
from tests.support.reader_folder import write_reader_folder

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the README's commands name, and the checkout's notebooks."""
    folder = tmp_path_factory.mktemp("read me")
    write_reader_folder(folder)
    return folder


FETCHED = re.compile(r"models pull|--model (?:Qwen|openai:)")


def _but_mistakes(text: str) -> str:
    return re.sub(r"^  wrong: .*\n", "", text, flags=re.MULTILINE)


def test_the_first_screen_is_what_the_demo_prints(folder: Path) -> None:
    """``EARFUL_WRITE_GOLDEN=1`` writes it into README anew, such as after another training."""
    command, _, shown = CONSOLE[0].partition("\n")
    assert command == "$ ./dev demo"
    index = folder / "demo.index"
    printed = run_alone(f"earful demo --index {shlex.quote(str(index))}", ROOT)
    printed = printed.replace(shlex.quote(str(index)), ".demo/sounds.index")
    if os.environ.get("EARFUL_WRITE_GOLDEN"):
        (ROOT / "README.md").write_text(README.replace(shown, printed, 1), encoding="utf-8")
        shown = printed
    assert without_numbers(_but_mistakes(printed)) == without_numbers(_but_mistakes(shown))
    summary = re.compile(r"(\d+) of (\d+) clips right")
    ours, theirs = (summary.search(text) for text in (printed, shown))
    assert ours is not None
    assert theirs is not None
    # Another CPU may round one clip over the edge, not five.
    assert ours.group(2) == theirs.group(2)
    # Each lists its own mistakes, all of them.
    for text, found in ((printed, ours), (shown, theirs)):
        n_wrong = int(found.group(2)) - int(found.group(1))
        assert text.count("  wrong: ") == n_wrong
    assert abs(int(ours.group(1)) - int(theirs.group(1))) <= 2


def test_the_ten_lines_of_python_run(folder: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2


@pytest.mark.timeout(1500)  # some forty commands, each a process of its own
def test_every_command_runs_as_printed(folder: Path) -> None:
    (task,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (folder / "machines.toml").write_text(task)
    run_alone("earful index build notebooks/demo/sounds --index sounds.index", folder)
    commands = [
        line.removeprefix("$ ")
        for block in CONSOLE[1:]
        for line in block.splitlines()
        # Fetching and endpoints are tested on servers of their own.
        if line.startswith("$ earful") and not FETCHED.search(line)
    ]
    assert len(commands) >= 10
    for command in commands:
        if command.startswith("earful serve"):
            serve_and_end(command, folder)
            continue
        if command.startswith("earful evaluate"):
            # Tones are near-duplicates of each other, and few of them say enough here.
            command += " --leaks exclude --limit 6 --seeds 1"
        printed = run_alone(command, folder)
        assert printed.strip(), command
