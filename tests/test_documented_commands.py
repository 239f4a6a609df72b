"""Every block of the documentation that can be run here, in order, as a reader would run it."""

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.documented_blocks import (
    Block,
    Command,
    blocks_of,
    commands_of,
    missing,
    serve_and_end,
)
from tests.support.reader_folder import INDEXES, SCAN, build_results, write_reader_folder

Run = Callable[..., tuple[int, str, str]]
DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = sorted(
    page
    for page in DOCS.rglob("*.md")
    if blocks_of(page) and ".preface" not in page.name  # which are parts of others
)
INSTALLS = "pip"
"""A program whose commands change the environment, and are not run."""


def test_blocks_that_are_not_run_are_few_and_say_why() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page)]
    left_out = [block for block in blocks if block.reason]
    for block in left_out:
        assert block.reason.startswith(("it ", "two ", "benchmarks ", "the trials ")), block
    assert len(left_out) < len(blocks) / 2, f"{len(left_out)} of {len(blocks)}"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    write_reader_folder(folder)
    build_results(folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)  # some pages have a dozen commands
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_blocks_run_as_printed(
    prepared: Path,
    tmp_path: Path,
    page: Path,
    earful_command: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks = [block for block in blocks_of(page) if not block.reason]
    if not blocks:
        pytest.skip("nothing on it can be run here")
    folder = tmp_path / "reader"
    shutil.copytree(prepared, folder, symlinks=True)
    for name in (*INDEXES, SCAN):
        if _makes(blocks, name):
            shutil.rmtree(folder / name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EARFUL_HOME", str(folder / "home"))
    script = ""
    for block in blocks:
        if block.language == "python":
            # A page's blocks are one program.
            script += block.text
            _run_script(script, block, folder)
            continue
        for command in commands_of(block.text):
            monkeypatch.setattr("sys.stdin", io.StringIO(""))
            _run(command, block, folder, earful_command)


def _makes(blocks: list[Block], name: str) -> bool:
    """Tell whether a page makes an index or a scan before it uses it."""
    commands = [one.words for block in blocks for one in commands_of_console(block)]
    first = next((words for words in commands if name in words), [])
    return first[1:3] == ["index", "build"] or (first[1:2] == ["scan"] and "--index" not in first)


def commands_of_console(block: Block) -> list[Command]:
    return commands_of(block.text) if block.language == "console" else []


def _run_script(script: str, block: Block, folder: Path) -> None:
    program = folder / "page.py"
    program.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block.page.name}:{block.line}: {done.stderr}"


def _run(command: Command, block: Block, folder: Path, run: Run) -> None:
    place = f"{block.page.name}:{block.line}: {command.text}"
    words = command.words
    if words[0] == INSTALLS:
        return
    if words[:2] == ["earful", "serve"]:
        serve_and_end(command.text, folder)
        return
    if words[0] != "earful":
        printed = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
        lacking = missing(command.shown, printed.stdout)
        assert lacking == [], f"{place}: does not print {lacking}, but {printed.stdout}"
        return
    if words[1] == "evaluate" and "--limit" not in words and not command.shown:
        # Every arm is asked all the same; recordings of the reader's are few and alike.
        words += ["--limit", "4", "--seeds", "1", "--leaks", "exclude"]
    code, out, err = run(*words[1:])
    assert code == 0, f"{place}: {err}"
    lacking = missing(command.shown, out + err)
    assert lacking == [], f"{place}: does not print {lacking}, but {out}{err}"
