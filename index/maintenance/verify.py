"""Verification: every file and every row of an index compared with its digest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, CorpusError, EarfulError, IndexFolderError
from earful.index.maintenance.salvage import Piece, salvage_rows
from earful.index.storage import (
    DIGEST_COLUMNS,
    HEADER_NAME,
    Row,
    class_scores_of,
    exemplar_of,
    exemplar_values,
    has_unit_norm,
    is_data,
    label_names,
    lance_reason,
    read_header,
    root_of,
    row_digest,
    vectors_of,
)
from earful.model.audio import file_sha256, load_isolated
from earful.values import short_repr
from earful.wording import as_argument

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.index import Index

_CHANGED = "the audio file has changed since it was embedded"
_DATA_FILE = re.compile(r"[\w-]+\.lance(?![/\w])")
# The columns that identify a row and its audio.
_AUDIO_COLUMNS = ("id", "audio", "root", "file_sha256", "start_s", "end_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFault:
    """One fault of a row, of a file or of the index.

    Attributes:
        id: The row; empty for the index as a whole.
        audio: Its audio file, or the file of the index.
        what: What was found and what was expected.
    """

    id: str
    audio: str
    what: str

    def to_dict(self) -> dict[str, str]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """Result of ``verify_index``.

    >>> import earful
    >>> report = earful.verify_index(earful.Index.open("sounds.index"))
    >>> report.n_checked, report.problems
    (15, ())

    Attributes:
        n_checked: Rows checked, including those that cannot be read.
        n_whole: Rows that are in the table as they were written, whatever became of their
            audio.
        n_unlisted: Files that ``checksums.txt`` does not list, so that only the digests of
            their rows were compared; a repair lists them.
        n_without_audio: Rows of a pulled index whose recordings did not come with it.
        problems: Files first, then rows in the order of their ids; empty when all is well.
        unheard: Ids of rows that cannot be heard as the folder of their recordings is not here, in
            order: those that came without audio, and those whose folder is gone.
    """

    n_checked: int
    n_whole: int
    n_unlisted: int
    problems: tuple[IndexFault, ...]
    n_without_audio: int = 0
    unheard: tuple[str, ...] = ()

    __repr__ = short_repr


def verify_index(
    index: Index, *, progress: Callable[[int, int], None] | None = None
) -> VerifyReport:
    """Check every file of the table and every row.

    Of each row: its audio exists and is unchanged, its vector is finite and of unit norm, its
    class scores are there if the index keeps any, and finite, its digest matches. A damaged
    file costs its own rows only; the others are still checked. Also checked: no id occurs
    twice, and the header's counts match the table. Each audio file is read once, however many
    rows are cut from it.

    Args:
        index: An open index.
        progress: Called with the number of rows checked and the number of all rows.

    Returns:
        The findings; faults are reported, never raised.
    """
    check = _Check(index, progress)
    try:
        index.refresh()
        check.files()
        check.rows()
        check.header()
    except IndexFolderError as error:
        check.note(what=str(error))
    check.lists()
    return check.report()


class _Check:
    """The checks of one run, and the faults found so far."""

    def __init__(self, index: Index, progress: Callable[[int, int], None] | None) -> None:
        self._index = index
        self._table = index._folder.table
        self._progress = progress
        self._problems: list[IndexFault] = []
        self._damaged: list[str] = []
        # Each audio file is read once.
        self._digest = cache(_digest)
        self._ids: set[str] = set()
        self._labels: set[str] = set()
        self._n_homeless: Counter[Path] = Counter()
        self._unheard: list[str] = []
        self._n_rows = self._n_checked = self._n_whole = self._n_unlisted = 0
        self._n_without_audio = 0

    @property
    def _repair(self) -> str:
        """The command that repairs, up to a backtick that the caller adds."""
        return f"`earful index verify {as_argument(self._index.path)} --repair"

    def note(self, *, what: str, id: str = "", audio: str = "") -> None:
        problem = IndexFault(id=id, audio=audio or str(self._index.path), what=what)
        if problem not in self._problems[-1:]:
            self._problems.append(problem)

    def files(self) -> None:
        self._damaged = self._table.damaged_files()
        for name in self._damaged:
            path = self._index.path / name
            what = "is gone" if not path.exists() else "has other bytes than were written"
            way_out = f"{self._repair}` keeps the undamaged rows"
            if is_data(name):
                way_out += ", with `--corpus CORPUS` it embeds again the rows that the file held"
            self.note(what=f"{what}; {way_out}", audio=str(path))
        self._n_unlisted = len(self._table.unlisted_files())

    def rows(self) -> None:
        self._n_rows = len(self._table)
        for piece in salvage_rows(self._table):
            if piece.fault:
                self._unreadable(piece)
            else:
                self._readable(piece.rows)
        self._n_without_audio = sum(
            self._n_homeless.pop(root.resolve(self._index.path), 0)
            for root in read_header(self._index.path).roots
            if not root.absolute
        )
        for root, n in self._n_homeless.items():
            what = (
                f"is gone, and the audio of {n} rows with it; if the folder was moved or renamed, "
                f"{self._repair} --corpus CORPUS` points the index to it"
            )
            self.note(what=what, audio=str(root))

    def _done(self, n: int) -> None:
        self._n_checked += n
        if self._progress is not None:
            self._progress(self._n_checked, self._n_rows)

    def _readable(self, rows: pa.Table) -> None:
        roots = self._index.roots()
        homes = {number for number, root in enumerate(roots) if root.is_dir()}
        columns = [rows.column(name).to_pylist() for name in _AUDIO_COLUMNS]
        faults = row_faults(rows, roots, self._index.fingerprint.dim)
        for id_, audio, number, sha256, *times, found in zip(*columns, faults, strict=True):
            path = Path(audio)
            self._n_whole += not found and id_ not in self._ids
            if id_ in self._ids:
                found.append("the id occurs twice in the table")
            if 0 <= number < len(roots):
                path = roots[number] / audio
                if number in homes:
                    digest, fault = self._digest(path)
                    if not fault and digest != sha256:
                        fault = self._changed(id_, path, *times)
                    found = [*filter(None, [fault]), *found]
                else:
                    self._n_homeless[roots[number]] += 1
                    self._unheard.append(id_)
            self._problems += [IndexFault(id=id_, audio=str(path), what=what) for what in found]
            self._ids.add(id_)
            self._done(1)
        self._labels |= label_names(rows)

    def _changed(self, id_: str, path: Path, start_s: float, end_s: float | None) -> str:
        """Describe the way out for a recording that is not the one that was embedded."""
        try:
            load_isolated(path, start_s=start_s, end_s=end_s)
        except (EarfulError, ValueError) as error:
            # A build would reject it and keep the row, so building again is no way out.
            return (
                f"{_CHANGED} and cannot be used now ({error}); restore the recording and build "
                f"again, or drop the row: `earful index remove {as_argument(self._index.path)} "
                f"{as_argument(id_)}`"
            )
        return f"{_CHANGED}; build again to renew the row"

    def _unreadable(self, piece: Piece) -> None:
        self._done(len(piece.places))
        file = _DATA_FILE.search(piece.fault)
        damaged = list(filter(is_data, self._damaged))
        name = next((name for name in damaged if file and file[0] in name), "")
        if not name and len(damaged) == 1:
            (name,) = damaged
        audio = str(self._index.path / name)
        for id_ in piece.ids:
            self.note(id=id_, what="the row cannot be read whole", audio=audio)
        if not piece.ids:
            self.note(what=f"rows cannot be read ({lance_reason(piece.fault)})", audio=audio)

    def header(self) -> None:
        header = read_header(self._index.path)
        found = (len(self._table), len(self._labels))
        if found[0] != self._n_whole:
            # The labels of damaged rows are unknown.
            found = (found[0], header.labels)
        if (header.n, header.labels) != found:
            self.note(
                what=f"the header says {header.n} rows and {header.labels} labels, the table has "
                f"{found[0]} and {found[1]}; the next write corrects it",
                audio=str(self._index.path / HEADER_NAME),
            )

    def lists(self) -> None:
        for read in (lambda: self._index.rejections(), lambda: self._index.approximate):
            try:
                read()
            except IndexFolderError as error:
                self.note(what=str(error))

    def report(self) -> VerifyReport:
        return VerifyReport(
            n_checked=self._n_checked,
            n_whole=self._n_whole,
            n_unlisted=self._n_unlisted,
            n_without_audio=self._n_without_audio,
            problems=tuple(sorted(self._problems, key=lambda problem: problem.id)),
            unheard=tuple(sorted(self._unheard)),
        )


def _digest(path: Path) -> tuple[str, str]:
    """Return the digest of a file, and the reason where there is none; one of them is empty."""
    try:
        return file_sha256(path), ""
    except (AudioError, OSError) as error:
        return "", f"the audio cannot be read: {error}"


def row_faults(rows: pa.Table, roots: Sequence[Path], dim: int) -> list[list[str]]:
    """List the faults of each row, except those of its audio; an undamaged row has none.

    Args:
        rows: All columns of some rows.
        roots: Corpus roots, as rows number them.
        dim: Length of a vector.
    """
    numbers, *columns = (rows.column(name).to_pylist() for name in ("root", *DIGEST_COLUMNS))
    known = class_scores_of(rows)
    scores = [None] * rows.num_rows if known is None else known
    stored = zip(exemplar_values(rows), vectors_of(rows, dim), scores, *columns, strict=True)
    return [
        [*_root_faults(roots, number), *_row_faults(*values)]
        for number, values in zip(numbers, stored, strict=True)
    ]


def _root_faults(roots: Sequence[Path], number: int) -> Iterator[str]:
    try:
        root_of(roots, number)
    except IndexError as error:
        yield str(error)


def _row_faults(
    values: tuple[Any, ...],
    vector: NDArray[np.float32],
    class_scores: NDArray[np.float16] | None,
    duration_s: float,
    file_sha256: str,
    content_sha256: str,
    wanted: str,
) -> Iterator[str]:
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if not has_unit_norm(norm):
        yield f"its vector has norm {norm:.4g}, expected 1"
    if class_scores is not None and not np.isfinite(class_scores).all():
        yield "its class scores are missing or not finite"
    try:
        row = Row(
            exemplar=exemplar_of(values),
            root=Path(),
            duration_s=duration_s,
            file_sha256=file_sha256,
            content_sha256=content_sha256,
            vector=vector,
            class_scores=class_scores,
        )
    except (CorpusError, ValueError) as error:
        yield f"its fields are damaged: {error}"
        return
    if row_digest(row) != wanted:
        yield "the row does not match its own digest: the table is damaged"
