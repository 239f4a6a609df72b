"""Write docs/task-files.md from the code that reads task files; ``--check`` only compares.

Run it with ``./dev docs``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs.api import default_of, kind_of, resolved
from docs.written import write_or_check
from pydantic import TypeAdapter

from earful.index.corpus import Exemplar
from earful.rag.task import METRICS, Label, Protocol, Shots, Task
from earful.rag.task.file_tables import ExampleTable, LabelTable, TaskFile

PAGE = Path(__file__).with_name("task-files.md")
PREFACE = PAGE.with_name("task-files.preface.md")

# What a file may say otherwise than a task made in Python.
_OWN = {
    "": {
        "name": "1 to 64 letters, digits, dots, hyphens, underscores; by default the file's name.",
        "labels": "Names, or a table `[labels.NAME]` for each; by default those of the examples, "
        "or of the index.",
        "shots": "The table `[shots]`, below.",
        "answer": "The table `[answer]`, below.",
        "evaluation": "The table `[evaluation]`, below.",
        "metric": "Score of an evaluation; the kind's first when empty, see [below](#metrics).",
        "examples": "The path of a table or of a folder per label, or `[[examples]]` tables.",
    },
    "[[examples]]": {
        "audio": "Path of the recording, relative to the task file.",
        "label": "The one label, of kinds `classify` and `multilabel`.",
        "labels": "Several labels; `label` or `labels`, one of the two.",
        "answer": "The text a perfect model would reply, of kinds `ask` and `caption`.",
        "question": "The question that it answers; the task's when empty.",
        "group": "Recording, site or speaker it came from; it never answers for its own group.",
    },
}


def sections() -> Iterator[str]:
    """Yield the page as Markdown, a table of the file at a time."""
    yield PREFACE.read_text(encoding="utf-8")
    whole = _schema(TaskFile)
    yield from _table("", whole, Task)
    for name, described in (("shots", Shots), ("answer", Task), ("evaluation", Protocol)):
        own = resolved(whole["properties"][name], _document(whole))
        yield from _table(f"[{name}]", own, described)
    yield from _table("[labels.NAME]", _schema(LabelTable), Label)
    yield from _table("[[examples]]", _schema(ExampleTable), Exemplar)
    yield "## Metrics\n\n| kind | metric, the first by default |\n|---|---|"
    for kind, metrics in METRICS.items():
        yield f"| `{kind}` | {', '.join(f'`{metric}`' for metric in metrics)} |"


def _schema(table: type) -> Mapping[str, Any]:
    return TypeAdapter(table).json_schema(ref_template="#/components/schemas/{model}")


def _document(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema as an OpenAPI document has it, which refers to others."""
    return {"components": {"schemas": schema.get("$defs", {})}}


def _table(name: str, schema: Mapping[str, Any], described: type) -> Iterator[str]:
    meanings = meanings_of(described)
    if name:
        yield f"### `{name}`\n"
    yield "| key | is | default | |\n|---|---|---|---|"
    for key, own in schema["properties"].items():
        meaning = _OWN.get(name, {}).get(key) or meanings[key]
        kind = own.get("expected") or kind_of(own, _document(schema))
        if kind.startswith("{"):
            kind = "table"
        yield f"| `{key}` | {_cell(kind)} | {default_of(own)} | {_cell(meaning)} |"
    yield ""


def meanings_of(described: type) -> dict[str, str]:
    """Return what a docstring says of each attribute, as Markdown."""
    text = (described.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?= {8}\w+: )", "\n" + text):
        name, _, meaning = entry.strip().partition(": ")
        meaning = " ".join(meaning.split()).replace("``", "`")
        # TOML has no value for nothing.
        found[name] = meaning.replace("when `None`", "when left out").replace(
            "`None` for", "left out for"
        )
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page, or with ``--check`` fail when it is not current."""
    write_or_check({PAGE: "\n".join(sections()).rstrip() + "\n"})


if __name__ == "__main__":
    main()
