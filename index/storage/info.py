"""What an index holds, in numbers and names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from earful.model import Fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """What an index holds.

    Attributes:
        format: Version of the folder's layout.
        fingerprint: What made the vectors.
        n: Rows.
        labels: Distinct labels.
        created: UTC, ISO 8601.
        updated: UTC, ISO 8601, of the last change.
        roots: Corpus roots, where they lie now.
        n_rejected: Files that the last build could not embed.
    """

    format: int
    fingerprint: Fingerprint
    n: int
    labels: int
    created: str
    updated: str
    roots: tuple[str, ...]
    n_rejected: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {**asdict(self), "roots": list(self.roots)}
