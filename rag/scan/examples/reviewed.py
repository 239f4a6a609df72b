"""What reviewers changed: events before and after, and positives that are worth a second look."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from earful.errors import CorpusError
from earful.index.annotations import Event, RecordingRow, read_events
from earful.index.labels import read_mark_reviewers
from earful.model.audio import clock_time
from earful.rag.scan.detection import Detectors
from earful.wording import counted

_MOST_TOLD: Final = 3


def read_events_before(folder: Path) -> list[Event]:
    """Return the events that an earlier scan wrote into a folder; none where it wrote none.

    A table that is damaged counts as none: the scan replaces it.
    """
    table = folder / "events.csv"
    try:
        return list(read_events(table)) if table.exists() else []
    except CorpusError:
        return []


def describe_change(
    before: Iterable[Event], after: Iterable[Event], recordings: Iterable[RecordingRow]
) -> list[str]:
    """Say how many events of each label there were before and are now.

    Args:
        before: Of the earlier scan; those of recordings that are not read now are left out.
        after: Of this scan.
        recordings: Of this scan.
    """
    read = {row.sha256 for row in recordings if row.was_read}
    earlier = Counter(one.label for one in before if one.recording_sha256 in read)
    now = Counter(one.label for one in after)
    if not earlier:
        return []
    labels = sorted(earlier.keys() | now.keys(), key=lambda x: (-abs(now[x] - earlier[x]), x))
    changed = [f"{x} from {earlier[x]:,} to {now[x]:,}" for x in labels if now[x] != earlier[x]]
    if not changed:
        return ["events of each label, against the scan before: as many"]
    return [f"events of each label, against the scan before: {', '.join(changed)}"]


def describe_doubtful(
    detectors: Detectors, journal: str | os.PathLike[str], *, slow: float = 1.0
) -> list[str]:
    """Name what reviewers called positive and what resembles something else more.

    Args:
        detectors: That learnt from the journal.
        journal: The file, or the folder that it lies in.
        slow: How many times slower the recordings were heard.

    Returns:
        A sentence each, three at most; the last says how many more there are.
    """
    by = read_mark_reviewers(journal)
    doubtful = [one for one in detectors.doubtful() if one.example.annotation.where in by]
    told = []
    for one in doubtful[:_MOST_TOLD]:
        mark = one.example.annotation
        what = (
            "its background"
            if one.resembles == "background"
            else f"what is known not to be {mark.label}"
        )
        told.append(
            f"{mark.label}: the yes at {clock_time(mark.start_s / slow)} of {mark.recording} by "
            f"{by[mark.where]} resembles {what} more than the other examples; listen again"
        )
    if n_more := len(doubtful) - len(told):
        told[-1] += f" (and {counted(n_more, 'other')})"
    return told
