"""What a build needs to know of stored rows to leave finished work alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from earful.index.schema import Row, exemplar_digest, root_of

if TYPE_CHECKING:
    import pyarrow as pa

KNOWN_COLUMNS = ("id", "root", "file_sha256", "start_s", "end_s", "exemplar_sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRow:
    """A stored row without its texts and its vector.

    Attributes:
        root: Corpus root the row came from, where it lies now.
        file_sha256: Digest of the audio file's bytes when it was embedded.
        start_s: Where the stretch begins, in seconds.
        end_s: Where it ends; ``None`` for the end of the file.
        exemplar_sha256: Digest of all the exemplar's fields.
    """

    root: Path
    file_sha256: str
    start_s: float
    end_s: float | None
    exemplar_sha256: str

    @classmethod
    def of(cls, row: Row) -> Self:
        """Return what will be known of a row once it is stored."""
        return cls(
            root=row.root,
            file_sha256=row.file_sha256,
            start_s=row.exemplar.start_s,
            end_s=row.exemplar.end_s,
            exemplar_sha256=exemplar_digest(row.exemplar),
        )


def known_rows(table: pa.Table, roots: Sequence[Path]) -> dict[str, KnownRow]:
    """Read the known rows of a table that has at least ``KNOWN_COLUMNS``, by id.

    Args:
        table: Rows of an index.
        roots: Corpus roots, as rows number them.

    Raises:
        IndexError: A row has a root that is not there: the header is not the table's.
    """
    columns = [table.column(name).to_pylist() for name in KNOWN_COLUMNS]
    return {
        id_: KnownRow(
            root=root_of(roots, root),
            file_sha256=file_sha256,
            start_s=start_s,
            end_s=end_s,
            exemplar_sha256=exemplar_sha256,
        )
        for id_, root, file_sha256, start_s, end_s, exemplar_sha256 in zip(*columns, strict=True)
    }
