"""Completeness check: the data below a folder against the sizes that its publisher states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from earful.index.datasets.corpus import DatasetCorpus
from earful.index.datasets.declaration import Fact, Split
from earful.index.datasets.row_faults import WholeSplit


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCount:
    """Size of a split below the folder, and its official size.

    Attributes:
        name: Name of the split; empty for rows without one.
        n_rows: Rows in the dataset's files that are of the task.
        n_found: Rows whose recording is there.
        n_clips: Distinct recordings of these.
        official: Size that the publisher states; ``None`` when it is not declared.
        n_whole_rows: Rows in the dataset's files, in all tasks and with those left out as
            broken: what an official size counts.
        n_whole_clips: Distinct recordings of these, those left out as broken included.
        n_known_bad: Recordings among these that are left out as broken.
    """

    name: str
    n_rows: int
    n_found: int
    n_clips: int
    official: Split | None
    n_whole_rows: int
    n_whole_clips: int
    n_known_bad: int

    def size_comparison(self) -> str:
        """Compare with the official sizes, in a few words."""
        if self.official is None:
            return "no official size"
        comparisons = []
        for unit, found, fact in (
            ("clips", self.n_whole_clips, self.official.clips),
            ("rows", self.n_whole_rows, self.official.rows),
        ):
            if fact is not None and isinstance(fact.value, (int, float)):
                comparisons.append(_compare(unit, found, fact, self.n_known_bad))
        return "; ".join(comparisons) or "no official size"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCheck:
    """Result of a completeness check.

    Attributes:
        name: Name of the dataset.
        task: Task whose rows were counted.
        splits: In the order in which rows name them; then those without any row.
        absent: Files of the dataset that are not there, or only as pointers of Git LFS.
        passed_over: Files that are there and not read, each with the one read in its place.
        missing: Place and reason of rows without a recording, the first thousand.
        n_missing: Number of rows without a recording.
        ambiguous: Place and reason of rows that several recordings fit, the first thousand.
        n_ambiguous: Number of rows that several recordings fit.
        unreadable: Place and reason of rows that cannot be read, the first thousand.
        n_unreadable: Number of rows that cannot be read.
        empty: Place and reason of rows without a label or an answer, the first thousand.
        n_empty: Number of rows without a label or an answer.
        unlisted: Place and reason of rows that no list of a split names, the first thousand.
        n_unlisted: Number of rows that no list of a split names.
        known_bad: Ids left out as broken, and why.
        n_unnamed: Recordings there that no row of any task names; 0 for a split or a part.
        looked_for: Templates by which recordings are found.
        looked_in: Folder that they were looked for in.
        official: Total number of recordings that the publisher states; ``None`` when it is
            not declared, or only a split or a part was chosen.
        n_clips: Distinct recordings there that rows of the task name.
        n_whole_clips: Distinct recordings there that rows of any task name, those left out as
            broken included.
        own_split: How a split of our own was dealt; empty where it is the publisher's.
        why_empty: Why there is no row of the chosen split; empty when there are some.
    """

    name: str
    task: str
    splits: tuple[SplitCount, ...]
    absent: tuple[str, ...]
    passed_over: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...]
    n_missing: int
    ambiguous: tuple[tuple[str, str], ...]
    n_ambiguous: int
    unreadable: tuple[tuple[str, str], ...]
    n_unreadable: int
    empty: tuple[tuple[str, str], ...]
    n_empty: int
    unlisted: tuple[tuple[str, str], ...]
    n_unlisted: int
    known_bad: dict[str, str] = field(hash=False)
    n_unnamed: int
    looked_for: tuple[str, ...]
    looked_in: str
    official: Fact | None
    n_clips: int
    n_whole_clips: int
    own_split: str
    why_empty: str

    def size_comparison(self) -> str:
        """Compare all recordings with the official number; empty when there is none."""
        if self.official is None or not isinstance(self.official.value, (int, float)):
            return ""
        return _compare("clips", self.n_whole_clips, self.official, len(self.known_bad))

    @property
    def n_rows(self) -> int:
        """Number of rows in the dataset's files that are of the task."""
        return sum(split.n_rows for split in self.splits)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "task": self.task,
            "splits": [
                {
                    "name": split.name,
                    "rows": split.n_rows,
                    "found": split.n_found,
                    "clips": split.n_clips,
                    "whole_rows": split.n_whole_rows,
                    "whole_clips": split.n_whole_clips,
                    "known_bad": split.n_known_bad,
                    "verdict": split.size_comparison(),
                }
                for split in self.splits
            ],
            "absent": list(self.absent),
            "passed_over": [{"file": name, "for": read} for name, read in self.passed_over],
            "missing": _places(self.missing),
            "n_missing": self.n_missing,
            "ambiguous": _places(self.ambiguous),
            "n_ambiguous": self.n_ambiguous,
            "unreadable": _places(self.unreadable),
            "n_unreadable": self.n_unreadable,
            "empty": _places(self.empty),
            "n_empty": self.n_empty,
            "unlisted": _places(self.unlisted),
            "n_unlisted": self.n_unlisted,
            "known_bad": self.known_bad,
            "n_unnamed": self.n_unnamed,
            "looked_for": list(self.looked_for),
            "looked_in": self.looked_in,
            "clips": self.n_clips,
            "whole_clips": self.n_whole_clips,
            "own_split": self.own_split,
            "why_empty": self.why_empty,
            "verdict": self.size_comparison(),
        }


def check_dataset(
    corpus: DatasetCorpus, *, progress: Callable[[int], None] | None = None
) -> DatasetCheck:
    """Read every row of a dataset, and look for its recording.

    Args:
        corpus: From ``load_dataset``.
        progress: Called with the number of rows read, now and then.

    Raises:
        CorpusError: A file of it is broken, or too many of its rows are; the message begins
            with the row.
    """
    clips: dict[str, set[int]] = {}
    corpus.counts_whole = True
    for n_read, row in enumerate(corpus, 1):
        # Numbers instead of names: a million clips cost tens of megabytes.
        clips.setdefault(row.exemplar.split, set()).add(hash(row.exemplar.audio))
        if progress is not None and n_read % 1000 == 0:
            progress(n_read)
    counts = corpus.counts
    official = corpus.dataset.splits
    whole = counts.whole
    named = set[int]().union(*(split.found for split in whole.values()))
    # With only a split or a part chosen, recordings of the others are expected.
    n_unnamed = 0
    if corpus.is_whole:
        n_unnamed = max(0, corpus.n_recordings - len(named | corpus.passed_by))
    names = [*whole, *(name for name in official if name not in whole)]
    if corpus.split:
        names = [corpus.split]
    return DatasetCheck(
        name=corpus.dataset.name,
        task=corpus.task,
        splits=tuple(
            SplitCount(
                name=name,
                n_rows=counts.n_rows.get(name, 0),
                n_found=counts.n_found.get(name, 0),
                n_clips=len(clips.get(name, ())),
                official=official.get(name),
                n_whole_rows=of.n_rows,
                n_whole_clips=len(of.clips) + len(of.known_bad),
                n_known_bad=len(of.known_bad),
            )
            for name in names
            for of in [whole.get(name, WholeSplit())]
        ),
        absent=corpus.absent,
        passed_over=corpus.unread_files,
        missing=tuple(counts.missing),
        n_missing=counts.n_missing,
        ambiguous=tuple(counts.ambiguous.listed),
        n_ambiguous=counts.ambiguous.n,
        unreadable=tuple(counts.faults.listed),
        n_unreadable=counts.faults.n,
        empty=tuple(counts.empty.listed),
        n_empty=counts.empty.n,
        unlisted=tuple(counts.unlisted.listed),
        n_unlisted=counts.unlisted.n,
        known_bad=dict(counts.known_bad),
        n_unnamed=n_unnamed,
        looked_for=(*corpus.dataset.audio.path, *corpus.dataset.audio.find),
        looked_in=str(corpus.source),
        official=corpus.dataset.facts.get("clips") if corpus.is_whole else None,
        n_clips=len(set[int]().union(*clips.values())),
        n_whole_clips=len(set[int]().union(*(split.clips for split in whole.values())))
        + sum(len(split.known_bad) for split in whole.values()),
        own_split=corpus.dataset.split.describe(),
        why_empty=corpus.why_empty(),
    )


def _places(rows: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"where": where, "why": why} for where, why in rows]


def _compare(unit: str, found: int, fact: Fact, n_known_bad: int) -> str:
    doubt = "" if fact.verified else ", unverified"
    bad = f", {n_known_bad} of them left out as broken" if n_known_bad else ""
    official = int(fact.value)
    if found == official:
        return f"all {official:,} {unit}{doubt}{bad}"
    for what, size in fact.also.items():
        if found == size:
            return f"all {size:,} {unit} ({what}){doubt}{bad}"
    gap = f"{official - found:,} short of" if found < official else f"{found - official:,} over"
    return f"{gap} {official:,} {unit}{doubt}{bad}"
