"""ResultFolder: the folder of a scan, ``scan.json`` and the tables, written by one process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from earful.errors import CorpusError, ScanError, ScanMismatchError
from earful.files import (
    NO_ROOM,
    replaced,
    write_atomically,
)
from earful.index.annotations import (
    Annotation,
    Event,
    RecordingRow,
    read_events,
    read_recordings,
    write_events_csv,
    write_events_parquet,
    write_examples_csv,
    write_recordings_csv,
)
from earful.index.labels import JOURNAL_FILE
from earful.index.recordings import STORE_FILE
from earful.system import FileLock
from earful.values import short_repr
from earful.wording import as_argument

SCAN_FILE: Final = "scan.json"
VECTORS: Final = "vectors"
EXAMPLES: Final = "examples.csv"
SCORES: Final = "scores"
_FORMAT: Final = "earful-scan"
_VERSION: Final = 1
_LOCK_FILE: Final = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """What a scan's folder holds.

    Attributes:
        scan: ``scan.json``.
        events: Rows of ``events.csv``.
        recordings: Rows of ``recordings.csv``.
    """

    scan: Mapping[str, Any]
    events: Sequence[Event]
    recordings: Sequence[RecordingRow]

    __repr__ = short_repr

    @property
    def labels(self) -> list[dict[str, Any]]:
        """A summary for each label."""
        return list(self.scan.get("labels", ()))


class ResultFolder:
    """Folder of one scan; locked from entering to leaving.

    Args:
        path: The folder; made if it is not there.

    Raises:
        ScanMismatchError: On entering: the folder holds something else.
        ScanError: Another process is writing it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / _LOCK_FILE)

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            is_ours = self._lock.acquire()
        except OSError as error:
            raise self._cannot_write(error) from error
        try:
            if not is_ours:
                raise ScanError(
                    f"{self.path}: another process is scanning into it; wait until it is done, or "
                    "give another --out"
                )
            self._require_own()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    def write(
        self,
        events: Sequence[Event],
        recordings: Sequence[RecordingRow],
        scan: Mapping[str, Any],
        *,
        examples: Iterable[Annotation] | None = None,
    ) -> tuple[Event, ...]:
        """Write all tables; ``scan.json`` says that they are whole when they are.

        What was said of an event in an earlier table (``review``) is kept if it is found again.

        Args:
            events: In any order.
            recordings: All that were asked for.
            scan: Whatever decided the events, as plain JSON values.
            examples: What was used as examples; ``None`` to leave the table as it is.

        Returns:
            The events as they were written.

        Raises:
            ScanError: They cannot be written.
        """
        events = self._with_reviews(events)
        whole = {"format": _FORMAT, "version": _VERSION, **scan}
        try:
            self._write_scan({**whole, "complete": False})
            write_recordings_csv(self.path / "recordings.csv", recordings)
            if examples is not None:
                write_examples_csv(self.path / EXAMPLES, examples)
            write_events_csv(self.path / "events.csv", events)
            write_events_parquet(self.path / "events.parquet", events, whole)
            self._write_scan({**whole, "complete": True})
        except OSError as error:
            raise self._cannot_write(error) from error
        return events

    def write_scores(self, sha256: str, scores: NDArray[np.floating]) -> None:
        """Write the scores of a recording's windows, float16, shape ``(n_labels, n_windows)``.

        Raises:
            ScanError: They cannot be written.
        """
        path = self.path / SCORES / f"{sha256}.npy"
        try:
            path.parent.mkdir(exist_ok=True)
            with replaced(path) as beside, open(beside, "wb") as file:
                np.save(file, np.asarray(scores, dtype="<f2"), allow_pickle=False)
        except OSError as error:
            raise self._cannot_write(error) from error

    @classmethod
    def read(cls, path: Path) -> ReadResult:
        """Read what ``write`` wrote.

        Raises:
            ScanError: It is missing, was not finished, is damaged, foreign or newer.
            CorpusError: A row of a table is broken.
        """
        scan = read_scan(path)
        if not scan.get("complete"):
            raise ScanError(
                f"{path}: the scan was not finished; run the same `earful scan` again, it goes on "
                "where it was"
            )
        return ReadResult(
            scan=scan,
            events=read_events(path / "events.csv"),
            recordings=read_recordings(path / "recordings.csv"),
        )

    def _write_scan(self, scan: Mapping[str, Any]) -> None:
        write_atomically(
            self.path / SCAN_FILE, json.dumps(scan, ensure_ascii=True, indent=1) + "\n"
        )

    def _with_reviews(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """Take over what was said of the same events before."""
        said: dict[str, Event] = {}
        with suppress(CorpusError):
            table = self.path / "events.csv"
            if table.exists():
                said = {one.event_id: one for one in read_events(table) if one.review}
        return tuple(
            replace(
                one,
                review=before.review,
                reviewer=before.reviewer,
                reviewed_at=before.reviewed_at,
            )
            if not one.review and (before := said.get(one.event_id)) is not None
            else one
            for one in events
        )

    def _require_own(self) -> None:
        """Refuse a folder that holds something else."""
        there = {name for name in os.listdir(self.path) if not name.startswith(".")}
        if SCAN_FILE in there:
            read_scan(self.path)
        elif there - {JOURNAL_FILE} and not (
            there <= {VECTORS, JOURNAL_FILE} and self._holds_store()
        ):
            raise ScanMismatchError(
                f"{self.path}: holds files, but no {SCAN_FILE}; expected a new folder, or one that "
                "a scan wrote; give another --out"
            )

    def _holds_store(self) -> bool:
        # Killed right after it began, a scan leaves a store that has no name yet.
        vectors = self.path / VECTORS
        there = [path.name for path in vectors.iterdir() if not path.name.startswith(".")]
        return STORE_FILE in there or not there

    def _cannot_write(self, error: OSError) -> ScanError:
        if self.path.exists() and not self.path.is_dir():
            return ScanError(f"{self.path}: is a file, expected a folder; give another --out")
        step = "make room" if error.errno in NO_ROOM else "make it writable"
        return ScanError(
            f"{self.path}: cannot be written ({error.strerror or error}); {step}, or give another "
            "--out, and run the same command again"
        )


def is_scan(path: Path) -> bool:
    """Whether a path is the folder of a scan."""
    return (path / SCAN_FILE).is_file()


def read_scan(folder: Path) -> dict[str, Any]:
    """Read ``scan.json`` of a scan's folder.

    Raises:
        ScanError: It is missing, damaged, foreign or newer.
    """
    path = folder / SCAN_FILE
    try:
        scan = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScanError(
            f"{path}: cannot be read ({error.strerror}); expected a folder that `earful scan "
            "--out` wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ScanError(
            f"{path}: is damaged ({error}); run the same `earful scan` again with another --out"
        ) from error
    if not isinstance(scan, dict) or scan.get("format") != _FORMAT:
        raise ScanError(f"{path}: is no scan; expected a folder that `earful scan --out` wrote")
    if scan.get("version") != _VERSION:
        raise ScanError(
            f"{path}: expected version {_VERSION}, got {scan.get('version')!r}; another release of "
            "earful wrote it"
        )
    return scan


def find_recording(recording: str, folder: Path | None) -> Path:
    """Return where a recording of a scan is: as it was given, from here or from beside its folder.

    Args:
        recording: As the scan names it.
        folder: Of the scan; ``None`` for one that was not written.

    Returns:
        The first place where it is; the one that was given if it is at none.
    """
    places = recording_places(recording, folder)
    return next((place for place in places if place.exists()), places[0])


def recording_places(recording: str, folder: Path | None) -> tuple[Path, ...]:
    """Return where a recording of a scan may be, in the order in which it is looked for.

    Args:
        recording: As the scan names it.
        folder: Of the scan; ``None`` for one that was not written.
    """
    given = Path(recording)
    return (given,) if folder is None else (given, folder.resolve().parent / recording)


def vectors_folder(path: Path) -> Path:
    """Return the folder of the kept steps of a scan's folder, or that folder itself.

    Args:
        path: A scan's folder, or a store of steps.

    Raises:
        ScanError: It is neither.
    """
    if (path / STORE_FILE).exists():
        return path
    if (path / SCAN_FILE).exists():
        said = read_scan(path).get("vectors") or VECTORS
        return path / str(said)
    if (path / VECTORS / STORE_FILE).exists():
        return path / VECTORS
    raise ScanError(
        f"{path}: holds neither {SCAN_FILE} nor {STORE_FILE}; expected a folder that `earful scan "
        f"--out` wrote, such as {as_argument('night.scan')}"
    )
