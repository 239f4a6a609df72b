"""Contents of an index, counted for its card: labels, licences, authors, sources, lengths."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from earful.index.sharing.licences import NO_LICENCE, licence_name
from earful.index.storage import numbers_of

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.index import Index

# Columns of corpora that name a recording's maker, and where it came from; the first that is there.
_AUTHORS: Final = (
    *("author", "artist", "creator", "attribution", "recordist", "uploader", "username", "user"),
    *("photographer", "contributor", "rights_holder", "rightsholder"),
)
_SOURCES: Final = (
    *("source", "source_url", "url", "link", "recording_url", "page", "freesound_id", "doi"),
)
_LANGUAGES: Final = ("language", "lang")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_COLUMNS: Final = ("labels", "answer", "split", "group", "licence", "meta", "duration_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Maker and source of a recording, as its row states them; empty for what it does not."""

    author: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the rows of an index say, counted.

    Attributes:
        n: Rows.
        labels: Rows by label, the most frequent first.
        not_labels: Rows that say of a label that it is not there.
        n_negative: Rows that say nothing else.
        n_with_answer: Rows with an answer that is more than their labels.
        splits: Rows by split, those without one left out.
        n_groups: Groups.
        licences: Rows by the licence's usual name.
        authors: Rows by author.
        sources: Rows by source.
        n_without_author: Rows that name no author.
        n_without_source: Rows that name no source.
        languages: Codes that all rows with a language have.
        total_s: Length of all stretches, in seconds.
        columns: Rows by further column of the corpus.
    """

    n: int
    labels: Mapping[str, int]
    not_labels: Mapping[str, int]
    n_negative: int
    n_with_answer: int
    splits: Mapping[str, int]
    n_groups: int
    licences: Mapping[str, int]
    authors: Mapping[str, int]
    sources: Mapping[str, int]
    n_without_author: int
    n_without_source: int
    languages: tuple[str, ...]
    total_s: float
    columns: Mapping[str, int]

    @property
    def n_without_licence(self) -> int:
        """Rows without a licence."""
        return self.licences.get(NO_LICENCE, 0)


def count_contents(index: Index) -> Contents:
    """Count what the rows of an index say; reads no vectors.

    Raises:
        IndexFolderError: A file of the table is damaged.
    """
    info = index.info
    table = index.read_table(_COLUMNS)
    columns = {name: table.column(name).to_pylist() for name in _COLUMNS if name != "duration_s"}
    metas = [_meta(text) for text in columns["meta"]]
    origins = [origin_of(meta) for meta in metas]
    spoken = [_named(meta, _LANGUAGES).lower() for meta in metas]
    languages = {code for code in spoken if code}
    return Contents(
        n=table.num_rows,
        labels=_ranked(Counter(label for own in columns["labels"] for label in own)),
        not_labels=dict(info.not_labels),
        n_negative=info.n_negative,
        n_with_answer=sum(
            bool(answer) and answer != ", ".join(own)
            for answer, own in zip(columns["answer"], columns["labels"], strict=True)
        ),
        splits=_ranked(Counter(filter(None, columns["split"]))),
        n_groups=len(set(filter(None, columns["group"]))),
        licences=_ranked(Counter(map(licence_name, columns["licence"]))),
        authors=_ranked(Counter(found.author for found in origins if found.author)),
        sources=_ranked(Counter(found.source for found in origins if found.source)),
        n_without_author=sum(not found.author for found in origins),
        n_without_source=sum(not found.source for found in origins),
        languages=tuple(sorted(languages)) if all(map(_LANGUAGE.fullmatch, languages)) else (),
        total_s=float(numbers_of(table.column("duration_s")).sum()) if table.num_rows else 0.0,
        columns=_ranked(Counter(name for meta in metas for name in meta)),
    )


def origin_of(meta: Mapping[str, Any]) -> Origin:
    """Return maker and source by the further columns of a row.

    >>> origin_of({"Artist": " Ada ", "url": "https://example.org/1"})
    Origin(author='Ada', source='https://example.org/1')
    """
    return Origin(author=_named(meta, _AUTHORS), source=_named(meta, _SOURCES))


def origins_of(table: pa.Table) -> list[Origin]:
    """Return maker and source of each row of a table that has at least ``meta``."""
    return [origin_of(_meta(text)) for text in table.column("meta").to_pylist()]


def _named(meta: Mapping[str, Any], names: tuple[str, ...]) -> str:
    own = {name.strip().lower().replace(" ", "_"): value for name, value in meta.items()}
    found = (" ".join(str(own[name]).split()) for name in names if name in own)
    return next(filter(None, found), "")


def _meta(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
