"""Sources: ids of audio in place of paths, which no client gives and none is told."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal

from earful.errors import UnknownSourceError
from earful.serve.faults import RequestError
from earful.values import short_repr
from earful.wording import quoted

if TYPE_CHECKING:
    from earful.index import Hit, Index
    from earful.rag.scan import Events

_DIGITS: Final = 16
_COLUMNS: Final = ("id", "audio", "start_s", "end_s", "duration_s", "licence", "root", "meta")

UPLOADED_AS: Final = "uploaded_as"
"""Field of a row's ``meta``: the name of a file that is kept by its content."""

SourceKind = Literal["recording", "exemplar", "upload"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Audio that a page can play and ask about.

    Attributes:
        id: ``r-...`` for a recording of a scan, ``x-...`` for an exemplar of the index, ``u-...``
            for an upload.
        kind: Which of them it is.
        path: Where its file lies; it never leaves the server.
        start_s: Where it begins in the file, in seconds: time 0 of the source.
        end_s: Where it ends in the file (exclusive); ``None`` for the end of the file.
        name: The file's name, for people.
        duration_s: Its length in seconds; ``None`` if unknown.
        sample_rate: Of the file, in Hz; ``None`` if unknown.
        licence: Licence of the recording; may be empty.
        sha256: Hex SHA-256 of the file; empty if unknown.
        exemplar: Id of the exemplar; empty for other kinds.
    """

    id: str
    kind: SourceKind
    path: Path
    start_s: float = 0.0
    end_s: float | None = None
    name: str = ""
    duration_s: float | None = None
    sample_rate: int | None = None
    licence: str = ""
    sha256: str = ""
    exemplar: str = ""

    __repr__ = short_repr

    @property
    def is_missing(self) -> bool:
        """Whether its file is gone."""
        return not self.path.is_file()

    def require_file(self, field: str) -> None:
        """Refuse a source whose file is gone.

        Raises:
            RequestError: It is; status 410, of that field of the request.
        """
        if self.is_missing:
            raise RequestError(
                f"{self.name}: the file is not there any more; put it back where it was",
                status=410,
                code="gone",
                field=field,
            )

    def in_file(
        self, start_s: float = 0.0, end_s: float | None = None
    ) -> tuple[float, float | None]:
        """Return a stretch of the source as a stretch of its file.

        >>> Source(id="x-1", kind="exemplar", path=Path("a.wav"), start_s=3, end_s=8).in_file(1, 2)
        (4, 5)
        >>> Source(id="x-1", kind="exemplar", path=Path("a.wav"), start_s=3, end_s=8).in_file(1)
        (4, 8)
        """
        return self.start_s + start_s, self.end_s if end_s is None else self.start_s + end_s


def recording_id(sha256: str) -> str:
    """Return the id of a recording with a digest.

    >>> recording_id("0123456789abcdef0123")
    'r-0123456789abcdef'
    """
    return f"r-{sha256[:_DIGITS]}"


def exemplar_id(exemplar: str) -> str:
    """Return the id of the source that an exemplar is, by the exemplar's own id.

    >>> exemplar_id("siren/4.wav")
    'x-0a01316d743fdae1'
    """
    digest = hashlib.sha256(exemplar.encode("utf-8", "surrogatepass"))
    return f"x-{digest.hexdigest()[:_DIGITS]}"


class Sources:
    """Everything that can be played: recordings of scans, exemplars of an index, uploads.

    Args:
        read_index: Calls a function with the index while nobody else uses it.
        find_upload: Returns the source that an upload is, by its id.
    """

    def __init__(
        self,
        read_index: Callable[[Callable[[Index], Any]], Any],
        find_upload: Callable[[str], Source],
    ) -> None:
        self._read_index = read_index
        self._find_upload = find_upload
        self._lock = threading.Lock()
        self._recordings: dict[str, Source] = {}
        self._places: dict[str, list[_Place]] = {}
        self._in_scans: dict[str, tuple[str, str]] = {}
        self._exemplars: tuple[str, Mapping[str, Source]] = ("", {})
        self._of_tasks: dict[str, Source] = {}

    def add_scan(self, events: Events, name: str = "") -> None:
        """Let the recordings of a scan be played.

        Args:
            events: Of the scan.
            name: By which pages know it.
        """
        for row in events.recordings:
            if not row.sha256:
                continue
            place = _Place(recording=row.recording, folder=events.folder, scan=name)
            source = Source(
                id=recording_id(row.sha256),
                kind="recording",
                path=place.find(),
                name=PurePosixPath(row.recording).name,
                duration_s=row.duration_s,
                sample_rate=row.sample_rate,
                sha256=row.sha256,
            )
            with self._lock:
                self._places.setdefault(source.id, []).append(place)
                known = self._recordings.get(source.id)
                # A copy may still be there where the first one is gone.
                if known is None or known.is_missing:
                    self._recordings[source.id] = source
                self._in_scans.setdefault(os.path.realpath(source.path), (source.id, name))

    def find(self, id: str) -> Source:
        """Return the source with an id.

        Raises:
            UnknownSourceError: There is none.
        """
        kind = id[:2]
        if kind == "u-":
            return self._find_upload(id)
        found = None
        if kind == "r-":
            found = self._recording(id)
        elif kind == "x-":
            found = self._by_exemplar().get(id) or self._of_tasks.get(id)
        if found is None:
            raise UnknownSourceError(
                f"source {quoted(id)}: expected the id of a recording (r-...), an exemplar (x-...) "
                "or an upload (u-...) that this server has"
            )
        return found

    def of_hit(self, hit: Hit) -> Source:
        """Return the source that an exemplar is which was found, in the index or in a task."""
        own = hit.exemplar
        found = self._by_exemplar().get(exemplar_id(own.id))
        if found is not None and (found.path, found.start_s) == (hit.path, own.start_s):
            return found
        # An example of a task: it is in no index, and can be played from now on.
        source = Source(
            id=exemplar_id(f"{hit.path}\0{own.start_s}\0{own.end_s}"),
            kind="exemplar",
            path=hit.path,
            start_s=own.start_s,
            end_s=own.end_s,
            name=hit.path.name,
            duration_s=hit.duration_s or None,
            licence=own.licence,
        )
        with self._lock:
            return self._of_tasks.setdefault(source.id, source)

    def in_recording(self, source: Source) -> dict[str, Any] | None:
        """Return where a stretch lies in a scanned recording, as a page is told of it.

        ``None`` where its file is no recording of a scan.
        """
        with self._lock:
            found = self._in_scans.get(os.path.realpath(source.path))
        if found is None or source.kind != "exemplar":
            return None
        id, scan = found
        return {"source": id, "scan": scan, "start_s": source.start_s, "end_s": source.end_s}

    @property
    def recordings(self) -> Mapping[str, Source]:
        """Recordings by id."""
        with self._lock:
            return dict(self._recordings)

    def _recording(self, id: str) -> Source | None:
        """Return a recording; one that is gone is looked for again, as it may be put back."""
        with self._lock:
            found = self._recordings.get(id)
            if found is None or not found.is_missing:
                return found
            for place in self._places[id]:
                moved = replace(found, path=place.find(), name=PurePosixPath(place.recording).name)
                if not moved.is_missing:
                    self._recordings[id] = moved
                    self._in_scans.setdefault(os.path.realpath(moved.path), (id, place.scan))
                    return moved
            return found

    def _by_exemplar(self) -> Mapping[str, Source]:
        return self._read_index(self._read_exemplars)  # type: ignore[no-any-return]

    def _read_exemplars(self, index: Index) -> Mapping[str, Source]:
        state = index.state
        if self._exemplars[0] != state:
            roots = index.roots()
            rows = index.read_table(_COLUMNS).to_pylist()
            found = (_exemplar_source(row, roots[row["root"]]) for row in rows)
            self._exemplars = (state, {source.id: source for source in found})
        return self._exemplars[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a scan says that a recording is."""

    recording: str
    folder: Path | None
    scan: str

    def find(self) -> Path:
        """Return its file; one that is not there is named as the scan does."""
        from earful.rag.scan import find_recording

        return find_recording(self.recording, self.folder)


def _exemplar_source(row: Mapping[str, Any], root: Path) -> Source:
    name, meta = PurePosixPath(row["audio"]).name, row["meta"] or ""
    if UPLOADED_AS in meta:
        name = json.loads(meta).get(UPLOADED_AS, name)
    return Source(
        id=exemplar_id(row["id"]),
        kind="exemplar",
        path=root / row["audio"],
        start_s=row["start_s"],
        end_s=row["end_s"],
        name=name,
        duration_s=row["duration_s"] or None,
        licence=row["licence"] or "",
        exemplar=row["id"],
    )
