"""Marks: the labels of a journal that count, as annotations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from earful.index.annotations import Annotation, Polarity
from earful.index.labels.journal import JOURNAL_FILE, LabelJournal
from earful.wording import counted


def read_marks(journal: str | os.PathLike[str]) -> tuple[list[Annotation], list[str]]:
    """Return the positives and negatives of a journal, and what a reader should know of them.

    What is disputed, unknown or skipped is left out.

    Args:
        journal: The file, or the folder that it lies in; a journal that is not there is empty.

    Raises:
        LabelError: It is damaged.
    """
    path = _file_of(journal)
    state = LabelJournal(path).state()
    marks = [
        Annotation(
            recording=label.recording,
            start_s=label.start_s,
            end_s=label.end_s,
            label=label.label,
            polarity=cast("Polarity", label.polarity),
            where=f"{path}:{label.seq}",
        )
        for label in state.counted
    ]
    n_positive = sum(one.polarity == "positive" for one in marks)
    notes = [
        *state.notes,
        f"{path}: {counted(len(marks), 'label')} of reviewers: {n_positive} positive, "
        f"{len(marks) - n_positive} negative",
    ]
    if n_disputed := sum(one.status == "disputed" for one in state.items.values()):
        notes.append(
            f"{path}: {counted(n_disputed, 'disputed item')} left out; `earful labels agreement` "
            "lists them"
        )
    return marks, notes


def read_mark_reviewers(journal: str | os.PathLike[str]) -> dict[str, str]:
    """Return who set each mark of a journal, by its ``where``.

    Args:
        journal: The file, or the folder that it lies in; a journal that is not there is empty.

    Raises:
        LabelError: It is damaged.
    """
    path = _file_of(journal)
    return {f"{path}:{one.seq}": one.reviewer for one in LabelJournal(path).state().counted}


def _file_of(journal: str | os.PathLike[str]) -> Path:
    path = Path(journal)
    return path if path.name == JOURNAL_FILE else path / JOURNAL_FILE
