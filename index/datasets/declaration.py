"""Declaration of a published dataset: its facts, its files, and its rows as exemplars.

A declaration is a TOML file and holds data only: where the dataset comes from, what its
publisher says about it, how its files become rows, and how rows become exemplars. Facts
that were not read from the publisher itself have ``verified = false`` and name their source
instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from earful.toml import Before, Many
from earful.values import short_repr

AudioForm = Literal["files", "partly", "ids", "video"]
Basis = Literal["publisher", "copy", "second-hand", "unchecked"]
ReaderName = Literal["table", "records", "tree", "shards", "arrow", "pickle"]
Role = Literal["train", "eval"]


def _nest_rest(into: str, *own: str) -> Before:
    """Return a mark of a table whose keys go to a field of their own, but for those named."""

    def change(table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        rest = {name: value for name, value in table.items() if name not in own}
        return {**{name: table[name] for name in own if name in table}, into: rest}

    return Before(change)


def _pair(key: str, *, is_first: bool) -> Before:
    """Return a mark of a table that is read as one of its texts and the rest of it."""

    def change(table: Any) -> Any:
        if not isinstance(table, dict) or key not in table:
            raise ValueError(f"expected a table with {key}")
        rest = {name: value for name, value in table.items() if name != key}
        return (table[key], rest) if is_first else (rest, table[key])

    return Before(change)


def _state(fact: Any) -> Any:
    """Return a fact's table; a value alone is one that its publisher confirms."""
    if not isinstance(fact, dict):
        return {"value": fact}
    return {"basis": "unchecked", **fact} if fact.get("verified") is False else fact


def _join_on(table: Any) -> Any:
    """Return a join's table with ``left`` and ``right`` in place of ``on``."""
    if not isinstance(table, dict):
        return table
    on = {"left": table["on"], "right": table["on"]} if "on" in table else {}
    made = {**on, **{name: value for name, value in table.items() if name != "on"}}
    if not all(made.get(name) for name in ("left", "right", "take")):
        raise ValueError("expected on (or left and right) and take")
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A stated value, and whether the publisher's own text confirms it.

    Attributes:
        value: Text or a number; empty when only the note is known.
        verified: Whether it was read in the publisher's own file, repository or page, or
            counted in a whole copy of its files.
        basis: ``publisher``, ``copy`` (counted in a whole copy of the publisher's files),
            ``second-hand`` (somebody else's loader, documentation or mirror) or ``unchecked``
            (general knowledge).
        note: Doubts and oddities; of what was counted in a whole copy, whose it is.
        also: Values of other versions that are complete as well, by what they are.
    """

    value: str | int | float = ""
    verified: bool = True
    basis: Basis = "publisher"
    note: str = ""
    also: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        shown = f"{self.value:,}" if isinstance(self.value, int) else str(self.value)
        doubt = "" if self.verified else f" [unverified, {self.basis}]"
        versions = [f"{what}: {value:,}" for what, value in self.also.items()]
        notes = "; ".join([*versions, *([self.note] if self.note else [])])
        return shown + doubt + (f" ({notes})" if notes else "")


_Fact = Annotated[Fact, Before(_state)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Official size of a split: clips, rows (captions, questions, notes), or both."""

    clips: _Fact | None = None
    rows: _Fact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Use of a dataset by Audio Flamingo v1, the reference.

    Attributes:
        key: Its name in the reference's configurations.
        task: Words of the sentence "The task is ...".
        prompt: The question.
        options: Whether the question lists the labels.
        answer: Form of the answer.
        metric: Metric of the published results; empty for training only.
        note: Oddities and gaps.
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
        reader: Form of the files.
        files: Paths below the root, or patterns; for ``table`` and ``records`` the first
            that is there is read, for the others all that match.
        part: Name of the part, in a dataset that comes in parts; else empty.
        optional: Whether the dataset is complete without it.
        set: Constant columns.
        options: Further options of the reader.
    """

    reader: ReaderName
    files: Many[str]
    part: str = ""
    optional: bool = False
    set: Mapping[str, Any] = field(default_factory=dict, hash=False)
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)


_Source = Annotated[Source, _nest_rest("options", "reader", "files", "part", "optional", "set")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Columns of another table, looked up by a key."""

    source: _Source
    left: str
    right: str
    take: Many[str]
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Meanings of a column's codes, from another table; a cell holds one code or a list.

    Attributes:
        source: The table.
        column: Column of the row, with the codes.
        key: Column of the table, with the code.
        value: Column of the table, with its meaning.
    """

    source: _Source
    column: str
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """Location of a row's recording.

    Attributes:
        path: Templates of paths below the root, tried in order.
        find: Templates of base names or stems, looked up anywhere below the root; folders before
            a slash must be among the folders of the file.
        min_bytes: Smaller files count as broken.

    Raises:
        ValueError: There is neither a path nor anything to find.
    """

    path: Many[str] = ()
    find: Many[str] = ()
    min_bytes: int = 1

    def __post_init__(self) -> None:
        if not (self.path or self.find):
            raise ValueError("expected path or find")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Segment of the recording that a row describes: columns, or numbers of seconds.

    A file that is no longer than the segment was cut before, and is used whole.
    """

    start: str | float
    end: str | float | None = None
    length: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Cutting of recordings into segments of equal length.

    Attributes:
        length_s: Length of a segment, in seconds; the rest at the end is one as well when it
            is at least half as long.
        skip_below_dbfs: Segments with a lower level (root mean square) are left out; ``None``
            keeps all.
    """

    length_s: float
    skip_below_dbfs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRule:
    """Rule that gives a row its split.

    Attributes:
        column: Column that names it; ``map`` translates its values.
        map: Value to split.
        lists: Split to a file of ids, a line each, for ``id``.
        id: Template of the id that the lists hold.
        by: Template whose values, the groups, are dealt to ``shares``; the publisher has no
            split then, and this one is ours.
        shares: Split to its share of the groups.
        groups: Values of ``by`` that are known before; the split does not depend on which of
            them are there.

    Raises:
        ValueError: Groups are dealt, and the shares are no shares.
    """

    column: str = ""
    map: Mapping[str, str] = field(default_factory=dict, hash=False)
    lists: Mapping[str, str] = field(default_factory=dict, hash=False)
    id: str = ""
    by: str = ""
    shares: Mapping[str, float] = field(default_factory=dict, hash=False)
    groups: Many[str] = ()

    def __post_init__(self) -> None:
        shares = self.shares.values()
        if self.by and not (sum(shares) > 0 and min(shares) >= 0):
            raise ValueError(f"shares = {dict(self.shares)}: expected a share of each split")

    def describe(self) -> str:
        """Describe how a split of our own was dealt; empty where it is the publisher's."""
        if not self.by:
            return ""
        total = sum(self.shares.values())
        shares = ", ".join(f"{split} {own / total:.0%}" for split, own in self.shares.items())
        return f"ours, as the publisher has none: {shares}, dealt by whole groups ({self.by})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """Rule that makes an exemplar of a row.

    Attributes:
        task: Name of the task; several rules for one row are several tasks.
        question: Template.
        answer: Template; empty for the labels, joined by commas.
        labels: Column that holds one label or a list of them; empty for none.
        words: Whether labels become lower-case words, underscores and hyphens as spaces.
        hyphens: Whether hyphens stay when ``words`` is set.
        keep: Labels that stay as they are when ``words`` is set.
        where: Conditions on top of the dataset's.
    """

    task: str
    question: str = ""
    answer: str = ""
    labels: str = ""
    words: bool = False
    hyphens: bool = False
    keep: Many[str] = ()
    where: Many[Mapping[str, Any]] = field(default=(), hash=False)


# Marks are applied from right to left.
_Join = Annotated[Join, _nest_rest("source", "left", "right", "take", "required"), Before(_join_on)]
_Lookup = Annotated[Lookup, _nest_rest("source", "column", "key", "value")]
_Step = Annotated[tuple[str, Mapping[str, Any]], _pair("plugin", is_first=True)]
_Vocabulary = Annotated[tuple[_Source, str], _pair("column", is_first=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Declaration of one dataset; ``load_declaration`` reads it from its file.

    >>> import earful
    >>> dataset = earful.load_declaration("urbansound8k")
    >>> dataset.title, dataset.audio_form
    ('UrbanSound8K', 'files')

    Attributes:
        name: Stem of its file.
        title: The usual name.
        roles: Whether the reference was trained on it, evaluated on it, or both.
        domains: Such as ``sound``, ``music``, ``speech``.
        audio_form: ``files``: its publisher ships recordings; ``partly``: of some rows;
            ``ids``: only ids or links; ``video``: films whose sound is used.
        home: Its pages and records.
        facts: Licence, hours, classes and the like.
        splits: Official sizes.
        references: Its use by Audio Flamingo v1.
        tree: Its folders and files, for people.
        quirks: Traps for whoever reads it.
        overlaps: Other datasets that share recordings, and why.
        known_bad: Ids of broken recordings, and why; they are left out and counted.
        bad_copies: The same of recordings that are broken in some copies only; they are left
            out where they cannot be read.
        sources: Files that are read as rows.
        joins: Tables whose columns are added.
        lookups: Tables with the meanings of codes.
        parse: Column to the operations on its text.
        steps: Plug-ins in order, each with its options.
        where: Conditions that rows must meet.
        explode: Columns or lists that become rows.
        audio: Location of the recordings.
        span: Segment of a recording that a row describes, if it is not all of it.
        window: Cutting of the recordings, if they are cut.
        split: Rule that gives rows their split.
        vocabulary: Labels that may occur; empty for any.
        vocabulary_from: Instead, the table that lists them, and its column.
        id: Template, unique among rows.
        group: Template of the recording, speaker or artist.
        licence: Template of a row's own licence.
        origin: Template such as ``freesound:{fsID}``, by which sets that overlap are kept
            apart.
        meta: Columns that are kept.
        emits: Rules that make exemplars of rows.
    """

    name: str
    title: str
    audio_form: AudioForm
    id: str
    audio: Audio
    sources: Many[_Source]
    emits: Many[Emit]
    roles: Many[Role] = ()
    domains: Many[str] = ()
    home: Many[str] = ()
    facts: Mapping[str, _Fact] = field(default_factory=dict, hash=False)
    splits: Mapping[str, Split] = field(default_factory=dict, hash=False)
    references: Many[Reference] = ()
    tree: str = ""
    quirks: Many[str] = ()
    overlaps: Mapping[str, str] = field(default_factory=dict, hash=False)
    known_bad: Mapping[str, str] = field(default_factory=dict, hash=False)
    bad_copies: Mapping[str, str] = field(default_factory=dict, hash=False)
    joins: Many[_Join] = ()
    lookups: Many[_Lookup] = ()
    parse: Mapping[str, Any] = field(default_factory=dict, hash=False)
    steps: Many[_Step] = field(default=(), hash=False)
    where: Many[Mapping[str, Any]] = field(default=(), hash=False)
    explode: Mapping[str, Any] = field(default_factory=dict, hash=False)
    span: Span | None = None
    window: Window | None = None
    split: SplitRule = field(default_factory=SplitRule)
    vocabulary: Many[str] = ()
    vocabulary_from: _Vocabulary | None = None
    group: str = ""
    licence: str = ""
    origin: str = ""
    meta: Many[str] = ()

    __repr__ = short_repr

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
        """Whether every fact and size was read in the publisher's own text."""
        return all(fact.verified for fact in self.all_facts().values())

    def all_facts(self) -> dict[str, Fact]:
        """Return facts and sizes by name, such as ``"train clips"``."""
        found = dict(self.facts)
        for name, split in self.splits.items():
            for unit, fact in (("clips", split.clips), ("rows", split.rows)):
                if fact is not None:
                    found[f"{name} {unit}"] = fact
        return found
