"""Tally: counts of what is said, kept up to date item by item."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from earful.index.labels import ItemState, Label
from earful.rag.review.changes import PrecisionOfRandom, Progress
from earful.read_only import ReadOnlyDict

_Z = 1.959964
"""Deviations of a normal distribution between which 95 % lie."""
EVERYBODY = ""


@dataclass(kw_only=True)
class _Counts:
    """What is said by somebody, or by all together."""

    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    n_reviewed: int = 0
    n_skipped: int = 0

    def add(self, label: str, polarity: str, n: int) -> None:
        if polarity == "skip":
            self.n_skipped += n
            return
        self.n_reviewed += n
        if label:
            self.said[label, polarity] += n


class Tally:
    """Counts of what is said.

    Attributes:
        skipped: By reviewer, the items that they skipped and the numbers of those labels.
        disputed: Items that reviewers contradict each other about, or that one flagged for another.
        flagged: Of these, the ones that were flagged, and nobody else has judged since.
    """

    def __init__(self) -> None:
        self._counts: dict[str, _Counts] = defaultdict(_Counts)
        # What each item counts as, to be taken back when more is said of it.
        self._of_item: dict[str, list[tuple[str, str, str]]] = {}
        self._drawn: dict[str, tuple[str, bool]] = {}
        self._n_drawn: Counter[tuple[str, bool]] = Counter()
        self._n_disputed = 0
        self._disputed_only: set[str] = set()
        self.skipped: dict[str, dict[str, int]] = defaultdict(dict)
        self.disputed: set[str] = set()
        self.flagged: set[str] = set()
        # Those that count, in the order in which they came to.
        self._counted: dict[str, Label] = {}
        self._by_place: dict[str, dict[str, Label]] = defaultdict(dict)

    def update(self, item: str, state: ItemState | None) -> None:
        """Count what is said of an item now, and no longer what was said before."""
        for who, label, polarity in self._of_item.pop(item, ()):
            self._counts[who].add(label, polarity, -1)
            self.skipped[who].pop(item, None)
        self.disputed.discard(item)
        self.flagged.discard(item)
        self._disputed_only.discard(item)
        if (drawn := self._drawn.pop(item, None)) is not None:
            self._n_drawn[drawn] -= 1
        if (counted := self._counted.pop(item, None)) is not None:
            self._by_place[_place(counted)].pop(item, None)
        if state is None:
            return
        own = [(who, word.label, str(word.polarity)) for who, word in state.words.items()]
        label = "" if state.label is None else state.label.label
        own.append((EVERYBODY, label, state.status))
        for who, name, polarity in own:
            self._counts[who].add(name, polarity, 1)
        self._of_item[item] = own
        for who, word in state.words.items():
            if word.polarity == "skip":
                self.skipped[who][item] = word.seq
        if state.label is not None and state.label.polarity != "skip":
            self._counted[item] = state.label
            self._by_place[_place(state.label)][item] = state.label
        if state.status == "disputed":
            self._disputed_only.add(item)
        if state.status == "disputed" or any(word.flagged for word in state.words.values()):
            self.disputed.add(item)
        if _awaits_another(state):
            self.flagged.add(item)
        if (drawn := _drawn(state)) is not None:
            self._drawn[item] = drawn
            self._n_drawn[drawn] += 1

    def labels_in(self, place: str) -> list[Label]:
        """Return the labels that count in a recording."""
        return list(self._by_place.get(place, {}).values())

    def latest(self, n: int) -> list[str]:
        """Return the items that were labelled last, at most ``n``, the latest first."""
        return list(islice(reversed(self._counted), n))

    def n(self, label: str, polarity: str) -> int:
        """Return how many items are a label, or are not."""
        return self._counts[EVERYBODY].said[label, polarity]

    def line(self, label: str) -> str:
        """Return counts of a label in words, such as ``"wren: 14 yes, 3 no"``."""
        names = {"positive": "yes", "negative": "no", "unknown": "unsure"}
        counts = [
            f"{n} {name}" for polarity, name in names.items() if (n := self.n(label, polarity)) > 0
        ]
        return f"{label}: {', '.join(counts) or 'nothing said'}"

    def opinions(self) -> Counter[str]:
        """Return how many items are each label or are not, by those who know."""
        found: Counter[str] = Counter()
        for (label, polarity), n in self._counts[EVERYBODY].said.items():
            if polarity in ("positive", "negative"):
                found[label] += n
        return found

    def used(self) -> Counter[str]:
        """Return how often each label was said to be there."""
        return Counter(
            {
                label: n
                for (label, polarity), n in self._counts[EVERYBODY].said.items()
                if polarity == "positive" and n > 0
            }
        )

    def progress(
        self, n_items: int, reviewer: str = "", *, n_peaks: int = 0, is_fitting: bool = False
    ) -> Progress:
        """Return how far a review is, or one reviewer."""
        counts = self._counts[reviewer] if reviewer in self._counts else _Counts()
        by_label: dict[str, dict[str, int]] = {}
        for (label, polarity), n in sorted(counts.said.items()):
            if n > 0 and polarity != "disputed":
                own = by_label.setdefault(label, {"positive": 0, "negative": 0, "unknown": 0})
                own[polarity] = n
        return Progress(
            n_items=n_items,
            n_peaks=n_peaks,
            n_reviewed=counts.n_reviewed,
            by_label=ReadOnlyDict({label: ReadOnlyDict(own) for label, own in by_label.items()}),
            n_skipped=counts.n_skipped,
            n_disputed=len(self._disputed_only),
            precision=self._precision(),
            is_fitting=is_fitting,
        )

    def _precision(self) -> Mapping[str, PrecisionOfRandom]:
        found = {}
        for label in sorted({label for label, _ in self._n_drawn}):
            n_right = self._n_drawn[label, True]
            if n := n_right + self._n_drawn[label, False]:
                low, high = wilson(n_right, n)
                found[label] = PrecisionOfRandom(n=n, n_right=n_right, low=low, high=high)
        return ReadOnlyDict(found)


def wilson(n_right: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927).

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    share, z2 = n_right / n, _Z**2
    middle = share + z2 / (2 * n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, (middle - half) / (1 + z2 / n)), min(1.0, (middle + half) / (1 + z2 / n))


def _place(label: Label) -> str:
    return label.recording_sha256 or label.recording


def _awaits_another(state: ItemState) -> bool:
    """Whether an item was flagged, and no other reviewer has judged it since."""
    flags = [word for word in state.words.values() if word.flagged]
    if not flags:
        return False
    last = max(flags, key=lambda word: word.seq)
    return not any(
        word.seq > last.seq and word.reviewer != last.reviewer and word.polarity != "skip"
        for word in state.words.values()
    )


def _drawn(state: ItemState) -> tuple[str, bool] | None:
    """Return guess and truth of an event that was drawn at random; ``None`` for all else.

    It counts as what it was when it was shown: detectors learn from what is said of it.
    """
    if state.status not in ("positive", "negative") or state.label is None:
        return None
    for one in state.history:
        if isinstance(one, Label) and one.source == "random":
            if one.score is None or one.threshold is None or one.score <= one.threshold:
                return None
            label = state.label
            if label.label != one.guess and label.polarity == "negative":
                return None  # says nothing of the guess
            return one.guess, label.label == one.guess and label.polarity == "positive"
    return None
