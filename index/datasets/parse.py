"""Parsing of declarations from TOML files; unknown keys and values are errors."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.declaration import (
    AUDIO_FORMS,
    BASES,
    READERS,
    ROLES,
    Audio,
    Dataset,
    Emit,
    Fact,
    Join,
    Lookup,
    Reference,
    Source,
    Span,
    Split,
    SplitRule,
    Window,
)


def read_declaration(path: Path) -> Dataset:
    """Read a declaration from its file.

    Raises:
        CorpusError: It is missing or no TOML, or has an unknown key or a wrong value; the
            message names the file and the key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorpusError(
            f"{path}: cannot be read ({error.strerror}); expected a declaration"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: is not TOML ({error}); expected a declaration") from error
    return _dataset(path, values)


class _Table:
    """One TOML table; keys that were never read are errors."""

    def __init__(self, path: Path, name: str, values: object) -> None:
        if not isinstance(values, dict):
            raise CorpusError(f"{path}: {name} is {type(values).__name__}; expected a table")
        self._path = path
        self._name = name
        self._values: dict[str, Any] = dict(values)
        self._known: list[str] = []

    @property
    def has_values(self) -> bool:
        return bool(self._values)

    def error(self, what: str) -> CorpusError:
        """Return an error that names the file and the table."""
        return CorpusError(f"{self._path}: {self._name}: {what}")

    def take(self, key: str, default: Any = None) -> Any:
        self._known.append(key)
        return self._values.pop(key, default)

    def text(self, key: str, default: str | None = "") -> str:
        value = self.take(key, default)
        if not isinstance(value, str):
            raise self.error(f"{key} is {value!r}; expected text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.take(key, [])
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.error(f"{key} is {value!r}; expected text or an array of text")
        return tuple(value)

    def flag(self, key: str) -> bool:
        value = self.take(key, False)
        if not isinstance(value, bool):
            raise self.error(f"{key} is {value!r}; expected true or false")
        return value

    def table(self, key: str) -> _Table:
        return _Table(self._path, f"[{key}]", self.take(key, {}))

    def tables(self, key: str) -> list[_Table]:
        value = self.take(key, [])
        value = [value] if isinstance(value, dict) else value
        if not isinstance(value, list):
            raise self.error(f"{key} is {value!r}; expected [[{key}]] tables")
        return [_Table(self._path, f"[[{key}]] {row}", one) for row, one in enumerate(value, 1)]

    def choice(self, key: str, known: Sequence[str]) -> str:
        value = self.text(key)
        if value not in known:
            raise self.error(f"{key} = {value!r}: expected one of {', '.join(known)}")
        return value

    def take_rest(self) -> dict[str, Any]:
        values, self._values = self._values, {}
        return values

    def check_all_read(self) -> None:
        """Refuse keys that were never read."""
        for key in self._values:
            near = difflib.get_close_matches(key, self._known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise self.error(f"unknown key {key!r}{hint}; known: {', '.join(self._known)}")


def _dataset(path: Path, values: dict[str, Any]) -> Dataset:
    top = _Table(path, "the file", values)
    facts = top.table("facts")
    splits = top.table("splits")
    found = Dataset(
        name=path.stem,
        title=top.text("title", None),
        roles=top.texts("roles"),
        domains=top.texts("domains"),
        audio_form=top.choice("audio_form", AUDIO_FORMS),
        home=top.texts("home"),
        facts={key: _fact(facts, key, value) for key, value in facts.take_rest().items()},
        splits={
            key: _split(_Table(path, f"[splits.{key}]", value))
            for key, value in splits.take_rest().items()
        },
        references=tuple(map(_reference, top.tables("reference"))),
        tree=top.text("tree").strip("\n"),
        quirks=top.texts("quirks"),
        overlaps=top.table("overlaps").take_rest(),
        known_bad=top.table("known_bad").take_rest(),
        bad_copies=top.table("bad_copies").take_rest(),
        sources=tuple(map(_source, top.tables("read"))),
        joins=tuple(map(_join, top.tables("join"))),
        lookups=tuple(map(_lookup, top.tables("lookup"))),
        parse=top.table("parse").take_rest(),
        steps=tuple(map(_step, top.tables("step"))),
        where=tuple(one.take_rest() for one in top.tables("where")),
        explode=top.table("explode").take_rest(),
        audio=_audio(top.table("audio")),
        span=_span(top),
        window=_window(top),
        split=_split_rule(top.table("split")),
        vocabulary=top.texts("vocabulary"),
        vocabulary_from=_vocabulary_from(top),
        id=top.text("id", None),
        group=top.text("group"),
        licence=top.text("licence"),
        origin=top.text("origin"),
        meta=top.texts("meta"),
        emits=tuple(map(_emit, top.tables("emit"))),
    )
    top.check_all_read()
    for role in found.roles:
        if role not in ROLES:
            raise top.error(f"role {role!r}: expected some of {', '.join(ROLES)}")
    if not found.sources or not found.emits:
        raise top.error("reads no files or makes no exemplars; expected [[read]] and [[emit]]")
    return found


def _fact(table: _Table, key: str, value: object) -> Fact:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return Fact(value=value)
    if not isinstance(value, dict):
        raise table.error(f"{key} is {value!r}; expected text, a number or a table")
    plain = dict(value)
    verified = plain.pop("verified", True)
    basis = plain.pop("basis", "publisher" if verified else "unchecked")
    also = plain.pop("also", {})
    fact = Fact(
        value=plain.pop("value", ""),
        verified=verified,
        basis=basis,
        note=plain.pop("note", ""),
        also=also,
    )
    has_sizes = isinstance(also, dict) and all(type(one) is int for one in also.values())
    if plain or basis not in BASES or not isinstance(verified, bool) or not has_sizes:
        raise table.error(
            f"{key} = {value!r}: expected value, verified, note, also (a number by what it is) and "
            f"basis ({', '.join(BASES)})"
        )
    return fact


def _split(table: _Table) -> Split:
    sizes = {
        unit: None if (value := table.take(unit)) is None else _fact(table, unit, value)
        for unit in ("clips", "rows")
    }
    table.check_all_read()
    return Split(**sizes)


def _reference(table: _Table) -> Reference:
    found = Reference(
        key=table.text("key", None),
        task=table.text("task"),
        prompt=table.text("prompt"),
        options=table.flag("options"),
        answer=table.text("answer"),
        metric=table.text("metric"),
        note=table.text("note"),
    )
    table.check_all_read()
    return found


def _source(table: _Table) -> Source:
    return Source(
        reader=table.choice("reader", READERS),
        files=table.texts("files"),
        part=table.text("part"),
        optional=table.flag("optional"),
        set=table.table("set").take_rest(),
        options=table.take_rest(),
    )


def _join(table: _Table) -> Join:
    on = table.text("on")
    left, right = table.text("left") or on, table.text("right") or on
    take = table.texts("take")
    required = table.flag("required")
    if not (left and right and take):
        raise table.error("expected on (or left and right) and take")
    return Join(source=_source(table), left=left, right=right, take=take, required=required)


def _lookup(table: _Table) -> Lookup:
    names = {name: table.text(name, None) for name in ("column", "key", "value")}
    return Lookup(source=_source(table), **names)


def _vocabulary_from(top: _Table) -> tuple[Source, str] | None:
    table = top.table("vocabulary_from")
    if not table.has_values:
        return None
    column = table.text("column", None)
    return _source(table), column


def _step(table: _Table) -> tuple[str, Mapping[str, Any]]:
    return table.text("plugin", None), table.take_rest()


def _audio(table: _Table) -> Audio:
    found = Audio(
        path=table.texts("path"), find=table.texts("find"), min_bytes=table.take("min_bytes", 1)
    )
    table.check_all_read()
    if not (found.path or found.find):
        raise table.error("expected path or find")
    return found


def _span(top: _Table) -> Span | None:
    values = top.take("span")
    if values is None:
        return None
    try:
        return Span(**values)
    except TypeError as error:
        raise top.error(f"span = {values!r}: expected start, and end or length") from error


def _window(top: _Table) -> Window | None:
    values = top.take("window")
    if values is None:
        return None
    try:
        return Window(**values)
    except TypeError as error:
        raise top.error(f"window = {values!r}: expected length_s and skip_below_dbfs") from error


def _split_rule(table: _Table) -> SplitRule:
    found = SplitRule(
        column=table.text("column"),
        map=table.table("map").take_rest(),
        lists=table.table("lists").take_rest(),
        id=table.text("id"),
        by=table.text("by"),
        shares=table.table("shares").take_rest(),
        groups=table.texts("groups"),
    )
    table.check_all_read()
    shares = found.shares.values()
    if found.by and not (shares and all(_is_number(x) and x >= 0 for x in shares) and sum(shares)):
        raise table.error(f"shares = {dict(found.shares)}: expected a share of each split")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _emit(table: _Table) -> Emit:
    found = Emit(
        task=table.text("task", None),
        question=table.text("question"),
        answer=table.text("answer"),
        labels=table.text("labels"),
        words=table.flag("words"),
        hyphens=table.flag("hyphens"),
        keep=table.texts("keep"),
        where=tuple(one.take_rest() for one in table.tables("where")),
    )
    table.check_all_read()
    return found
