"""Blocks of code in the documentation: what a reader is told to type, and what it prints."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.served_process import serving

_FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
RUN = ("console", "python")
"""Languages of blocks that are run."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of code.

    Attributes:
        page: Page that it stands on.
        line: Line of the page where it begins.
        language: What the page says that it is.
        text: What it holds.
        reason: Why it cannot be run here; empty where it can.
    """

    page: Path
    line: int
    language: str
    text: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of a block, with the lines of output that are shown below it."""

    text: str
    shown: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """The words of the command, without its comment."""
        return shlex.split(self.text, comments=True)


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page that are run, or say why not."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            text=found["text"],
            reason=found["reason"] or "",
        )
        for found in _FENCE.finditer(text)
        if found["language"] in RUN
    ]


def commands_of(text: str) -> list[Command]:
    r"""Return the commands of a block: what follows ``$``, and what is shown below.

    >>> commands_of("$ earful demo \\\n    --long\nfine\n")
    [Command(text='earful demo     --long', shown=('fine',))]
    """
    found: list[tuple[str, list[str]]] = []
    for line in text.replace("\\\n", "").splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return [Command(text=command, shown=tuple(shown)) for command, shown in found]


def run_alone(command: str, folder: Path) -> str:
    """Run a command in a process of its own that has to succeed; return its standard output."""
    words = shlex.split(command, comments=True)
    assert words[0] == "earful"
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "EARFUL_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def serve_and_end(command: str, folder: Path) -> None:
    """Start a page, which runs until it is ended, and end it as a user does."""
    home = {"EARFUL_HOME": str(folder / "home")}
    with serving(*shlex.split(command)[2:], env=home, cwd=folder) as (process, address):
        with urllib.request.urlopen(address, timeout=30) as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.strip()


def without_numbers(text: str) -> list[str]:
    """Return lines with a mark in place of each number.

    >>> without_numbers("door  +0.5 of 30")
    ['door  ## of #']
    """
    return [re.sub(r"[\d.,]+|[+-](?=\d)", "#", line).rstrip() for line in text.splitlines()]


def missing(shown: Sequence[str], printed: str) -> list[str]:
    """Return the lines that a page shows and that were not printed in that order.

    Numbers and the width of columns may differ; a line ``...`` stands for any number of others.

    Args:
        shown: Lines below a command.
        printed: What it printed, standard output before standard error.
    """
    wanted = [line for line in shown if line.strip() not in ("...", "")]
    lines = [_loose(line) for line in printed.splitlines()]
    place, lacking = 0, []
    for line in wanted:
        try:
            place = lines.index(_loose(line), place) + 1
        except ValueError:
            lacking.append(line)
    return lacking


def _loose(line: str) -> str:
    (kept,) = without_numbers(line) or [""]
    return re.sub(r"[#%]+", "#", " ".join(re.sub(r"-{2,}", "-", kept).split()))
