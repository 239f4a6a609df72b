"""A journal against a dictionary: labels, undos, disputes, resolutions, crashes in any write."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from earful.errors import LabelError
from earful.index.labels import Label, LabelJournal, Undo
from tests.support.label_model import what_counts

ITEMS = st.sampled_from("abc")
REVIEWERS = st.sampled_from(["ana", "ben", "eva"])
NAMES = st.sampled_from(["wren", "owl } \u00e9"])
POLARITIES = st.sampled_from(["positive", "positive", "negative", "unknown", "skip"])
write = os.write


class CrashError(BaseException):
    """The process ends."""


def label(item: str, reviewer: str, name: str, polarity: str, source: str = "review") -> Label:
    return Label(
        item=item,
        recording="night.wav",
        recording_sha256="",
        start_s=1.0,
        end_s=2.0,
        label=name,
        polarity=polarity,  # type: ignore[arg-type]
        reviewer=reviewer,
        source=source,  # type: ignore[arg-type]
    )


class Labelling(RuleBasedStateMachine):
    """People who label, and a process that ends whenever it likes.

    ``said`` is what the journal must hold: the number of a line, its reviewer, and what it says.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "labels.jsonl")
        self.journal = LabelJournal(self.path)
        self.other = LabelJournal(self.path)
        self.said: list[Label | Undo] = []
        self.fsync = patch("os.fsync", lambda _: None)
        self.fsync.start()

    def teardown(self) -> None:
        self.fsync.stop()
        self.folder.cleanup()

    @rule(item=ITEMS, reviewer=REVIEWERS, name=NAMES, polarity=POLARITIES)
    def label(self, item: str, reviewer: str, name: str, polarity: str) -> None:
        self.said.append(self.journal.append(label(item, reviewer, name, polarity)))

    @rule(item=ITEMS, reviewer=REVIEWERS)
    def label_elsewhere(self, item: str, reviewer: str) -> None:
        self.said.append(self.other.append(label(item, reviewer, "wren", "positive")))

    @rule(item=ITEMS, reviewer=REVIEWERS, polarity=st.sampled_from(["positive", "unknown"]))
    def resolve(self, item: str, reviewer: str, polarity: str) -> None:
        said = label(item, reviewer, "wren", polarity, source="resolve")
        self.said.append(self.journal.append(said))

    @rule(seq=st.integers(1, 12), reviewer=REVIEWERS)
    def undo(self, seq: int, reviewer: str) -> None:
        of_seq = {one.seq: one for one in self.said}.get(seq)
        undone = {one.undo for one in self.said if isinstance(one, Undo)}
        if isinstance(of_seq, Label) and of_seq.reviewer == reviewer and seq not in undone:
            assert self.journal.undo(seq, reviewer) == of_seq
            self.said.append(self.journal.read(self.said[-1].seq)[-1])
        else:
            with suppress(LabelError):
                self.journal.undo(seq, reviewer)
                raise AssertionError("took back what nobody may")

    @rule(item=ITEMS, reviewer=REVIEWERS, share=st.floats(0, 1), is_undo=st.booleans())
    def crash(self, item: str, reviewer: str, share: float, is_undo: bool) -> None:
        """End the process after a share of what it wanted to write; 1 is all of it."""
        wanted = 0

        def cut(descriptor: int, content: Any) -> int:
            nonlocal wanted
            if bytes(content)[:1].isdigit():  # a lock's, where the system has none
                return write(descriptor, content)
            wanted = len(content)
            write(descriptor, bytes(content)[: round(share * wanted)])
            raise CrashError

        mine = [one for one in self.said if isinstance(one, Label)]
        undone = {one.undo for one in self.said if isinstance(one, Undo)}
        mine = [one for one in mine if one.seq not in undone]
        with patch("os.write", cut), suppress(CrashError):
            if is_undo and mine:
                self.journal.undo(mine[-1].seq, mine[-1].reviewer)
            else:
                self.journal.append(label(item, reviewer, "wren", "negative"))
        self.journal = LabelJournal(self.path)
        if round(share * wanted) == wanted:
            # All was written, and nobody was told: it counts.
            self.said.append(self.journal.read()[-1])

    @invariant()
    def holds_what_was_said(self) -> None:
        for journal in (self.journal, self.other, LabelJournal(self.path)):
            assert journal.read() == tuple(self.said)
            state = journal.state()
            found = {
                item: (one.status, "" if one.label is None else one.label.label)
                for item, one in state.items.items()
            }
            assert found == what_counts(self.said)
            assert state.n_lines == len(self.said)
            assert [one.seq for one in self.said] == list(range(1, len(self.said) + 1))


TestLabelling = Labelling.TestCase
TestLabelling.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
