"""Labels, commits and crashes in any order: after the next commit the index says what counts."""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from earful import Events, Index, build_index, open_corpus
from earful.index.annotations import RecordingRow
from earful.index.labels import Label, LabelJournal, journal_path
from earful.index.storage import Table
from earful.rag.review import commit_labels
from tests.support.label_model import rows_of, what_counts
from tests.support.levels import Levels, write_level

pytestmark = pytest.mark.slow
WRITES = ("append", "upsert", "delete")


class CrashError(Exception):
    """The process ends."""


class Committing(RuleBasedStateMachine):
    """A journal, an index, and commits that end in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.patches: list[Any] = [
            patch("os.fsync", lambda _: None),
            patch.dict(os.environ, {"EARFUL_DECODE": "here"}),
        ]
        for one in self.patches:
            one.start()
        write_level(self.folder / "night/a.wav", 0.3, seconds=6.0)
        write_level(self.folder / "sounds/fox/0.wav", 0.6)
        rows = (RecordingRow(recording=str(self.folder / "night/a.wav"), duration_s=6.0),)
        self.scan, self.index = self.folder / "s", self.folder / "i"
        Events(recordings=rows, scan={"paths": [str(self.folder / "night")]}).write(self.scan)
        build_index(open_corpus(self.folder / "sounds"), self.index, embedder=Levels())
        self.journal = LabelJournal(journal_path(self.scan))

    def teardown(self) -> None:
        for one in self.patches:
            one.stop()
        shutil.rmtree(self.folder)

    @rule(
        item=st.integers(0, 3),
        reviewer=st.sampled_from(["ana", "ben"]),
        name=st.sampled_from(["wren", "owl"]),
        polarity=st.sampled_from(["positive", "positive", "negative", "unknown"]),
        moved=st.sampled_from([0.0, 0.0, 0.5]),
        source=st.sampled_from(["review", "review", "resolve"]),
    )
    def label(self, item: int, moved: float, name: str, **said: Any) -> None:
        self.journal.append(
            Label(
                item=f"i{item}",
                recording=str(self.folder / "night/a.wav"),
                recording_sha256="",
                start_s=item + moved,
                end_s=item + moved + 0.25,
                label=name,
                **said,
            )
        )

    @precondition(lambda self: self.journal.state().last_seq > 0)
    @rule(back=st.integers(0, 3))
    def undo(self, back: int) -> None:
        lines = [one for one in self.journal.read() if isinstance(one, Label)]
        undone = {getattr(one, "undo", 0) for one in self.journal.read()}
        mine = [one for one in lines if one.seq not in undone]
        if mine:
            one = mine[-1 - back % len(mine)]
            self.journal.undo(one.seq, one.reviewer)

    @rule(n=st.integers(0, 2), is_after=st.booleans())
    def crash(self, n: int, is_after: bool) -> None:
        """End a commit before or after one of its writes."""
        left = n

        def ending(write: Callable[..., Any]) -> Callable[..., Any]:
            def ends(*given: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0 and not is_after:
                    raise CrashError
                done = write(*given)
                if left < 0:
                    raise CrashError
                return done

            return ends

        patches = [patch.object(Table, one, ending(getattr(Table, one))) for one in WRITES]
        for one in patches:
            one.start()
        with suppress(CrashError):
            commit_labels(self.scan, self.index, embedder=Levels())
        for one in patches:
            one.stop()

    @rule()
    def commit(self) -> None:
        commit_labels(self.scan, self.index, embedder=Levels())
        wanted = rows_of(what_counts(self.journal.read()))
        found = {
            one.id: (one.labels, one.not_labels)
            for one in Index.open(self.index).vectors().exemplars
            if one.id.startswith("review/")
        }
        assert found == wanted
        times = {one.item: one.start_s for one in self.journal.state().counted}
        for one in Index.open(self.index).vectors().exemplars:
            if one.id in wanted:
                assert one.start_s == times[one.id.removeprefix("review/")]
        assert commit_labels(self.scan, self.index, embedder=Levels(fail_at=1)).n_rows == 0


TestCommitting = Committing.TestCase
TestCommitting.settings = settings(max_examples=6, stateful_step_count=12, deadline=None)
