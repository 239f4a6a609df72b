"""Parsing of declarations from TOML files; every mistake is told with its line."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydantic import ConfigDict, with_config

from earful.errors import CorpusError
from earful.index.datasets.declaration import Dataset
from earful.toml import STRICT, TomlProblem, TomlReader, TooManyProblemsError, read_toml

# What a file calls a table of which there may be several.
_KEYS = {
    "references": "reference",
    "sources": "read",
    "joins": "join",
    "lookups": "lookup",
    "steps": "step",
    "emits": "emit",
}
with_config(ConfigDict(**STRICT, alias_generator=lambda name: _KEYS.get(name, name)))(Dataset)


def read_declaration(path: Path) -> Dataset:
    """Read a declaration from its file.

    Raises:
        CorpusError: It is missing or no TOML, or has unknown keys or wrong values; the
            message names the first ten, each with its line, and how many more there are.
    """
    toml = read_toml(path, "declaration")
    if isinstance(toml, TomlProblem):
        raise CorpusError(str(toml))
    reader = TomlReader(toml)
    found = None
    with suppress(TooManyProblemsError):
        if "name" in toml.values:
            reader.report("a declaration is named after its file; expected no name", "name")
        found = reader.read(Dataset, {**toml.values, "name": path.stem})
        for key, tables in (("read", found.sources), ("emit", found.emits)) if found else ():
            if not tables:
                reader.report(f"{key} is empty; expected [[{key}]] tables", key)
    if found is None or reader.n_problems:
        problems = reader.problems()
        more = [f"and {len(problems) - 10} more"] if len(problems) > 10 else []
        raise CorpusError("; ".join([*map(str, problems[:10]), *more]))
    return replace(found, tree=found.tree.strip("\n"))
