"""Stretches of audio: those beyond their files, views of a selection, several raters' rows."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from earful.errors import CorpusError
from earful.index.corpus.exemplar import CorpusRow, Exemplar, own_answer
from earful.index.corpus.tables import Record
from earful.wording import counted, quoted

_VIEW, _SELECTION = "view", "selection"
TOLERANCE_S = 0.05
"""How far a stretch may end after its file."""
_SHORTEST_S = 0.02
_MOST = 0.5
_MUST_AGREE = ("split", "group", "licence")


class TimesBeyond:
    """Stretches that begin or end after their files, and what their numbers may mean instead.

    Threads may add to it together.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n = self._n_beyond = self._n_as_ms = self._n_as_samples = self._n_whole = 0

    def add(self, start_s: float, end_s: float | None, duration_s: float, sample_rate: int) -> None:
        """Count a stretch of a file.

        Args:
            start_s: Where it begins, in seconds.
            end_s: Where it ends; ``None`` for the end of the file.
            duration_s: Length of the file.
            sample_rate: Of the file, in Hz.
        """
        if start_s == 0 and end_s is None:
            return
        last, most = start_s if end_s is None else end_s, duration_s + TOLERANCE_S
        length = last if end_s is None else end_s - start_s
        with self._lock:
            self._n += 1
            if start_s < duration_s and last <= most:
                return
            self._n_beyond += 1
            self._n_whole += abs(length - duration_s) <= TOLERANCE_S
            # 54 to 56 are no milliseconds: nothing is that short.
            self._n_as_ms += last / 1000 <= most and length / 1000 >= _SHORTEST_S
            self._n_as_samples += last / sample_rate <= most and length / sample_rate >= _SHORTEST_S

    @property
    def counts(self) -> tuple[int, ...]:
        """The counts, for ``add_counts`` of another process."""
        with self._lock:
            return (self._n, self._n_beyond, self._n_as_ms, self._n_as_samples, self._n_whole)

    def add_counts(self, counts: Sequence[int]) -> None:
        """Add what was counted elsewhere.

        Args:
            counts: As ``counts`` returns them.
        """
        with self._lock:
            self._n += counts[0]
            self._n_beyond += counts[1]
            self._n_as_ms += counts[2]
            self._n_as_samples += counts[3]
            self._n_whole += counts[4]

    def note(self) -> str:
        """Return a hint where most stretches lie beyond their files; ``""`` where they do not."""
        if not self._n_beyond or self._n_beyond <= _MOST * self._n:
            return ""
        if self._n_whole == self._n_beyond:
            meaning = (
                "each is as long as its file, so they are positions in the recordings that the "
                "files were cut from"
            )
        elif self._n_as_ms == self._n_beyond:
            meaning = "they fit as milliseconds: divide the columns by 1000"
        elif self._n_as_samples == self._n_beyond:
            meaning = "they fit as samples: divide the columns by the sample rate"
        else:
            meaning = "they may be positions in the recordings that the files were cut from"
        return (
            f"{self._n_beyond:,} of {counted(self._n, 'stretch', 'stretches')} end after their "
            f"files; {meaning}; to take whole files, leave the times out: "
            "--column start_s= --column end_s="
        )


class OncePerSelection:
    """Tells the rows of further views of a selection in a table of Raven's.

    Raven writes a row for each view in which a selection is shown, such as ``Waveform 1`` and
    ``Spectrogram 1``, with the same number, times and labels.

    Attributes:
        n_further: Rows that were told so far.
    """

    def __init__(self) -> None:
        self.n_further = 0
        self._first_view: dict[tuple[str, ...], str] = {}

    def is_further_view(self, record: Record, columns: Mapping[str, str]) -> bool:
        """Whether a row differs from an earlier one in its view, and in no field.

        Args:
            record: The row.
            columns: Column of each field.
        """
        by_name = {name.lower(): name for name in record}
        if not by_name.keys() >= {_VIEW, _SELECTION}:
            return False
        names = (by_name[_SELECTION], *sorted(columns.values()))
        key = tuple(str(record[name]).strip() for name in names)
        view = str(record[by_name[_VIEW]]).strip()
        is_further = self._first_view.setdefault(key, view) != view
        self.n_further += is_further
        return is_further


class FurtherTexts:
    """Gives rows of one stretch with questions or answers of their own, as captions are, own ids.

    The second is ``a.wav#2``, as in the declared data sets. So is a row that says what is not there
    beside one that says what is.

    Attributes:
        n_further: Rows that got such an id.
    """

    def __init__(self) -> None:
        self.n_further = 0
        # A number stands for a text, of which a corpus may have millions.
        self._first: dict[str, int] = {}
        self._others: dict[str, list[int]] = {}
        self._denied: Counter[str] = Counter()

    def with_own_id(self, exemplar: Exemplar, *, is_taken: bool) -> Exemplar:
        """Return a row, with an id of its own if an earlier one of its id says something else.

        Args:
            exemplar: The row.
            is_taken: Whether an earlier row has its id.
        """
        if exemplar.is_negative or exemplar.id in self._denied:
            self._denied[exemplar.id] += 1
            if is_taken:
                ending = f"{'not-' if exemplar.is_negative else ''}{self._denied[exemplar.id]}"
                return replace(exemplar, id=f"{exemplar.id}#{ending}")
            return exemplar
        own = (exemplar.question, own_answer(exemplar.answer, exemplar.labels))
        if own == ("", ""):
            return exemplar
        number = hash(own)
        first = self._first.setdefault(exemplar.id, number)
        others = self._others.get(exemplar.id, [])
        if number == first or number in others:
            return exemplar
        self._others[exemplar.id] = [*others, number]
        self.n_further += 1
        return replace(exemplar, id=f"{exemplar.id}#{len(others) + 2}")


class StretchMerger:
    """Makes rows of one stretch one row, with the labels of all of them.

    The rows may lie anywhere in a corpus of any size: only those that are merged are held.

    Attributes:
        n_merged: Rows that went into others in the last pass.
        n_disputed: Stretches of which rows say both that a label is there and that it is not.
    """

    def __init__(self) -> None:
        self.n_merged = self.n_disputed = 0

    def notes(self) -> list[str]:
        """Count the stretches of which rows contradict each other."""
        if not self.n_disputed:
            return []
        n = counted(self.n_disputed, "stretch", "stretches")
        return [
            f"of {n} some rows say that a label is there and others that it is not; it counts as "
            "there: listen, and remove the wrong rows"
        ]

    def merge(self, read: Callable[[], Iterator[CorpusRow]]) -> Iterator[CorpusRow]:
        """Yield the rows of a corpus, those of one stretch where the first of them stands.

        Args:
            read: Reads the corpus from its start.

        Raises:
            CorpusError: Rows of one stretch differ in split, group or licence.
        """
        self.n_merged = self.n_disputed = 0
        times = Counter(_key(row.exemplar) for row in read())
        together: dict[str, list[CorpusRow]] = {key: [] for key, n in times.items() if n > 1}
        if not together:
            yield from read()
            return
        for row in read():
            if (rows := together.get(_key(row.exemplar))) is not None:
                rows.append(row)
        for row in read():
            rows = together.get(_key(row.exemplar), [row])
            if rows[0].where != row.where:
                self.n_merged += 1
            elif len(rows) == 1:
                yield row
            else:
                exemplar = _merged(rows)
                denied = {label for one in rows for label in one.exemplar.not_labels}
                self.n_disputed += not denied.isdisjoint(exemplar.labels)
                yield replace(row, exemplar=exemplar)


def same_stretch(one: Exemplar, two: Exemplar) -> bool:
    """Whether two exemplars are cut from the same place of the same file."""
    return (one.audio, one.start_s, one.end_s) == (two.audio, two.start_s, two.end_s)


def _key(exemplar: Exemplar) -> str:
    """Return what rows have in common that say the same thing of one stretch, but for labels."""
    stretch = (str(exemplar.audio), exemplar.start_s, exemplar.end_s)
    return repr(
        (*stretch, exemplar.task, exemplar.question, own_answer(exemplar.answer, exemplar.labels))
    )


def _merged(rows: list[CorpusRow]) -> Exemplar:
    first, *others = rows
    exemplar = first.exemplar
    for other in others:
        for field in _MUST_AGREE:
            mine, its = getattr(exemplar, field), getattr(other.exemplar, field)
            if mine != its:
                raise CorpusError(
                    f"{other.where}: is the same stretch as {first.where}, and its {field} is "
                    f"{quoted(its)} instead of {quoted(mine)}; expected rows that differ in labels "
                    "alone"
                )
    meta: dict[str, dict[str, None]] = {}
    for row in rows:
        for column, text in row.exemplar.meta.items():
            meta.setdefault(column, {})[text] = None
    joined = {column: "|".join(texts) for column, texts in meta.items()}
    labels = tuple(dict.fromkeys(label for row in rows for label in row.exemplar.labels))
    denied = dict.fromkeys(label for row in rows for label in row.exemplar.not_labels)
    return replace(
        exemplar,
        labels=labels,
        answer=own_answer(exemplar.answer, exemplar.labels),
        not_labels=tuple(label for label in denied if label not in labels),
        meta=joined,
    )
