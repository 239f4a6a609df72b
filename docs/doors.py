"""Write docs/reference/ from the doors of the rooms; ``--check`` only compares.

Run it with ``./dev docs``. A page names what a door offers; the site puts in signature and
docstring of each name, read from the code as it is then.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

from docs.written import write_or_check

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference"

_HEAD = """\
# In Python

Written by `./dev docs` from the doors of the rooms. What most programs need is offered by
[`earful`](earful.md) itself; a room's own door offers the rest, and every name can be imported from
there: `from earful.rag.retrieval import Retriever`. [In a program](../python.md) says what may be
given and what comes back, [Architecture](../architecture.md) what lives where. What no door offers
is private and may change. Signatures and docstrings are on the site: `./dev docs --serve`.

| door | names | |
|---|---|---|
"""


def doors() -> dict[str, tuple[str, list[str]]]:
    """Return the first line and the names of every door that offers any, the package's first."""
    found = {}
    package = ROOT / "src" / "earful"
    for folder, _, files in os.walk(package, followlinks=True):
        if "__init__.pyi" not in files:
            continue
        below = Path(folder).relative_to(package.parent).parts
        stub = Path(folder, "__init__.pyi")
        names = [
            alias.name
            for node in ast.parse(stub.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        ]
        door = ast.parse(stub.with_suffix(".py").read_text(encoding="utf-8"))
        if names:
            first = (ast.get_docstring(door) or "").partition("\n")[0]
            found[".".join(below)] = (first, names)
    return dict(sorted(found.items()))


def pages() -> dict[Path, str]:
    """Return every page under its path."""
    found, rows = {}, []
    for name, (first, names) in doors().items():
        directives = "\n\n".join(f"::: {name}.{offer}" for offer in names)
        found[TARGET / f"{name}.md"] = f"# {name}\n\n{first}\n\n{directives}\n"
        rows.append(
            f"| [`{name}`]({name}.md) | {len(names)} | {first.replace('|', chr(92) + '|')} |\n"
        )
    found[TARGET / "index.md"] = _HEAD + "".join(rows)
    return found


def main() -> None:
    """Write the pages, or with ``--check`` fail when they are not current."""
    wanted = pages()
    write_or_check(wanted, left_over=set(TARGET.glob("*.md")) - set(wanted))


if __name__ == "__main__":
    main()
