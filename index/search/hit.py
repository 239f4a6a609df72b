"""Hits: exemplars that were found, with how similar they are to what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex, overload

from earful.html import notebook_html
from earful.index.corpus import Exemplar, stretch_fields
from earful.values import data_frame, repr_of

if TYPE_CHECKING:
    import pandas as pd


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
        duration_s: Its length, in seconds; 0 where it is not known.
    """

    exemplar: Exemplar
    similarity: float
    rank: int
    path: Path
    content_sha256: str
    duration_s: float = 0.0

    def __repr__(self) -> str:
        found = self.exemplar
        shown = {"id": found.id, "answer": found.said, "similarity": self.similarity}
        return repr_of(self, **shown, rank=self.rank)

    def to_dict(self) -> dict[str, object]:
        """Return the fields that an answer's JSON contains."""
        exemplar = self.exemplar
        return {
            "id": exemplar.id,
            "audio": str(self.path),
            **stretch_fields(exemplar),
            "rank": self.rank,
            "similarity": round(self.similarity, 6),
        }


_COLUMNS = ["id", "audio", "start_s", "end_s", "answer", "labels", "group", "rank", "similarity"]


class Hits(list[Hit]):
    """A list of hits, nearest first, that a notebook shows with players and spectrograms.

    >>> from pathlib import PurePosixPath
    >>> dog = Exemplar(id="bark", audio=PurePosixPath("bark.wav"), labels=("dog",))
    >>> hits = Hits([Hit(exemplar=dog, similarity=0.9, rank=0, path=Path("bark.wav"),
    ...                  content_sha256="")])
    >>> hits
    Hits(1: 'dog' 0.90)
    >>> hits[:1] == [hits[0]]
    True
    """

    @overload
    def __getitem__(self, place: SupportsIndex) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> Hits: ...
    def __getitem__(self, place: SupportsIndex | slice) -> Hit | Hits:
        found = super().__getitem__(place)
        return found if isinstance(found, Hit) else Hits(found)

    def __repr__(self) -> str:
        if not all(isinstance(hit, Hit) for hit in self):
            return super().__repr__()
        best = [f"{hit.exemplar.said[:24]!r} {hit.similarity:.2f}" for hit in self[:3]]
        more = ", …" if len(self) > len(best) else ""
        return f"Hits({len(self)}: {', '.join(best)}{more})" if self else "Hits(none)"

    _repr_html_ = notebook_html("hits.html")

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with a row a hit: the columns of ``Hit.to_dict``.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        rows = [hit.to_dict() for hit in self]
        denied = ["not_labels"] if any("not_labels" in row for row in rows) else []
        return data_frame(rows, [*_COLUMNS, *denied])
