"""Hits: exemplars that were found, with how similar they are to what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from earful.index.corpus import Exemplar


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An exemplar that was found.

    Attributes:
        exemplar: The labelled segment.
        similarity: To the query. Of two vectors it is their cosine, in [-1, 1]. Of a text and
            class scores it is the logistic of their product, in [0, 1]: how far what
            the words mean stands out among all that is heard.
        rank: 0 for the nearest.
        path: Where its audio file lies.
        content_sha256: Digest of its decoded audio.
    """

    exemplar: Exemplar
    similarity: float
    rank: int
    path: Path
    content_sha256: str

    def to_dict(self) -> dict[str, object]:
        """Return the fields that an answer's JSON contains."""
        exemplar = self.exemplar
        return {
            "id": exemplar.id,
            "audio": str(self.path),
            "start_s": exemplar.start_s,
            "end_s": exemplar.end_s,
            "answer": exemplar.answer,
            "labels": list(exemplar.labels),
            "group": exemplar.group,
            "rank": self.rank,
            "similarity": round(self.similarity, 6),
        }
