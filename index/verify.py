"""Check that an index is what it claims to be, row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earful.errors import AudioError, IndexFolderError
from earful.index.header import Header
from earful.index.schema import EXEMPLAR_COLUMNS, Row, exemplars_of, row_digest, vectors_of
from earful.model.audio import file_sha256

if TYPE_CHECKING:
    from earful.index.store import Index

_UNIT_TOLERANCE = 1e-3
_AUDIO_COLUMNS = ("duration_s", "file_sha256", "content_sha256", "row_sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is not as it should be.

    Attributes:
        id: The row; empty for the index as a whole.
        audio: Its audio file, or the file of the index.
        what: What was found and what was wanted.
    """

    id: str
    audio: str
    what: str

    def to_dict(self) -> dict[str, str]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What ``verify`` found.

    Attributes:
        n_checked: Rows looked at.
        problems: In the order of the ids; empty when all is well.
    """

    n_checked: int
    problems: tuple[Problem, ...]


def verify_index(
    index: Index, *, progress: Callable[[int, int], None] | None = None
) -> VerifyReport:
    """Check every row: audio there and unchanged, vector finite and unit, digest true.

    Also checked: no id stands twice, and the header's counts are the table's. Each audio
    file is read once, however many rows are cut from it.

    Args:
        index: An open index.
        progress: Called with rows done and rows in all.

    Returns:
        The findings; problems are reported, never raised.
    """
    try:
        table = index.read_table([*EXEMPLAR_COLUMNS, "root", *_AUDIO_COLUMNS, "vector"])
    except IndexFolderError as error:
        problem = Problem(id="", audio=str(index.path), what=str(error))
        return VerifyReport(n_checked=0, problems=(problem,))
    roots = index.roots()
    vectors = vectors_of(table, index.fingerprint.dim)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    columns = {name: table.column(name).to_pylist() for name in ("root", *_AUDIO_COLUMNS)}
    files: dict[Path, str] = {}
    problems: list[Problem] = []
    previous = ""
    for row, exemplar in enumerate(exemplars_of(table)):
        path = roots[columns["root"][row]] / exemplar.audio
        found: list[str] = []
        if row and exemplar.id == previous:
            found.append("the id stands twice in the table; want it once")
        previous = exemplar.id
        if path not in files:
            files[path] = _digest_or_reason(path)
        if files[path] != columns["file_sha256"][row]:
            found.append(_changed(files[path]))
        if not np.isfinite(norms[row]) or abs(norms[row] - 1.0) > _UNIT_TOLERANCE:
            found.append(f"its vector has norm {norms[row]:.4g}; want 1")
        whole = Row(
            exemplar=exemplar,
            root=roots[columns["root"][row]],
            duration_s=columns["duration_s"][row],
            file_sha256=columns["file_sha256"][row],
            content_sha256=columns["content_sha256"][row],
            vector=vectors[row],
        )
        if row_digest(whole) != columns["row_sha256"][row]:
            found.append("the row does not match its own digest; the table is damaged")
        problems += [Problem(id=exemplar.id, audio=str(path), what=what) for what in found]
        if progress is not None:
            progress(row + 1, len(vectors))
    problems += _header_problems(index, n=len(vectors))
    return VerifyReport(n_checked=len(vectors), problems=tuple(problems))


def _digest_or_reason(path: Path) -> str:
    try:
        return file_sha256(path)
    except (AudioError, OSError) as error:
        return f"the audio cannot be read: {error}"


def _changed(found: str) -> str:
    is_digest = len(found) == hashlib.sha256().digest_size * 2 and " " not in found
    if is_digest:
        return "the audio file has changed since it was embedded; build again to renew the row"
    return found


def _header_problems(index: Index, *, n: int) -> list[Problem]:
    header = Header.read(index.path)
    if header.n == n:
        return []
    return [
        Problem(
            id="",
            audio=str(index.path / "index.json"),
            what=f"the header says {header.n} rows, the table has {n}; any further write mends it",
        )
    ]
