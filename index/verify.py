"""Check that an index is what it claims to be, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, CorpusError, IndexFolderError
from earful.index.header import HEADER_NAME, Header
from earful.index.schema import (
    EXEMPLAR_COLUMNS,
    Row,
    exemplar_of,
    exemplar_values,
    root_of,
    row_digest,
    vectors_of,
)
from earful.model.audio import file_sha256

if TYPE_CHECKING:
    from earful.index.store import Index

_UNIT_TOLERANCE = 1e-3
_AUDIO_COLUMNS = ("root", "duration_s", "file_sha256", "content_sha256", "row_sha256")


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
        index.refresh()
        table = index.read_table([*EXEMPLAR_COLUMNS, *_AUDIO_COLUMNS, "vector"])
    except IndexFolderError as error:
        problem = Problem(id="", audio=str(index.path), what=str(error))
        return VerifyReport(n_checked=0, problems=(problem,))
    vectors = vectors_of(table, index.fingerprint.dim)
    stored = table.select(_AUDIO_COLUMNS).to_pylist()
    roots = index.roots()
    digests = _Digests()
    labels: set[str] = set()
    problems: list[Problem] = []
    previous = ""
    for row, values in enumerate(exemplar_values(table)):
        id_, audio = values[0], Path(values[1])
        found: list[str] = []
        try:
            audio = root_of(roots, stored[row]["root"]) / audio
            found += _audio_problems(audio, stored[row]["file_sha256"], digests)
        except IndexError as error:
            found.append(str(error))
        if row and id_ == previous:
            found.append("the id stands twice in the table; want it once")
        found += _row_problems(values, stored[row], vectors[row])
        problems += [Problem(id=id_, audio=str(audio), what=what) for what in found]
        labels.update(values[EXEMPLAR_COLUMNS.index("labels")])
        previous = id_
        if progress is not None:
            progress(row + 1, len(vectors))
    problems += _header_problems(index, n=len(vectors), labels=len(labels))
    return VerifyReport(n_checked=len(vectors), problems=tuple(problems))


class _Digests:
    """Digests of audio files, or why there is none; each file is read once."""

    def __init__(self) -> None:
        self._found: dict[Path, str] = {}
        self._reasons: dict[Path, str] = {}

    def of(self, path: Path) -> tuple[str, str]:
        """Return ``(digest, reason)``, one of them empty."""
        if path not in self._found:
            self._found[path] = self._reasons[path] = ""
            try:
                self._found[path] = file_sha256(path)
            except (AudioError, OSError) as error:
                self._reasons[path] = str(error)
        return self._found[path], self._reasons[path]


def _audio_problems(path: Path, wanted: str, digests: _Digests) -> Iterator[str]:
    found, reason = digests.of(path)
    if reason:
        yield f"the audio cannot be read: {reason}"
    elif found != wanted:
        yield "the audio file has changed since it was embedded; build again to renew the row"


def _row_problems(
    values: tuple[Any, ...], stored: Mapping[str, Any], vector: NDArray[np.float32]
) -> Iterator[str]:
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if not abs(norm - 1.0) <= _UNIT_TOLERANCE:
        yield f"its vector has norm {norm:.4g}; want 1"
    try:
        row = Row(
            exemplar=exemplar_of(values),
            root=Path(),
            duration_s=stored["duration_s"],
            file_sha256=stored["file_sha256"],
            content_sha256=stored["content_sha256"],
            vector=vector,
        )
    except (CorpusError, ValueError) as error:
        yield f"its fields are damaged: {error}"
        return
    if row_digest(row) != stored["row_sha256"]:
        yield "the row does not match its own digest: the table is damaged; remove it, build again"


def _header_problems(index: Index, *, n: int, labels: int) -> list[Problem]:
    header = Header.read(index.path)
    if (header.n, header.labels) == (n, labels):
        return []
    what = (
        f"the header says {header.n} rows and {header.labels} labels, the table has {n} and "
        f"{labels}; the next write mends it"
    )
    return [Problem(id="", audio=str(index.path / HEADER_NAME), what=what)]
