"""Palette: the labels that a reviewer chooses from, in an order that stays."""

from __future__ import annotations

from collections.abc import Iterable

from earful.index.labels import Label, LabelJournal


class Palette:
    """Labels that a reviewer chooses from; a caller that uses several threads guards it.

    Keys stand for places, so that the order depends on nothing that reviewers say of the same
    labels: first come those that are given, in their order, then others in the order in which the
    journal first names them, taken back or not, then some more. What is named later comes last.

    Args:
        journal: Of the review.
        first: Labels that come first, such as those of a task and of a scan.
        last: Labels that come last, such as those of an index beside a scan.
    """

    def __init__(self, journal: LabelJournal, first: Iterable[str], last: Iterable[str]) -> None:
        self._journal, self._last_seq = journal, 0
        self._labels = dict.fromkeys(first)
        self._labels = dict.fromkeys([*self.labels(), *last])

    def labels(self) -> tuple[str, ...]:
        """Return the labels by now."""
        lines = self._journal.read(self._last_seq)
        if lines:
            self._last_seq = lines[-1].seq
            named = (line.label for line in lines if isinstance(line, Label))
            self._labels |= dict.fromkeys(named)
        return tuple(self._labels)
