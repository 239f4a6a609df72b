"""Labels that look odd: one in several spellings, several in one, numbers where names may stand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from earful.index.corpus.columns.names import DASHES, as_option, is_missing
from earful.wording import counted, quoted

# Further labels than these are not remembered: the first rows tell enough.
_MOST_LABELS = 100_000
_MOST_NAMED = 5
_MOST = 0.5
_SEPARATORS = (";", ",", "/", "|", "&", "+")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?(e[+-]?[0-9]+)?", re.IGNORECASE)


class LabelCounts:
    """Counts the labels of rows, and says what is odd about them.

    Attributes:
        missing: Labels that look like missing values, with their rows.
    """

    def __init__(self) -> None:
        self.missing: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._separators: Counter[str] = Counter()
        self._n_labelled = self._n_joined = 0

    def add(self, labels: tuple[str, ...]) -> None:
        """Count the labels of a row."""
        self._n_labelled += bool(labels)
        for label in labels:
            if label in self._labels or len(self._labels) < _MOST_LABELS:
                self._labels[label] += 1
            if is_missing(label):
                self.missing[label] += 1
        # A list in one cell, such as [dog, cat], is no text to cut at its commas.
        named = [
            x
            for x in labels
            if not (is_missing(x) or _NUMBER.fullmatch(x) or (x[0] == "[" and x[-1] == "]"))
        ]
        held = {sign for sign in _SEPARATORS for label in named if sign in label.strip(sign)}
        self._separators.update(held)
        self._n_joined += bool(held)

    @property
    def only_one(self) -> str:
        """The label, where all rows share one; ``""`` otherwise."""
        return next(iter(self._labels)) if len(self._labels) == 1 else ""

    def notes(self, *, kind: str) -> list[str]:
        """Return what is odd, a sentence each.

        Args:
            kind: The corpus's; ``"file"`` for one recording, whose labels are options.
        """
        return [
            *self._about_missing(kind),
            *self._about_spellings(),
            *self._about_separators(kind),
        ]

    def about_numbers(self, column: str, others: Iterable[str]) -> str:
        """Return a note if all labels are numbers and another column may have their names.

        Args:
            column: The column of labels.
            others: Other columns that hold words and may hold labels.
        """
        name = next(iter(others), "")
        if not name or not self._labels or not all(map(_NUMBER.fullmatch, self._labels)):
            return ""
        n = counted(self._n_labelled, "row is", "rows are")
        return (
            f"{n} labelled with a number, from column {column}; if {name} names what is heard: "
            f"--column {as_option('labels', name)}"
        )

    def _about_missing(self, kind: str) -> list[str]:
        notes = []
        if self.missing:
            way_out = "" if kind == "file" else "; --drop-missing leaves them out"
            notes.append(
                "labels that look like missing values are taken as labels "
                f"({_each(self.missing)}){way_out}"
            )
        if dashes := {label: n for label, n in self._labels.items() if label in DASHES}:
            notes.append(
                f"labels that may mean nothing are taken as labels ({_each(dashes)}); where they "
                "mean nothing, leave the cell empty"
            )
        return notes

    def _about_spellings(self) -> list[str]:
        alike: dict[object, dict[str, int]] = {}
        for label, n in self._labels.items():
            alike.setdefault(_spelt_alike(label), {})[label] = n
        several = [labels for labels in alike.values() if len(labels) > 1]
        if not several:
            return []
        each = "; ".join(_each(labels) for labels in several[:_MOST_NAMED])
        more = "; and more" if len(several) > _MOST_NAMED else ""
        return [
            f"{counted(len(several), 'label stands', 'labels stand')} in several spellings, which "
            "differ in case, blanks, underscores, a question mark or as numbers are written, and "
            f"count as different labels ({each}{more}); if they mean one, spell them alike"
        ]

    def _about_separators(self, kind: str) -> list[str]:
        signs = sorted(self._separators, key=lambda x: (-self._separators[x], _SEPARATORS.index(x)))
        if kind == "folder" or self._n_joined <= _MOST * self._n_labelled:
            return []
        shown = " or ".join(map(quoted, signs))
        note = (
            f"{self._n_joined:,} of {counted(self._n_labelled, 'labelled row')} have a label that "
            f"holds {shown}; if it stands between labels: "
        )
        if kind == "file":
            return [note + "give each label an option of its own, --label A --label B"]
        note += f"--label-separator {quoted(signs[0])}"
        return [note + (", once all rows have that one" if len(signs) > 1 else "")]


def channels_note(channels: Iterable[str]) -> str:
    """Return a note if rows name other channels than the first.

    Args:
        channels: Texts of a column ``Channel``; Raven counts from 1, Kaleidoscope from 0.
    """
    numbers = {int(text) for text in channels if text.isascii() and text.isdigit()}
    if not numbers or max(numbers) <= (0 if 0 in numbers else 1):
        return ""
    shown = ", ".join(map(str, sorted(numbers)[:_MOST_NAMED]))
    return (
        f"rows name channels ({shown}), and labels are learnt from the average of a recording's "
        "channels; for one channel alone, write it to a file of its own and name that"
    )


def _each(labels: dict[str, int]) -> str:
    return ", ".join(f"{label!r} {n:,}" for label, n in sorted(labels.items()))


def _spelt_alike(label: str) -> object:
    """Return a key that labels of one meaning share, however they are spelt."""
    if _NUMBER.fullmatch(label):
        return float(label.replace(",", "."))
    words = re.sub(r"[\W_]*\?[\W_]*$", "", label)
    return re.sub(r"[\s_\-]+", " ", words or label).strip().casefold()
