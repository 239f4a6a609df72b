"""IndexSource: the doubtful rows of an index as candidates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from earful.index.labels import Label
from earful.rag.review import NearestExample
from earful.rag.review.candidates.candidate import Candidate
from earful.rag.review.candidates.source import Found, Place
from earful.rag.scan import Events

if TYPE_CHECKING:
    from earful.index import Index
    from earful.index.health import Finding
    from earful.index.search import VectorSet

INDEX_NAME: Final = "index"
# From this share of its neighbours' weight on, another label makes a row doubtful; health alone
# speaks up later.
_DISAGREEMENT: Final = 0.4
_KINDS: Final = ("label", "copy", "unlabelled")
_UNKNOWN_S: Final = 1.0


class IndexSource:
    """Rows of an index that somebody should listen to.

    These are rows whose neighbours have another label, the same audio several times, and rows
    without a label. The id of a row is that of its item.

    Args:
        index: With any number of rows.

    Attributes:
        name: ``"index"``.
        folder: The index's folder.
        labels: Of the index, by name.
        candidates: The doubtful rows.
        events: None.
        detector: Empty.

    Raises:
        IndexFolderError: The index is damaged.
    """

    def __init__(self, index: Index) -> None:
        self.name = INDEX_NAME
        self.folder = Path(index.path)
        self.events = Events()
        self.detector = ""
        self._index = index
        self.labels = tuple(sorted(index.labels))
        self._look()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        return ()

    def place(self, candidate: Candidate) -> Place:
        """Return the file of a candidate."""
        rows, row_of = self._rows
        row = row_of.get(candidate.exemplar)
        path = Path(candidate.recording) if row is None else rows.paths[row]
        return Place(path=path, is_there=path.is_file())

    def detailed(self, candidate: Candidate) -> Candidate:
        """Return a candidate as it is."""
        return candidate

    def nearest(self, candidate: Candidate) -> NearestExample | None:
        """Return the row that contradicts a row most; ``None`` without one."""
        rows, row_of = self._rows
        row, other = (row_of.get(one) for one in (candidate.exemplar, candidate.nearest_example))
        if row is None or other is None:
            return None
        exemplar, path = rows.exemplars[other], rows.paths[other]
        start_s, end_s = _stretch(rows, other)
        return NearestExample(
            name=exemplar.id,
            source=path if path.is_file() else None,
            exemplar=exemplar.id,
            start_s=start_s,
            end_s=end_s,
            similarity=round(float(rows.vectors[row] @ rows.vectors[other]), 4),
        )

    def vector(self, candidate: Candidate) -> NDArray[np.float32] | None:
        """Return the vector of a row."""
        rows, row_of = self._rows
        row = row_of.get(candidate.exemplar)
        return None if row is None else np.asarray(rows.vectors[row], dtype=np.float32)

    def find(self, labels: Sequence[str], said: Sequence[Label]) -> Found | None:
        """Look again if the index has changed; ``None`` if it has not."""
        self._index.refresh()
        if self._index.state == self._looked_at:
            return None
        self._look()
        return Found(candidates=self.candidates, labels=())

    def _look(self) -> None:
        from earful.index.health import HealthLimits, check_health

        rows = self._index.vectors()
        row_of = {exemplar.id: row for row, exemplar in enumerate(rows.exemplars)}
        # Both at once: others read them while a fit looks again.
        self._rows = rows, row_of
        self._looked_at = self._index.state
        findings: tuple[Finding, ...] = ()
        if len(rows):
            limits = HealthLimits(disagreement=_DISAGREEMENT)
            findings = check_health(self._index, limits=limits, audio=False).findings
        # Worst first.
        of_row: dict[str, list[Finding]] = {}
        for one in findings:
            if one.kind in _KINDS:
                for name in one.ids:
                    of_row.setdefault(name, []).append(one)
        self.candidates = tuple(
            _candidate(rows, row_of[name], own) for name, own in of_row.items() if name in row_of
        )


def _candidate(rows: VectorSet, row: int, found: Sequence[Finding]) -> Candidate:
    exemplar = rows.exemplars[row]
    name, (start_s, end_s) = exemplar.id, _stretch(rows, row)
    neighbours = [other for one in found for other in one.neighbours]
    copies = [other for one in found for other in one.ids if other != name]
    return Candidate(
        item=name,
        recording=str(exemplar.audio),
        start_s=start_s,
        end_s=end_s,
        guess=exemplar.labels[0] if exemplar.labels else "",
        score=round(max(one.severity for one in found), 4),
        kind="row",
        why="; ".join(dict.fromkeys(one.what for one in found)),
        nearest_example=next(iter([*neighbours, *copies]), ""),
        exemplar=name,
    )


def _stretch(rows: VectorSet, row: int) -> tuple[float, float]:
    """Return where a row's sound is in its file, in seconds."""
    exemplar = rows.exemplars[row]
    if exemplar.end_s is not None:
        return exemplar.start_s, exemplar.end_s
    return exemplar.start_s, exemplar.start_s + (rows.durations[row] or _UNKNOWN_S)
