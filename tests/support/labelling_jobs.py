"""Labelling to be killed: labels that follow from their numbers, and commits into an index."""

import os
import time
from pathlib import Path

from earful.index import Index
from earful.index.labels import Label, LabelJournal, Undo, journal_path
from earful.rag.review import commit_labels
from tests.support.label_model import rows_of, what_counts
from tests.support.levels import Levels

N_ITEMS = 12
_EVERY = 4
_REVIEWERS = ("ana", "ben", "eva")
_POLARITIES = ("positive", "negative", "positive", "unknown", "positive", "skip")


def line_of(seq: int) -> Label | int:
    """Return the label with a number, or the number that the line takes back."""
    if seq % 7 == 0:
        return seq - 1
    place = seq * 5 % N_ITEMS
    return Label(
        item=f"i{place}",
        recording="night/a.wav",
        recording_sha256="",
        start_s=float(place),
        end_s=place + 0.5,
        label=("wren", "owl")[seq % 11 == 0],
        polarity=_POLARITIES[seq % len(_POLARITIES)],  # type: ignore[arg-type]
        reviewer=_REVIEWERS[seq % 3],
        comment="x" * (seq % 5 * 100),
    )


def is_line(seq: int, line: Label | Undo) -> bool:
    """Whether a line of a journal is the one of its number."""
    wanted = line_of(seq)
    if isinstance(wanted, int) or isinstance(line, Undo):
        return isinstance(line, Undo) and line.undo == wanted
    return (line.item, line.label, line.polarity, line.reviewer, line.comment) == (
        *(wanted.item, wanted.label, wanted.polarity, wanted.reviewer, wanted.comment),
    )


def require_agreement(scan: str, index: str) -> None:
    """Require that an index holds what a journal says, after a commit."""
    rows = Index.open(index).vectors().exemplars
    found = {one.id: (one.labels, one.not_labels) for one in rows}
    wanted = rows_of(what_counts(LabelJournal(journal_path(scan)).read()))
    assert {id_: own for id_, own in found.items() if id_.startswith("review/")} == wanted


def labelling(scan: str, index: str, n_lines: int, hasty: bool = False) -> None:
    """Commit what an earlier one left, check it, and go on labelling; acknowledge each line."""
    os.chdir(Path(scan).parent)
    embedder = Levels()
    _say("begin", 0)
    commit_labels(scan, index, embedder=embedder)
    require_agreement(scan, index)
    journal = LabelJournal(journal_path(scan))
    before = journal.state().last_seq
    for seq in range(before + 1, before + n_lines + 1):
        if hasty:
            _say("safe", seq)
            time.sleep(0.01)
        line = line_of(seq)
        if isinstance(line, Label):
            assert journal.append(line).seq == seq
        else:
            wanted = line_of(line)
            assert isinstance(wanted, Label)
            assert journal.undo(line, wanted.reviewer).seq == line
        if not hasty:
            _say("safe", seq)
        if seq % _EVERY == 0:
            commit_labels(scan, index, embedder=embedder)


def labelling_hasty(scan: str, index: str, n_lines: int) -> None:
    """Acknowledge a label before it is on the disk."""
    labelling(scan, index, n_lines, hasty=True)


def _say(word: str, number: int) -> None:
    os.write(1, f"{word} {number}\n".encode())
