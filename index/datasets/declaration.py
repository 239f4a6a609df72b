"""What is known of a published dataset, as a TOML file says it.

A declaration holds data only: where the dataset comes from, what its publisher says of it,
how its files become rows, and how rows become exemplars. Facts that were not read at the
publisher's carry ``verified = false`` and say where they come from instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
        find: Templates of base names or stems, looked up anywhere below the root; folders before
            a slash must be among those that a file lies in.
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
