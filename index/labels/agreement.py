"""Agreement of reviewers: Cohen's kappa for each label, and the items they differ about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from earful.index.labels.fold import ItemState, LabelState, contradict
from earful.index.labels.label import Label, Undo
from earful.plain import plain_fields
from earful.read_only import ReadOnlyDict
from earful.values import short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """How far two reviewers agree on one label.

    It counts the items whose guess was the label, or that one of them called so or not so, as far
    as both said whether it is that label.

    Attributes:
        label: The label.
        first: A reviewer.
        second: The other.
        both: Items that both call so.
        only_first: Items that only the first calls so.
        only_second: Items that only the second calls so.
        neither: Items that neither calls so.
    """

    label: str
    first: str
    second: str
    both: int = 0
    only_first: int = 0
    only_second: int = 0
    neither: int = 0

    __repr__ = short_repr

    @property
    def n(self) -> int:
        """Items that count."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def agreed(self) -> float:
        """Share of the items on which they agree."""
        return (self.both + self.neither) / self.n

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; ``None`` where both always say the same, so that chance explains it.

        >>> PairAgreement(label="wren", first="a", second="b", both=20, only_first=5,
        ...     only_second=10, neither=15).kappa
        0.4
        """
        first, second = self.both + self.only_first, self.both + self.only_second
        by_chance = first * second + (self.n - first) * (self.n - second)
        beyond = self.n * self.n - by_chance
        if not beyond:
            return None
        return round((self.n * (self.both + self.neither) - by_chance) / beyond, 12)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values, with ``n``, ``agreed`` and ``kappa``."""
        kappa = self.kappa
        return {
            **plain_fields(self),
            "n": self.n,
            "agreed": round(self.agreed, 4),
            "kappa": None if kappa is None else round(kappa, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An item that reviewers differ about.

    Attributes:
        item: Its id.
        recording: The recording.
        start_s: Where it begins, in seconds.
        end_s: Where it ends, in seconds.
        words: What each said: polarity and label.
        status: What counts by now; ``"disputed"`` until it is settled.
        label: The label that counts; empty when disputed.
    """

    item: str
    recording: str
    start_s: float
    end_s: float
    words: Mapping[str, tuple[str, str]] = field(default_factory=ReadOnlyDict, hash=False)
    status: str = "disputed"
    label: str = ""

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far reviewers agree.

    Attributes:
        pairs: For each label and pair of reviewers who both judged items of it.
        differences: Items about which they differ, also those that are settled by now.
        n_shared: Items about which two reviewers or more have an opinion.
    """

    pairs: tuple[PairAgreement, ...] = ()
    differences: tuple[Difference, ...] = ()
    n_shared: int = 0

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self)


def find_agreement(state: LabelState) -> Agreement:
    """Compare what reviewers say of the same items.

    They differ where one says that a label is there and another that it is not, or that another
    is. The last opinion of each that was not taken back counts. What was said to settle a dispute
    is no opinion of its own: who said it knew those of the others. Who calls an item something else
    says that it is not what was guessed.

    Args:
        state: What a journal says.
    """
    counts: dict[tuple[str, str, str], list[int]] = {}
    differences = []
    n_shared = 0
    for item, said in state.items.items():
        opinions = _opinions(said)
        if len(opinions) < 2:
            continue
        n_shared += 1
        if any(contradict(one, other) for one, other in combinations(opinions.values(), 2)):
            differences.append(_difference(item, said, opinions))
        for first, second in combinations(sorted(opinions), 2):
            one, other = opinions[first], opinions[second]
            for label in dict.fromkeys(_names(one, other)):
                judged = _judges(one, label), _judges(other, label)
                if None in judged:
                    continue
                place = (0 if judged[1] else 1) if judged[0] else (2 if judged[1] else 3)
                counts.setdefault((label, first, second), [0, 0, 0, 0])[place] += 1
    pairs = [
        PairAgreement(
            label=label,
            first=first,
            second=second,
            both=found[0],
            only_first=found[1],
            only_second=found[2],
            neither=found[3],
        )
        for (label, first, second), found in sorted(counts.items())
    ]
    differences.sort(key=lambda one: (one.recording, one.start_s, one.item))
    return Agreement(pairs=tuple(pairs), differences=tuple(differences), n_shared=n_shared)


def _opinions(said: ItemState) -> dict[str, Label]:
    """Return the last opinion of each reviewer, but for what settled a dispute."""
    undone = {one.undo for one in said.history if isinstance(one, Undo)}
    words = {
        one.reviewer: one
        for one in said.history
        if isinstance(one, Label) and one.seq not in undone and one.source != "resolve"
    }
    return {name: one for name, one in words.items() if one.is_opinion}


def _names(*labels: Label) -> Iterator[str]:
    for one in labels:
        yield one.label
        if one.guess:
            yield one.guess


def _judges(one: Label, label: str) -> bool | None:
    """Return whether a reviewer calls an item so; ``None`` for who did not say."""
    if one.label == label:
        return one.polarity == "positive"
    return False if one.polarity == "positive" else None


def _difference(item: str, said: ItemState, opinions: Mapping[str, Label]) -> Difference:
    last = max(opinions.values(), key=lambda one: one.seq)
    return Difference(
        item=item,
        recording=last.recording,
        start_s=last.start_s,
        end_s=last.end_s,
        words={name: (one.polarity, one.label) for name, one in sorted(opinions.items())},
        status=said.status,
        label="" if said.label is None else said.label.label,
    )
