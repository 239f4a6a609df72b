"""Write docs/cli.md from the commands themselves; ``--check`` only compares.

Run it with ``./dev docs``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docs.written import write_or_check
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from earful.cli import app

TARGET = Path(__file__).with_name("cli.md")
# Where a reader begins; whatever is not named here follows in the order of `earful --help`.
_FIRST = ("index", "datasets", "evaluate", "search", "classify", "ask", "caption", "chat", "tasks")
_LAST = ("demo", "doctor")

_HEAD = """\
# Commands

Written by `./dev docs` from the commands themselves.

Answers go to stdout, all else to stderr. `--json` prints one JSON document on one line. Where
there may be many answers it prints one JSON object a line, each as soon as it is there:
`classify`, `ask`, `caption`, `chat`, `scan` (a recording and its events), `demo`, `models list`,
`models info` (a name may be both embedder and model), `tasks list`, `datasets list` and
`datasets sample`. In place of an answer that failed stands an object with `"error"` and `"help"`.
`doctor --report` prints one JSON document over many lines.

Exit codes:

- 0: done.
- 1: a failure, told in one line, or every recording failed; or what was checked is amiss (`index
  verify`, `models verify`, `recordings verify`, `doctor`, `evaluate --replay` with `--index`).
- 2: wrong usage, an unknown name of an embedder, model or device, or a broken corpus table, task
  file or filter; nothing was written.
- 3: done, but some inputs failed and are listed.
- 130: interrupted; what was committed is kept.

Below an error stands a line `help:`, which names the section of
[troubleshooting](troubleshooting.md) about it.
"""


def commands() -> list[tuple[str, ...]]:
    """Return the words of every command, group by group."""
    places = {name: place for place, name in enumerate(_FIRST)}
    places |= {name: len(_FIRST) + 1 + place for place, name in enumerate(_LAST)}
    found = list(_below(get_command(app), ()))
    return sorted(found, key=lambda words: places.get(words[0], len(_FIRST)))


def _below(command: object, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not isinstance(command, TyperGroup):
        yield words
        return
    for name, one in command.commands.items():
        if not one.hidden:
            yield from _below(one, (*words, name))


def sections() -> Iterator[str]:
    """Yield the page, command by command, as Markdown."""
    yield _HEAD
    runner = CliRunner(env={"COLUMNS": "88", "TERMINAL_WIDTH": "88", "NO_COLOR": "1"})
    for command in ((), *commands()):
        result = runner.invoke(app, [*command, "--help"], prog_name="earful")
        if result.exit_code != 0:
            raise SystemExit(f"earful {' '.join(command)} --help fails: {result.output}")
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        yield f"## {' '.join(('earful', *command))}\n\n```text\n{text}\n```\n"


def main() -> None:
    """Write the page, or with ``--check`` fail when it is not current."""
    write_or_check({TARGET: "\n".join(sections())})


if __name__ == "__main__":
    main()
