"""What is known of a published dataset, as a TOML file says it.

A declaration holds data only: where the dataset comes from, what its publisher says of it,
how its files become rows, and how rows become exemplars. Facts that were not read at the
publisher's carry ``verified = false`` and say where they come from instead.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earful.errors import CorpusError

AUDIO_FORMS = ("files", "partly", "ids", "video")
READERS = ("table", "records", "tree", "shards", "arrow", "pickle")
ROLES = ("train", "eval")
BASES = ("publisher", "second-hand", "unchecked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value, and whether it was read at the publisher's.

    Attributes:
        value: Text or a number; empty when only the note is known.
        verified: Whether it was read in the publisher's own file, repository or page.
        basis: ``publisher``, ``second-hand`` (somebody else's loader, documentation or
            mirror) or ``unchecked`` (general knowledge).
        note: What is disputed or odd about it.
    """

    value: str | int | float
    verified: bool = True
    basis: str = "publisher"
    note: str = ""

    def __str__(self) -> str:
        shown = f"{self.value:,}" if isinstance(self.value, int) else str(self.value)
        doubt = "" if self.verified else f" [unverified, {self.basis}]"
        return shown + doubt + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Official size of a split: clips, rows (captions, questions, notes), or both."""

    clips: Fact | None = None
    rows: Fact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """How Audio Flamingo v1 used a dataset.

    Attributes:
        key: Its name in the reference's configurations.
        task: Words of the sentence "The task is ...".
        prompt: What was asked.
        options: Whether the question lists the labels.
        answer: How the answer is written.
        metric: Of the published results; empty for training only.
        note: What is odd or unknown.
    """

    key: str
    task: str = ""
    prompt: str = ""
    options: bool = False
    answer: str = ""
    metric: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Files that are read as rows.

    Attributes:
        reader: One of ``READERS``.
        files: Paths below the root, or patterns; for ``table`` and ``records`` the first
            that is there is read, for the others all that match.
        part: Of a dataset that comes in parts; empty for none.
        optional: Whether a dataset is whole without it.
        set: Constant columns.
        options: What the reader takes besides.
    """

    reader: str
    files: tuple[str, ...]
    part: str = ""
    optional: bool = False
    set: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Columns of another table, looked up by a key."""

    source: Source
    left: str
    right: str
    take: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A column whose codes another table spells out, one code or a list of them.

    Attributes:
        source: The table.
        column: Of the row.
        key: Column of the table with the code.
        value: Column of the table with what it means.
    """

    source: Source
    column: str
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """Where the recording of a row lies.

    Attributes:
        path: Templates of paths below the root, tried in order.
        find: Templates of base names or stems, looked up anywhere below the root.
        min_bytes: Smaller files count as broken.
    """

    path: tuple[str, ...] = ()
    find: tuple[str, ...] = ()
    min_bytes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The stretch of a recording that a row is about: columns, or numbers of seconds.

    A file that is no longer than the stretch was cut already, and is taken whole.
    """

    start: str | float
    end: str | float | None = None
    length: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Cuts recordings into stretches of equal length, in seconds.

    Attributes:
        length_s: Of a stretch; what is left at the end counts from half of it.
        skip_below_dbfs: Stretches whose level (root mean square) is below are left out;
            ``None`` keeps all.
    """

    length_s: float
    skip_below_dbfs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRule:
    """How a row gets its split.

    Attributes:
        column: That names it; ``map`` gives its values the splits' names.
        map: Value to split.
        lists: Split to a file of ids, a line each, for ``id``.
        id: Template of the id that the lists hold.
        by: Column whose values are dealt out to ``shares`` by their hash; the publisher has
            no split then, and this one is ours.
        shares: Split to its share.
    """

    column: str = ""
    map: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    by: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """An exemplar that a row becomes.

    Attributes:
        task: Name of the task; several emits of one row are several tasks.
        question: Template.
        answer: Template; empty for the labels with commas between.
        labels: Column that holds one label or a list of them; empty for none.
        words: Whether labels become lower-case words, underscores and hyphens as spaces.
        keep: Labels that stay as they are when ``words`` is set.
        where: Conditions on top of the dataset's.
    """

    task: str
    question: str = ""
    answer: str = ""
    labels: str = ""
    words: bool = False
    keep: tuple[str, ...] = ()
    where: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A declaration.

    Attributes:
        name: Of its file.
        title: What people call it.
        roles: Whether the reference was trained on it, evaluated on it, or both.
        domains: Such as ``sound``, ``music``, ``speech``.
        audio_form: ``files``: its publisher ships recordings; ``partly``: of some rows;
            ``ids``: only ids or links; ``video``: films whose sound is used.
        home: Pages and records.
        facts: Licence, hours, classes and the like.
        splits: Official sizes.
        references: How Audio Flamingo v1 used it.
        tree: What lies where, for people.
        quirks: What goes wrong without care.
        overlaps: Other datasets that share recordings, and why.
        known_bad: Ids of broken recordings, and why; they are left out and counted.
        sources: What is read.
        joins: Tables whose columns are added.
        lookups: Tables that spell codes out.
        parse: Column to what is done to its text.
        steps: Plug-ins in order, each with its options.
        where: Conditions that rows must meet.
        explode: Columns or lists that become rows.
        audio: Where recordings lie.
        span: Which stretch of them is meant.
        window: Whether they are cut.
        split: How rows get a split.
        vocabulary: Labels that may occur; empty for any.
        vocabulary_from: Table that lists them, and its column, instead.
        id: Template, unique among rows.
        group: Template of the recording, speaker or artist.
        licence: Template of a row's own licence.
        origin: Template such as ``freesound:{fsID}``, by which sets that overlap are kept
            apart.
        meta: Columns that are kept.
        emits: What rows become.
    """

    name: str
    title: str
    roles: tuple[str, ...]
    domains: tuple[str, ...]
    audio_form: str
    home: tuple[str, ...]
    facts: Mapping[str, Fact]
    splits: Mapping[str, Split]
    references: tuple[Reference, ...]
    tree: str
    quirks: tuple[str, ...]
    overlaps: Mapping[str, str]
    known_bad: Mapping[str, str]
    sources: tuple[Source, ...]
    joins: tuple[Join, ...]
    lookups: tuple[Lookup, ...]
    parse: Mapping[str, Any]
    steps: tuple[tuple[str, Mapping[str, Any]], ...]
    where: tuple[Mapping[str, Any], ...]
    explode: Mapping[str, Any]
    audio: Audio
    span: Span | None
    window: Window | None
    split: SplitRule
    vocabulary: tuple[str, ...]
    vocabulary_from: tuple[Source, str] | None
    id: str
    group: str
    licence: str
    origin: str
    meta: tuple[str, ...]
    emits: tuple[Emit, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of its parts; empty when it is one piece."""
        return tuple(dict.fromkeys(source.part for source in self.sources if source.part))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of its tasks, the default first."""
        return tuple(dict.fromkeys(emit.task for emit in self.emits))

    @property
    def is_verified(self) -> bool:
        """Whether every fact and size was read at the publisher's."""
        return all(fact.verified for fact in self.all_facts().values())

    def all_facts(self) -> dict[str, Fact]:
        """Return facts and sizes by name, such as ``"train clips"``."""
        found = dict(self.facts)
        for name, split in self.splits.items():
            for unit, fact in (("clips", split.clips), ("rows", split.rows)):
                if fact is not None:
                    found[f"{name} {unit}"] = fact
        return found


def read_declaration(path: Path) -> Dataset:
    """Read a declaration.

    Raises:
        CorpusError: It is missing, no TOML, or says something that nobody understands; the
            message names the file and the key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorpusError(
            f"{path}: cannot be read ({error.strerror}); want a declaration"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: is not TOML ({error}); want a declaration") from error
    return _read(path, values)


class _Table:
    """A table of the file; what nobody asked for by the end is a mistake."""

    def __init__(self, path: Path, name: str, values: object) -> None:
        if not isinstance(values, dict):
            raise CorpusError(f"{path}: {name} is {type(values).__name__}; want a table")
        self._path = path
        self._name = name
        self._values: dict[str, Any] = dict(values)
        self._known: list[str] = []

    @property
    def has_values(self) -> bool:
        return bool(self._values)

    def fail(self, what: str) -> CorpusError:
        return CorpusError(f"{self._path}: {self._name}: {what}")

    def take(self, key: str, default: Any = None) -> Any:
        self._known.append(key)
        return self._values.pop(key, default)

    def text(self, key: str, default: str | None = "") -> str:
        value = self.take(key, default)
        if not isinstance(value, str):
            raise self.fail(f"{key} is {value!r}; want text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.take(key, [])
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.fail(f"{key} is {value!r}; want text or an array of text")
        return tuple(value)

    def flag(self, key: str) -> bool:
        value = self.take(key, False)
        if not isinstance(value, bool):
            raise self.fail(f"{key} is {value!r}; want true or false")
        return value

    def table(self, key: str) -> _Table:
        return _Table(self._path, f"[{key}]", self.take(key, {}))

    def tables(self, key: str) -> list[_Table]:
        value = self.take(key, [])
        value = [value] if isinstance(value, dict) else value
        if not isinstance(value, list):
            raise self.fail(f"{key} is {value!r}; want [[{key}]] tables")
        return [_Table(self._path, f"[[{key}]] {row}", one) for row, one in enumerate(value, 1)]

    def choice(self, key: str, known: Sequence[str]) -> str:
        value = self.text(key)
        if value not in known:
            raise self.fail(f"{key} = {value!r}; want one of {', '.join(known)}")
        return value

    def rest(self) -> dict[str, Any]:
        values, self._values = self._values, {}
        return values

    def end(self) -> None:
        for key in self._values:
            near = difflib.get_close_matches(key, self._known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise self.fail(f"unknown key {key!r}{hint}; known: {', '.join(self._known)}")


def _read(path: Path, values: dict[str, Any]) -> Dataset:
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
        facts={key: _fact(facts, key, value) for key, value in facts.rest().items()},
        splits={
            key: _split(_Table(path, f"[splits.{key}]", value))
            for key, value in splits.rest().items()
        },
        references=tuple(map(_reference, top.tables("reference"))),
        tree=top.text("tree").strip("\n"),
        quirks=top.texts("quirks"),
        overlaps=top.table("overlaps").rest(),
        known_bad=top.table("known_bad").rest(),
        sources=tuple(map(_source, top.tables("read"))),
        joins=tuple(map(_join, top.tables("join"))),
        lookups=tuple(map(_lookup, top.tables("lookup"))),
        parse=top.table("parse").rest(),
        steps=tuple(map(_step, top.tables("step"))),
        where=tuple(one.rest() for one in top.tables("where")),
        explode=top.table("explode").rest(),
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
    top.end()
    for role in found.roles:
        if role not in ROLES:
            raise top.fail(f"role {role!r}; want some of {', '.join(ROLES)}")
    if not found.sources or not found.emits:
        raise top.fail("nothing is read or nothing comes of it; want [[read]] and [[emit]]")
    return found


def _fact(table: _Table, key: str, value: object) -> Fact:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return Fact(value=value)
    if not isinstance(value, dict):
        raise table.fail(f"{key} is {value!r}; want text, a number or a table")
    plain = dict(value)
    verified = plain.pop("verified", True)
    basis = plain.pop("basis", "publisher" if verified else "unchecked")
    fact = Fact(
        value=plain.pop("value", ""), verified=verified, basis=basis, note=plain.pop("note", "")
    )
    if plain or basis not in BASES or not isinstance(verified, bool):
        raise table.fail(
            f"{key} = {value!r}; want value, verified, note and basis ({', '.join(BASES)})"
        )
    return fact


def _split(table: _Table) -> Split:
    sizes = {
        unit: None if (value := table.take(unit)) is None else _fact(table, unit, value)
        for unit in ("clips", "rows")
    }
    table.end()
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
    table.end()
    return found


def _source(table: _Table) -> Source:
    return Source(
        reader=table.choice("reader", READERS),
        files=table.texts("files"),
        part=table.text("part"),
        optional=table.flag("optional"),
        set=table.table("set").rest(),
        options=table.rest(),
    )


def _join(table: _Table) -> Join:
    on = table.text("on")
    left, right = table.text("left") or on, table.text("right") or on
    take = table.texts("take")
    required = table.flag("required")
    if not (left and right and take):
        raise table.fail("want on (or left and right) and take")
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
    return table.text("plugin", None), table.rest()


def _audio(table: _Table) -> Audio:
    found = Audio(
        path=table.texts("path"), find=table.texts("find"), min_bytes=table.take("min_bytes", 1)
    )
    table.end()
    if not (found.path or found.find):
        raise table.fail("want path or find")
    return found


def _span(top: _Table) -> Span | None:
    values = top.take("span")
    if values is None:
        return None
    try:
        return Span(**values)
    except TypeError as error:
        raise top.fail(f"span = {values!r}; want start, and end or length") from error


def _window(top: _Table) -> Window | None:
    values = top.take("window")
    if values is None:
        return None
    try:
        return Window(**values)
    except TypeError as error:
        raise top.fail(f"window = {values!r}; want length_s and skip_below_dbfs") from error


def _split_rule(table: _Table) -> SplitRule:
    found = SplitRule(
        column=table.text("column"),
        map=table.table("map").rest(),
        lists=table.table("lists").rest(),
        id=table.text("id"),
        by=table.text("by"),
        shares=table.table("shares").rest(),
    )
    table.end()
    return found


def _emit(table: _Table) -> Emit:
    found = Emit(
        task=table.text("task", None),
        question=table.text("question"),
        answer=table.text("answer"),
        labels=table.text("labels"),
        words=table.flag("words"),
        keep=table.texts("keep"),
        where=tuple(one.rest() for one in table.tables("where")),
    )
    table.end()
    return found
