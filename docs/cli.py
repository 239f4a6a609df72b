"""Write docs/cli.md from the commands themselves; ``--check`` only compares.

Run it with ``./dev docs``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from typer.testing import CliRunner

from earful.cli import app

TARGET = Path(__file__).with_name("cli.md")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("index", "build"),
    ("index", "add"),
    ("index", "remove"),
    ("index", "info"),
    ("index", "verify"),
    ("index", "export"),
    ("index", "features"),
    ("index", "compact"),
    ("index", "health"),
    ("index", "map"),
    ("datasets", "list"),
    ("datasets", "show"),
    ("datasets", "check"),
    ("datasets", "sample"),
    ("evaluate",),
    ("search",),
    ("classify",),
    ("ask",),
    ("caption",),
    ("chat",),
    ("tasks", "new"),
    ("tasks", "list"),
    ("tasks", "check"),
    ("tasks", "show"),
    ("models", "list"),
    ("models", "pull"),
    ("models", "convert"),
    ("models", "verify"),
    ("demo",),
    ("doctor",),
)


def sections() -> Iterator[str]:
    """Yield the page, command by command, as Markdown."""
    yield "# Commands\n\nWritten by `./dev docs` from the commands themselves.\n"
    runner = CliRunner(env={"COLUMNS": "88", "TERMINAL_WIDTH": "88", "NO_COLOR": "1"})
    for command in ((), *COMMANDS):
        result = runner.invoke(app, [*command, "--help"], prog_name="earful")
        if result.exit_code != 0:
            raise SystemExit(f"earful {' '.join(command)} --help fails: {result.output}")
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        yield f"## {' '.join(('earful', *command))}\n\n```text\n{text}\n```\n"


def main() -> None:
    """Write the page, or with ``--check`` fail when it is not current."""
    page = "\n".join(sections())
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(page, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != page:
        raise SystemExit("docs/cli.md is out of date; run ./dev docs and commit it")


if __name__ == "__main__":
    main()
