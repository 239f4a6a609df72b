"""Completeness check: the data below a folder against the sizes that its publisher states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from earful.index.datasets.corpus import DatasetCorpus
from earful.index.datasets.declaration import Fact, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCount:
    """Size of a split below the folder, and its official size.

    Attributes:
        name: Name of the split; empty for rows without one.
        n_rows: Rows in the dataset's files.
        n_found: Rows whose recording is there.
        n_clips: Distinct recordings of these.
        official: Size that the publisher states; ``None`` when it is not declared.
    """

    name: str
    n_rows: int
    n_found: int
    n_clips: int
    official: Split | None

    def size_comparison(self) -> str:
        """Compare with the official sizes, in a few words."""
        if self.official is None:
            return "no official size"
        comparisons = []
        for unit, found, fact in (
            ("clips", self.n_clips, self.official.clips),
            ("rows", self.n_rows, self.official.rows),
        ):
            if fact is not None and isinstance(fact.value, (int, float)):
                comparisons.append(_compare(unit, found, fact))
        return "; ".join(comparisons) or "no official size"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCheck:
    """Result of a completeness check.

    Attributes:
        name: Name of the dataset.
        task: Task whose rows were counted.
        splits: In the order in which rows name them; then those without any row.
        absent: Files of the dataset that are not there.
        missing: Place and reason of rows without a recording, the first thousand.
        n_missing: Number of rows without a recording.
        known_bad: Ids left out as broken, and why.
        n_unnamed: Recordings there that no row of this task names; 0 for a split or a part.
        looked_for: Templates by which recordings are found.
        official: Total number of recordings that the publisher states; ``None`` when it is
            not declared.
        n_clips: Distinct recordings there that rows name.
    """

    name: str
    task: str
    splits: tuple[SplitCount, ...]
    absent: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]
    n_missing: int
    known_bad: dict[str, str]
    n_unnamed: int
    looked_for: tuple[str, ...]
    official: Fact | None
    n_clips: int

    def size_comparison(self) -> str:
        """Compare all recordings with the official number; empty when there is none."""
        if self.official is None or not isinstance(self.official.value, (int, float)):
            return ""
        return _compare("clips", self.n_clips, self.official)

    @property
    def n_rows(self) -> int:
        """Number of rows in the dataset's files."""
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
                    "verdict": split.size_comparison(),
                }
                for split in self.splits
            ],
            "absent": list(self.absent),
            "missing": [{"where": where, "why": why} for where, why in self.missing],
            "n_missing": self.n_missing,
            "known_bad": self.known_bad,
            "n_unnamed": self.n_unnamed,
            "looked_for": list(self.looked_for),
            "clips": self.n_clips,
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
        CorpusError: A file of it is broken; the message begins with the row.
    """
    clips: dict[str, set[int]] = {}
    used: set[int] = set()
    for n_read, row in enumerate(corpus, 1):
        # Numbers instead of names: a million clips cost tens of megabytes.
        key = hash(row.exemplar.audio)
        clips.setdefault(row.exemplar.split, set()).add(key)
        used.add(key)
        if progress is not None and n_read % 1000 == 0:
            progress(n_read)
    counts = corpus.counts
    official = corpus.dataset.splits
    # With only a split or a part chosen, recordings of the others are expected.
    n_unnamed = 0
    if corpus.is_whole:
        n_unnamed = max(0, corpus.n_recordings - len(used) - corpus.n_unusable)
    names = [*counts.n_rows, *(name for name in official if name not in counts.n_rows)]
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
            )
            for name in names
        ),
        absent=corpus.absent,
        missing=tuple(counts.missing),
        n_missing=counts.n_missing,
        known_bad=dict(counts.known_bad),
        n_unnamed=n_unnamed,
        looked_for=(*corpus.dataset.audio.path, *corpus.dataset.audio.find),
        official=corpus.dataset.facts.get("clips"),
        n_clips=len(used),
    )


def _compare(unit: str, found: int, fact: Fact) -> str:
    doubt = "" if fact.verified else ", unverified"
    official = int(fact.value)
    if found == official:
        return f"all {official:,} {unit}{doubt}"
    gap = f"{official - found:,} short of" if found < official else f"{found - official:,} over"
    return f"{gap} {official:,} {unit}{doubt}"
