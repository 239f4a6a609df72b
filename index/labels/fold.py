"""The fold of a journal: what is said of each item when all lines are counted.

- The last word of each reviewer counts; an undo takes a word back, and the one before it counts.
- Positives and negatives are opinions. ``unknown`` and ``skip`` are none, and contradict nobody.
- Opinions contradict each other where one says that a label is there and another that it is not, or
  that another label is. "Machine" and "not bird" agree that it is no bird: what is there counts.
- Contradictions make an item disputed, until more than half of three or more who judge a label
  agree, or somebody resolves it (``source="resolve"``). The last resolution stands whatever is said
  later, until it is undone or its reviewer says something else.
- Without any opinion an item is ``unknown`` where somebody was unsure, else ``skip``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from earful.errors import LabelError
from earful.index.labels.label import Label, Undo
from earful.read_only import ReadOnlyDict
from earful.values import short_repr
from earful.wording import quoted

ItemStatus = Literal["positive", "negative", "unknown", "skip", "disputed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemState:
    """What is said of one item.

    Attributes:
        words: The last word of each reviewer.
        status: What counts: the polarity of ``label``, or ``"disputed"``.
        label: The label that counts, of those who agree the last; ``None`` when disputed.
        history: All lines about the item, in order, also those that no longer count.
    """

    words: Mapping[str, Label] = field(hash=False)
    status: ItemStatus
    label: Label | None
    history: tuple[Label | Undo, ...] = ()

    __repr__ = short_repr

    @property
    def opinions(self) -> tuple[Label, ...]:
        """The positives and negatives among the words, in order."""
        return tuple(sorted((x for x in self.words.values() if x.is_opinion), key=_seq))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelState:
    """What a journal says by now.

    Attributes:
        items: Items of which something is said that was not taken back.
        n_lines: Lines that count: labels and undos.
        last_seq: Number of the last line; 0 for none.
        notes: What a reader should know, such as a line that was never finished.
    """

    items: Mapping[str, ItemState] = field(default_factory=ReadOnlyDict, hash=False)
    n_lines: int = 0
    last_seq: int = 0
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    @property
    def counted(self) -> tuple[Label, ...]:
        """The positives and negatives that count, in order."""
        found = (one.label for one in self.items.values())
        return tuple(sorted((x for x in found if x is not None and x.is_opinion), key=_seq))


class Fold:
    """A fold that grows line by line."""

    def __init__(self) -> None:
        self.items: dict[str, ItemState] = {}
        self.lines: list[Label | Undo] = []
        self._labels: dict[int, Label] = {}
        self._undone: set[int] = set()
        self._history: dict[str, list[Label | Undo]] = {}

    @property
    def last_seq(self) -> int:
        """Number of the last line; 0 for none."""
        return self.lines[-1].seq if self.lines else 0

    def add(self, line: Label | Undo) -> None:
        """Count a line.

        Raises:
            LabelError: Its number is not after the last one, or it undoes what it may not.
        """
        if line.seq <= self.last_seq:
            raise LabelError(
                f"seq={line.seq}: expected a number after {self.last_seq}", field="seq"
            )
        if isinstance(line, Undo):
            item = self.undoable(line.undo, line.reviewer).item
            self._undone.add(line.undo)
        else:
            item = line.item
            self._labels[line.seq] = line
        self.lines.append(line)
        history = self._history.setdefault(item, [])
        history.append(line)
        words = {
            one.reviewer: one
            for one in history
            if isinstance(one, Label) and one.seq not in self._undone
        }
        if words:
            self.items[item] = state_of(words, tuple(history))
        else:
            self.items.pop(item, None)

    def undoable(self, seq: int, reviewer: str) -> Label:
        """Return the label that a reviewer may take back.

        Raises:
            LabelError: There is none, another said it, or it was taken back already.
        """
        label = self._labels.get(seq)
        if label is None:
            raise LabelError(
                f"no label has the number {seq}; `earful labels show` lists them", field="seq"
            )
        if label.reviewer != reviewer:
            raise LabelError(
                f"label {seq} is of {quoted(label.reviewer)}; expected one of {quoted(reviewer)}, "
                "as nobody can take back what another said",
                field="seq",
            )
        if seq in self._undone:
            raise LabelError(f"label {seq} was taken back already", field="seq")
        return label

    def state(self, notes: tuple[str, ...]) -> LabelState:
        """Return what is said by now."""
        return LabelState(
            items=ReadOnlyDict(self.items),
            n_lines=len(self.lines),
            last_seq=self.last_seq,
            notes=notes,
        )


def state_of(words: Mapping[str, Label], history: tuple[Label | Undo, ...] = ()) -> ItemState:
    """Return what follows from the last words of an item's reviewers.

    Args:
        words: One or more, by reviewer.
        history: All lines about the item.
    """
    counts = _what_counts(sorted(words.values(), key=_seq))
    return ItemState(
        words=ReadOnlyDict(words),
        status="disputed" if counts is None else counts.polarity,
        label=counts,
        history=history,
    )


def _what_counts(words: list[Label]) -> Label | None:
    """Return the word that counts of some in order, ``None`` where they differ."""
    settled = [one for one in words if one.source == "resolve"]
    if settled:
        return settled[-1]
    opinions = [one for one in words if one.is_opinion]
    if not opinions:
        unsure = [one for one in words if one.polarity == "unknown"]
        return (unsure or words)[-1]
    left = _undisputed(opinions)
    if left is None:
        return None
    positives = [one for one in left if one.polarity == "positive"]
    if positives:
        return positives[-1]
    votes = Counter(one.label for one in left)
    return max(left, key=lambda one: (votes[one.label], one.seq))


def contradict(one: Label, other: Label) -> bool:
    """Whether two opinions contradict each other.

    Two labels that are not there do not, nor one that is there and another that is not.
    """
    if one.label == other.label:
        return one.polarity != other.polarity
    return one.polarity == other.polarity == "positive"


def _undisputed(opinions: list[Label]) -> list[Label] | None:
    """Return the opinions without those that are outvoted; ``None`` where votes settle nothing.

    Of each label that somebody calls an item, those who do stand against those whose opinion
    contradicts it. A label with more for it than against it counts. Else that with most against it
    is outvoted, and the others are counted anew.
    """
    left = opinions
    while True:
        balance = {}
        for label in {one.label for one in left if one.polarity == "positive"}:
            own = next(one for one in left if (one.label, one.polarity) == (label, "positive"))
            n_for = sum((one.label, one.polarity) == (label, "positive") for one in left)
            if n_against := sum(contradict(own, one) for one in left):
                balance[label] = n_for - n_against
        if not balance:
            return left
        best, worst = max(balance, key=balance.__getitem__), min(balance.values())
        if balance[best] > 0:
            won = next(one for one in left if (one.label, one.polarity) == (best, "positive"))
            return [one for one in left if not contradict(won, one)]
        lost = [label for label, votes in balance.items() if votes == worst]
        if worst == 0 or len(lost) > 1:
            return None
        left = [one for one in left if (one.label, one.polarity) != (lost[0], "positive")]


def _seq(label: Label) -> int:
    return label.seq
