"""Rows of the index as a page sees and changes them: listed, added, relabelled, removed, undone."""

from __future__ import annotations

import bisect
import json
import os
import shutil
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from earful.errors import AudioError, IndexFolderError
from earful.files import replaced
from earful.index import Index
from earful.index.corpus import Corpus, CorpusRow, Exemplar, exemplar_fault, own_answer
from earful.rag.review import require_unreviewed
from earful.serve.faults import RequestError
from earful.serve.questions import Heard
from earful.serve.sources import UPLOADED_AS, Source, exemplar_id
from earful.serve.state import ServerState
from earful.system import sync_folder
from earful.values import short_repr
from earful.wording import quoted

if TYPE_CHECKING:
    from earful.index.builder import BuildReport
    from earful.index.storage import IndexFolder, Row

_COLUMNS: Final = (
    *("id", "audio", "start_s", "end_s", "answer", "labels", "split", "group"),
    *("licence", "duration_s", "meta"),
)
_MOST_UNDONE: Final = 100
_PREFIX: Final = "page/"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """Which rows are listed.

    Attributes:
        labels: At least one of the row's labels is among these; empty for any.
        not_labels: The same of labels that the row is known not to have.
        splits: The row's split is among these; empty for any.
        groups: The row's group is among these; empty for any.
        text: Is in the row's id, answer, labels or group, in any case.
    """

    labels: frozenset[str] = frozenset()
    not_labels: frozenset[str] = frozenset()
    splits: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    text: str = ""

    __repr__ = short_repr

    def passes(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row is listed."""
        if self.labels and self.labels.isdisjoint(row["labels"]):
            return False
        if self.not_labels and self.not_labels.isdisjoint(row["not_labels"]):
            return False
        if self.splits and row["split"] not in self.splits:
            return False
        if self.groups and row["group"] not in self.groups:
            return False
        if not self.text:
            return True
        wanted = self.text.casefold()
        texts = (row["exemplar"], row["answer"], row["group"], *row["labels"], *row["not_labels"])
        return any(wanted in text.casefold() for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that can be taken back.

    Attributes:
        id: Of the exemplar.
        before: The row before; ``None`` where there was none.
        after: The row after; ``None`` where there is none.
        reviewer: Who made it.
    """

    id: str
    before: Row | None
    after: Row | None
    reviewer: str

    __repr__ = short_repr


class IndexRows:
    """Rows of the server's index; for any thread.

    Args:
        state: Of the server.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._known: tuple[str, Sequence[Mapping[str, Any]]] = ("", ())
        self._undo: deque[Change] = deque(maxlen=_MOST_UNDONE)

    # --- reading -------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Return what the index holds: counts by label, size, and who made its vectors."""
        info = self._state.read_index(lambda index: index.info.to_dict())
        rows = self._rows()
        counts: dict[str, dict[str, int]] = {}
        for row in rows:
            for field, polarity in (("labels", "positive"), ("not_labels", "negative")):
                for label in row[field]:
                    counts.setdefault(label, {"positive": 0, "negative": 0})[polarity] += 1
        info.pop("roots", None)
        ordered = sorted(counts.items(), key=lambda item: (-item[1]["positive"], item[0]))
        return {
            "name": self._state.index_path.name,
            **info,
            "labels": dict(ordered),
            "n_labels": len(counts),
            "splits": sorted({row["split"] for row in rows} - {""}),
            "bytes": _size_bytes(self._state.index_path),
            "n_undo": len(self._undo),
        }

    def page(self, chosen: RowFilter, cursor: str, limit: int) -> dict[str, Any]:
        """Return some rows by id, and where the next ones begin.

        Args:
            chosen: Which rows.
            cursor: Exemplar id of the last one before; empty to begin.
            limit: How many.
        """
        rows = [row for row in self._rows() if chosen.passes(row)]
        begin = bisect.bisect_right(rows, cursor, key=lambda row: row["exemplar"]) if cursor else 0
        shown = rows[begin : begin + limit]
        more = begin + limit < len(rows)
        return {
            "rows": [dict(row) for row in shown],
            "n": len(rows),
            "cursor": shown[-1]["exemplar"] if more else None,
        }

    def row(self, id: str) -> dict[str, Any]:
        """Return a row by the id of its source, or of its exemplar.

        Raises:
            UnknownSourceError: There is none.
        """
        exemplar = self._exemplar(id)
        found = next((row for row in self._rows() if row["exemplar"] == exemplar), None)
        if found is None:
            raise _no_row(id)
        sources = self._state.sources
        return {**found, "recording": sources.in_recording(sources.find(found["source"]))}

    # --- writing -------------------------------------------------------------------------------

    def add(
        self,
        heard: Heard,
        *,
        labels: Sequence[str],
        not_labels: Sequence[str] = (),
        group: str = "",
        licence: str = "",
        reviewer: str = "",
    ) -> dict[str, Any]:
        """Add a stretch of audio as an example; one that is there gets other labels.

        An upload is kept by its content in ``INDEX.audio/`` beside the index. Takes the encoder:
        run it by ``work``.

        Raises:
            RequestError: There is no label, one is on both sides, or the stretch cannot be
                embedded.
            EarfulError: As ``build_index``.
        """
        from earful.index.builder import build_index

        _require_labels(labels, not_labels)
        source = heard.source
        start_s, end_s = heard.in_file()
        is_upload = source.kind == "upload"
        path = self._keep(source) if is_upload else source.path
        id = _row_id(source, start_s, end_s)
        exemplar = Exemplar(
            id=id,
            audio=PurePosixPath(path.name),
            start_s=start_s,
            end_s=end_s,
            labels=tuple(dict.fromkeys(labels)),
            not_labels=tuple(dict.fromkeys(not_labels)),
            # Stretches of one recording are never shown as examples for each other.
            group=group or (source.name if source.kind == "recording" else ""),
            licence=licence or source.licence,
            # A file that is kept by its content still has a name for people.
            meta={**_said_by(reviewer), **({UPLOADED_AS: source.name} if is_upload else {})},
        )
        if fault := exemplar_fault(exemplar):
            raise RequestError(fault, field="labels")
        root = Path(os.path.realpath(path)).parent
        row = CorpusRow(exemplar=exemplar, where=source.name)
        corpus = Corpus(root=root, source=path, kind="file", rows=(row,))

        def write(folder: IndexFolder) -> tuple[BuildReport, Row | None, Row | None]:
            before = folder.rows([id]).get(id)
            report = build_index(corpus, folder.path, embedder=self._state.embedder())
            folder.refresh()
            return report, before, folder.rows([id]).get(id)

        report, before, after = self._state.write_index(write)
        if report.rejected:
            raise AudioError(self._state.explain(report.rejected[0].error))
        self._remember(Change(id=id, before=before, after=after, reviewer=reviewer))
        return {**self.row(exemplar_id(id)), "replaced": before is not None}

    def relabel(
        self,
        id: str,
        *,
        labels: Sequence[str] | None = None,
        not_labels: Sequence[str] | None = None,
        group: str | None = None,
        licence: str | None = None,
        reviewer: str = "",
    ) -> dict[str, Any]:
        """Give a row other labels, another group or licence; ``None`` leaves one as it is.

        Raises:
            UnknownSourceError: There is no such row.
            RequestError: No label is left, or one is on both sides.
            ReviewError: The row says what a reviewer said.
            EarfulError: As ``Index.add``.
        """
        exemplar = self._exemplar(id)

        def write(folder: IndexFolder) -> None:
            with folder.writer():
                before = folder.rows([exemplar]).get(exemplar)
                if before is None:
                    raise _no_row(id)
                require_unreviewed(before.exemplar)
                own = before.exemplar
                new = own.labels if labels is None else tuple(dict.fromkeys(labels))
                new_not = own.not_labels if not_labels is None else tuple(dict.fromkeys(not_labels))
                _require_labels(new, new_not)
                changed = replace(
                    own,
                    labels=new,
                    not_labels=new_not,
                    answer=own_answer(own.answer, own.labels),
                    group=own.group if group is None else group,
                    licence=own.licence if licence is None else licence,
                    meta={**own.meta, **_said_by(reviewer)},
                )
                if fault := exemplar_fault(changed):
                    raise RequestError(fault, field="labels")
                after = replace(before, exemplar=changed)
                folder.add([after])
            self._remember(Change(id=exemplar, before=before, after=after, reviewer=reviewer))

        self._state.write_index(write)
        return self.row(exemplar_id(exemplar))

    def remove(self, id: str, *, reviewer: str = "") -> dict[str, Any]:
        """Remove a row, and return it; ``undo`` brings it back.

        Raises:
            UnknownSourceError: There is no such row.
            ReviewError: A label made the row.
            EarfulError: As ``Index.remove``.
        """
        exemplar = self._exemplar(id)
        shown = self.row(id)

        def write(folder: IndexFolder) -> None:
            with folder.writer():
                before = folder.rows([exemplar]).get(exemplar)
                if before is None:
                    raise _no_row(id)
                require_unreviewed(before.exemplar, is_removed=True)
                folder.remove([exemplar])
            self._remember(Change(id=exemplar, before=before, after=None, reviewer=reviewer))

        self._state.write_index(write)
        return shown

    def undo(self, *, reviewer: str = "") -> dict[str, Any]:
        """Take back a reviewer's last change of this session.

        Raises:
            RequestError: There is none, or somebody has changed the row since.
            EarfulError: As ``Index.add`` and ``Index.remove``.
        """
        with self._lock:
            own = [change for change in self._undo if change.reviewer == reviewer]
            if not own:
                raise RequestError(
                    "there is no change of yours to take back; those of earlier sessions are kept",
                    status=409,
                    code="nothing_to_undo",
                )
            change = own[-1]

        def write(folder: IndexFolder) -> None:
            with folder.writer():
                now = folder.rows([change.id]).get(change.id)
                if now != change.after:
                    raise RequestError(
                        f"row {quoted(change.id)}: somebody has changed it since; look at it, and "
                        "change it by hand",
                        status=409,
                        code="changed_since",
                    )
                if change.before is not None:
                    folder.add([change.before])
                else:
                    folder.remove([change.id])

        self._state.write_index(write)
        with self._lock, suppress(ValueError):  # newer ones may have pushed it out
            self._undo.remove(change)
        back = self.row(exemplar_id(change.id)) if change.before is not None else None
        return {"id": exemplar_id(change.id), "exemplar": change.id, "row": back}

    # --- private -------------------------------------------------------------------------------

    def _rows(self) -> Sequence[Mapping[str, Any]]:
        """Return all rows in the order of their ids, read once for each state of the index."""
        return self._state.read_index(self._read)

    def _read(self, index: Index) -> Sequence[Mapping[str, Any]]:
        state = index.state
        if self._known[0] != state:
            # An index in which no row denies a label has no column for it.
            denied = ("not_labels",) if index.info.not_labels else ()
            rows = index.read_table((*_COLUMNS, *denied)).to_pylist()
            shown = sorted(map(_shown, rows), key=lambda row: row["exemplar"])
            self._known = (state, shown)
        return self._known[1]

    def _exemplar(self, id: str) -> str:
        """Return the exemplar id of a row that a page names by the id of its source."""
        source = self._state.sources.find(id)
        if not source.exemplar:
            raise _no_row(id)
        return source.exemplar

    def _remember(self, change: Change) -> None:
        with self._lock:
            self._undo.append(change)

    def _keep(self, upload: Source) -> Path:
        """Store an upload beside the index, by its content; one that is there stays."""
        index = self._state.index_path.absolute()
        folder = index.with_name(f"{index.name}.audio")
        path = folder / f"{upload.sha256}{upload.path.suffix}"
        if path.is_file() and path.stat().st_size == upload.path.stat().st_size:
            return path
        try:
            is_new = not folder.exists()
            folder.mkdir(exist_ok=True)
            if is_new:
                sync_folder(folder.parent)
            with replaced(path) as beside:
                shutil.copyfile(upload.path, beside)
        except OSError as error:
            raise IndexFolderError(
                f"{folder.name}: cannot be written ({error.strerror}), so the recording is not "
                "kept; make room, or make it writable, and save it again"
            ) from error
        return path


def _shown(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row of the table as a page is told of it."""
    own, meta = exemplar_id(row["id"]), json.loads(row["meta"] or "{}")
    return {
        "id": own,
        "source": own,
        "exemplar": row["id"],
        "name": meta.get(UPLOADED_AS) or PurePosixPath(row["audio"]).name,
        "start_s": row["start_s"],
        "end_s": row["end_s"],
        "duration_s": row["duration_s"],
        "answer": row["answer"],
        "labels": list(row["labels"]),
        "not_labels": list(row.get("not_labels") or ()),
        "split": row["split"],
        "group": row["group"],
        "licence": row["licence"],
        "meta": meta,
    }


def _row_id(source: Source, start_s: float, end_s: float | None) -> str:
    """Return the id of a row that a page adds: the source and its stretch."""
    stretch = "" if (start_s, end_s) == (0.0, None) else f"#{start_s:.6g}-"
    if stretch and end_s is not None:
        stretch += f"{end_s:.6g}"
    return f"{_PREFIX}{source.id}{stretch}"


def _require_labels(labels: Sequence[str], not_labels: Sequence[str]) -> None:
    if not (labels or not_labels):
        raise RequestError(
            "labels: expected one at least, of what is there or of what is not", field="labels"
        )
    both = [label for label in labels if label in not_labels]
    if both:
        raise RequestError(
            f"label {quoted(both[0])}: is named as there and as not there; expected one of the two",
            field="not_labels",
        )


def _said_by(reviewer: str) -> dict[str, str]:
    if not reviewer:
        return {}
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"reviewer": reviewer, "reviewed_at": at}


def _no_row(id: str) -> RequestError:
    return RequestError(
        f"row {quoted(id)}: expected the id (x-...) of a row of the index",
        status=404,
        code="unknown_row",
        field="id",
    )


def _size_bytes(folder: Path) -> int:
    """Return how much a folder takes on the disk, about."""
    n_bytes = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # a commit replaces files meanwhile
                n_bytes += os.lstat(os.path.join(path, name)).st_size
    return n_bytes
