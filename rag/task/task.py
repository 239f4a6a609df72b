"""Task: a question about recordings, with its labels, its shots and its own examples.

A task file is TOML and holds data only::

    name = "machines"
    kind = "classify"
    question = "Is the machine healthy?"

    [labels.normal]
    wording = "a machine running normally"
    aliases = ["ok"]

    [labels.faulty]

    [shots]
    k = 8

    [[examples]]
    audio = "monday.wav"
    label = "faulty"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from earful.errors import TaskError
from earful.index.corpus import name_fault
from earful.model import ShotMode
from earful.rag.strategies import STRATEGIES
from earful.read_only import ReadOnlyDict
from earful.values import short_repr
from earful.wording import counted, quoted, unknown_name

if TYPE_CHECKING:
    from earful.index.corpus import Exemplar

Kind = Literal["classify", "multilabel", "ask", "caption"]
Order = Literal["nearest-last", "nearest-first", "random"]
Answerer = Literal["blend", "model", "zero-shot", "vote"]
AnswerForm = Literal["scored", "written"]
Subset = Literal["unanimous", "majority", "binary", "non-binary", "numerical"]

KINDS: tuple[Kind, ...] = get_args(Kind)
ORDERS: tuple[Order, ...] = get_args(Order)
ANSWERERS: tuple[Answerer, ...] = get_args(Answerer)
SUBSETS: tuple[Subset, ...] = get_args(Subset)
SHOT_MODES: tuple[ShotMode, ...] = get_args(ShotMode)
METRICS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "classify": ("accuracy", "balanced-accuracy", "macro-f1"),
        "multilabel": ("mean-average-precision", "macro-f1", "micro-f1", "f1-approx"),
        "ask": ("exact-match", "token-f1"),
        "caption": ("cider", "bleu-4", "rouge-l"),
    }
)
MAX_SHOTS = 1000

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Wording of a label in prompts, and its names in other people's corpora.

    >>> Label(wording="a machine running normally", aliases=("ok", "healthy"))
    Label(wording='a machine running normally', aliases=('ok', 'healthy'))

    Attributes:
        wording: The label's text in a prompt; its name when empty.
        aliases: Labels of exemplars that mean this one.
    """

    wording: str = ""
    aliases: tuple[str, ...] = ()

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Shots:
    """Choice of exemplars, and their order in a prompt.

    >>> Shots(k=4, strategy="balanced")
    Shots(k=4, strategy='balanced')

    Attributes:
        k: Number of shots, at most.
        strategy: ``nearest``: the most similar ones. ``balanced``: the labels take turns,
            each with its most similar one. ``diverse``: maximal marginal relevance, see
            ``diversity``. ``random``: drawn with a seed, the same for every query.
        order: The most similar one last (next to the question), first, or shuffled.
        max_per_label: Number of shots with one label, at most; no limit when ``None``.
        diversity: For ``diverse``: each choice maximises ``(1 - diversity)`` times the
            similarity to the query minus ``diversity`` times the greatest similarity to
            the shots chosen before. 0 is ``nearest``.

    Raises:
        TaskError: A field is outside its range.
    """

    k: int = 8
    strategy: str = "nearest"
    order: Order = "nearest-last"
    max_per_label: int | None = None
    diversity: float = 0.3

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_SHOTS:
            raise TaskError(f"{self.k} shots: expected 1 to {MAX_SHOTS}")
        for name, found, known in (
            ("strategy", self.strategy, tuple(STRATEGIES)),
            ("order", self.order, ORDERS),
        ):
            if found not in known:
                raise TaskError(unknown_name(name, found, known))
        if self.max_per_label is not None and self.max_per_label < 1:
            raise TaskError(f"max_per_label={self.max_per_label}: expected 1 or more, or None")
        if not 0.0 <= self.diversity <= 1.0:
            raise TaskError(f"diversity={self.diversity}: expected a number from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """Evaluation protocol of a task that has a published one; see ``rag/evaluation``.

    Attributes:
        dataset: Name of the published dataset that is evaluated; empty for any.
        split: Split whose rows are queries; empty for all rows in turn.
        answers: ``scored``: a language model scores the labels. ``written``: it writes, and
            its words are compared with the labels, as the reference was evaluated.
        subset: Questions that count, by their annotators' answers: all of these must hold.
            See ``rag/evaluation/metrics/text_answers.py``.
        source: Publication or file that the settings come from.
    """

    dataset: str = ""
    split: str = ""
    answers: AnswerForm = "scored"
    subset: tuple[Subset, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A solved example that a task brings along.

    Attributes:
        exemplar: The labelled segment, its labels already in the task's own names.
        path: Resolved path of its audio.
        where: ``"file:line"`` or the table row that it was read from.
    """

    exemplar: Exemplar
    path: Path
    where: str

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A question about recordings, and the labels, shots and examples that help to answer it.

    >>> from earful import Label, Shots, Task
    >>> task = Task(
    ...     name="machines",
    ...     question="Is the machine healthy?",
    ...     labels={"ok": Label(wording="a machine running normally"), "faulty": Label()},
    ...     shots=Shots(k=4, strategy="balanced"),
    ... )
    >>> task.kind, task.metric, task.wording("ok")
    ('classify', 'accuracy', 'a machine running normally')

    Attributes:
        name: 1 to 64 letters, digits, dots, hyphens and underscores.
        kind: ``classify`` names one label, ``multilabel`` any number, ``ask`` answers a
            question and ``caption`` describes.
        question: The prompt's question about each recording; empty for the kind's default.
        aliases: Names that corpora give this task; exemplars with an answer and the name of
            another task are never its shots.
        description: First words of a prompt, such as "The task is event classification.".
        labels: Name to ``Label``, in order, or names alone; empty for the labels of the
            examples or, when there are none, of the index.
        shots: Choice and order of exemplars.
        abstain_below: Confidence in [0, 1] below which the answer is "not sure".
        arm: Source of answers by default: the blend of language model and neighbour vote
            (``blend``), one of them alone, or the model without shots.
        lists_labels: Whether the question lists the labels; ``None`` for the form that the
            language model was trained on.
        yes_no_options: For ``ask``: whether a question whose answer is yes or no names these
            two options.
        metric: Score of an evaluation; the kind's first when empty.
        protocol: The published evaluation protocol, if there is one.
        examples: Solved examples that the task brings along.
        source: The task file; ``None`` for a task made in Python.

    Raises:
        TypeError: ``labels`` are no names.
        TaskError: The name, kind or metric is none of those above, a label or alias is
            claimed twice, or the kind has no labels.
    """

    name: str
    kind: Kind = "classify"
    aliases: tuple[str, ...] = ()
    question: str = ""
    description: str = ""
    labels: Mapping[str, Label] = field(default_factory=ReadOnlyDict, hash=False)
    shots: Shots = field(default_factory=Shots)
    abstain_below: float = 0.0
    arm: Answerer = "blend"
    lists_labels: bool | None = None
    yes_no_options: bool = False
    metric: str = ""
    protocol: Protocol = field(default_factory=Protocol)
    examples: tuple[Example, ...] = field(default=(), hash=False)
    source: Path | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", _named_labels(self.labels))
        if fault := task_name_fault(self.name):
            raise TaskError(fault)
        if self.kind not in KINDS:
            raise TaskError(f"task {self.name!r}: {unknown_name('kind', self.kind, KINDS)}")
        if not self.metric:
            object.__setattr__(self, "metric", METRICS[self.kind][0])
        if self.metric not in METRICS[self.kind]:
            fault = unknown_name("metric", self.metric, METRICS[self.kind])
            raise TaskError(f"task {self.name!r}: {fault}")
        if not 0.0 <= self.abstain_below <= 1.0:
            raise TaskError(
                f"task {self.name!r}: abstain_below={self.abstain_below}: expected 0 to 1"
            )
        if self.labels and not self.has_labels:
            raise TaskError(f"task {self.name!r}: labels go with classify and multilabel only")
        claimed: set[str] = set()
        for name, label in self.labels.items():
            for text in (name, *label.aliases):
                if fault := label_fault(text):
                    raise TaskError(f"task {self.name!r}: label {text!r} {fault}")
                if text in claimed:
                    raise TaskError(f"task {self.name!r}: label or alias {text!r} occurs twice")
                claimed.add(text)

    @property
    def has_labels(self) -> bool:
        """Whether answers are labels."""
        return self.kind in ("classify", "multilabel")

    def is_named(self, name: str) -> bool:
        """Whether a name in a corpus means this task; rows without a name suit any task."""
        return name in ("", self.name, *self.aliases)

    def wording(self, label: str) -> str:
        """Return a label's text in a prompt."""
        known = self.labels.get(label)
        return known.wording if known and known.wording else label

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values in a fixed order."""
        return {
            "name": self.name,
            "kind": self.kind,
            "aliases": list(self.aliases),
            "question": self.question,
            "description": self.description,
            "labels": {
                name: {"wording": self.wording(name), "aliases": list(label.aliases)}
                for name, label in self.labels.items()
            },
            "shots": asdict(self.shots),
            "answer": {
                "abstain_below": self.abstain_below,
                "arm": self.arm,
                "lists_labels": self.lists_labels,
                "yes_no_options": self.yes_no_options,
            },
            "metric": self.metric,
            "evaluation": {**asdict(self.protocol), "subset": list(self.protocol.subset)},
            "examples": [
                {
                    "id": example.exemplar.id,
                    "audio": str(example.path),
                    "start_s": example.exemplar.start_s,
                    "end_s": example.exemplar.end_s,
                    "labels": list(example.exemplar.labels),
                    "answer": example.exemplar.answer,
                }
                for example in self.examples
            ],
        }

    def describe(self) -> str:
        """Return the task as text for people, one fact a line."""
        shots = self.shots
        limit = f", at most {shots.max_per_label} of a label" if shots.max_per_label else ""
        lines = [
            f"name      {self.name}",
            f"kind      {self.kind}",
            f"question  {self.question or '(the default of the kind)'}",
        ]
        if self.description:
            lines.append(f"says      {self.description}")
        lines.append(f"shots     {shots.k}, {shots.strategy}, {shots.order}{limit}")
        if self.abstain_below:
            lines.append(f"abstains  below {self.abstain_below:.0%} confidence")
        if self.arm != "blend":
            lines.append(
                f"answers   the {'neighbour vote' if self.arm == 'vote' else 'model'} alone"
            )
        lines.append(f"metric    {self.metric}")
        if self.protocol != Protocol():
            lines.append(f"evaluated {self._describe_protocol()}")
        counts: dict[str, int] = {}
        for example in self.examples:
            for name in example.exemplar.labels:
                counts[name] = counts.get(name, 0) + 1
        lines.append(f"examples  {len(self.examples) or 'none of its own'}")
        if self.has_labels and not self.labels:
            lines.append("labels    those of its examples, or else of the index")
        for name, label in self.labels.items():
            wording = f" = {label.wording}" if label.wording else ""
            aliases = f"; also {', '.join(label.aliases)}" if label.aliases else ""
            n_own = f" ({counted(counts[name], 'example')})" if counts.get(name) else ""
            lines.append(f"label     {name}{wording}{aliases}{n_own}")
        return "\n".join(lines)

    def _describe_protocol(self) -> str:
        parts = [self.protocol.dataset, self.protocol.split and f"split {self.protocol.split}"]
        parts += [*self.protocol.subset, self.protocol.answers]
        return ", ".join(part for part in parts if part)


def _named_labels(labels: object) -> ReadOnlyDict[str, Label]:
    """Return labels by name; names alone have no wording and no alias."""
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise TypeError(f"labels={quoted(labels)}: expected names with a Label each, or a list")
    found = labels if isinstance(labels, Mapping) else dict.fromkeys(labels, Label())
    for name, label in found.items():
        if not isinstance(name, str) or not isinstance(label, Label):
            raise TypeError(
                f"labels hold {quoted(name)}: {quoted(label)}: expected a text and a Label"
            )
    return ReadOnlyDict(found)


def task_name_fault(name: str) -> str:
    """Explain why a text cannot be a task's name; empty when it can."""
    if _NAME.fullmatch(name):
        return ""
    return f"task name {quoted(name)}: expected 1 to 64 of A-Z a-z 0-9 dot, hyphen, underscore"


def label_fault(text: str) -> str:
    """Explain why a text cannot be a label; empty when it can.

    >>> label_fault("dog"), label_fault(" dog")
    ('', 'begins or ends with a space')
    """
    if not text.strip():
        return "is empty"
    if text != text.strip():
        return "begins or ends with a space"
    return name_fault(text)


CAPTION = Task(
    name="caption",
    kind="caption",
    aliases=("audio captioning", "music captioning", "audio description"),
)
"""Describing where no task is given; its aliases are what the published data sets call that."""

ASK = Task(
    name="ask",
    kind="ask",
    aliases=(
        "audio question answering",
        "audio vision question answering",
        "music information retrieval",
        *CAPTION.aliases,
    ),
)
"""Asking where no task is given: what answers a question, or describes, may be an example."""
