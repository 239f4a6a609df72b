"""Rows of scans and reviews as plain JSON values: ids and names of files in place of paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from earful.errors import UnknownSourceError
from earful.index.annotations import Event, RecordingRow
from earful.index.labels import Label, Undo
from earful.rag.review import NearestExample, ReviewItem
from earful.rag.scan import row_dict
from earful.serve.faults import hide_paths
from earful.serve.sources import Source, Sources, exemplar_id, recording_id

_OF_FILE: Final = ("recording", "recording_sha256")
# What an item knows of its place and a page is told as its source.
_OF_PLACE: Final = ("source", "recording_sha256", "exemplar")


def without_folder(name: str) -> str:
    """Return a name without the folders that it lies in.

    >>> without_folder("night/SITE7/a.wav 1.000-2.000")
    'a.wav 1.000-2.000'
    """
    return name.rstrip("/").rpartition("/")[2]


def source_id(sha256: str) -> str | None:
    """Return the id of a recording of a scan; ``None`` where its content is unknown."""
    return recording_id(sha256) if sha256 else None


def event_row(event: Event, scan: str) -> dict[str, Any]:
    """Return an event; ``item`` is its id in the review, ``source`` what plays it."""
    row = row_dict(event)
    for name in _OF_FILE:
        row.pop(name)
    return row | {
        "item": event.event_id,
        "scan": scan,
        "source": source_id(event.recording_sha256),
        "recording": without_folder(event.recording),
        "nearest_example": without_folder(event.nearest_example),
    }


def recording_row(row: RecordingRow, scan: str, folders: Iterable[Path] = ()) -> dict[str, Any]:
    """Return what a scan knows of a recording.

    Args:
        row: Of the scan's table.
        scan: Name of the scan.
        folders: What messages may not tell, for its reason and notes.
    """
    name, hidden = without_folder(row.recording), list(folders)

    def clean(text: str) -> str:
        return hide_paths(text.replace(row.recording, name), hidden)

    found = row_dict(row)
    sha256 = found.pop("sha256")
    return found | {
        "scan": scan,
        "source": source_id(sha256),
        "recording": name,
        "reason": clean(row.reason),
        "notes": [clean(note) for note in row.notes],
    }


def item_row(item: ReviewItem, sources: Sources) -> dict[str, Any]:
    """Return an item with all that is needed to paint and play it.

    Its times are those of its source: of a row of the index from the row's own beginning.
    """
    row = item.to_dict()
    for name in _OF_PLACE:
        row.pop(name)
    source = find_source(sources, item.recording_sha256, item.exemplar)
    offset_s = source.start_s if source is not None else 0.0
    return row | {
        "source": None if source is None else source.id,
        "recording": without_folder(item.recording),
        "start_s": item.start_s - offset_s,
        "end_s": item.end_s - offset_s,
        "duration_s": item.duration_s if source is None else source.duration_s or item.duration_s,
        "licence": "" if source is None else source.licence,
        "nearest": None if item.nearest is None else _nearest_row(item.nearest, sources),
    }


def label_row(label: Label, sources: Sources) -> dict[str, Any]:
    """Return a label; its times are those of its source."""
    row = label.to_dict()
    row.pop("recording_sha256")
    # An item of the index is a row's id; that of a scan is none.
    source = find_source(sources, label.recording_sha256, label.item)
    offset_s = source.start_s if source is not None else 0.0
    return row | {
        "source_id": None if source is None else source.id,
        "recording": without_folder(label.recording),
        "start_s": label.start_s - offset_s,
        "end_s": label.end_s - offset_s,
    }


def line_row(line: Label | Undo, sources: Sources) -> dict[str, Any]:
    """Return a line of a journal: a label, or what takes one back."""
    return label_row(line, sources) if isinstance(line, Label) else line.to_dict()


def find_source(sources: Sources, sha256: str, exemplar: str = "") -> Source | None:
    """Return what plays a row of an index, or a recording of a scan; ``None`` for neither."""
    if exemplar and (found := _find(sources, exemplar_id(exemplar))) is not None:
        return found
    return _find(sources, recording_id(sha256)) if sha256 else None


def _find(sources: Sources, id: str) -> Source | None:
    try:
        return sources.find(id)
    except UnknownSourceError:
        return None


def _nearest_row(nearest: NearestExample, sources: Sources) -> Mapping[str, Any]:
    source = find_source(sources, nearest.recording_sha256, nearest.exemplar)
    offset_s = source.start_s if source is not None else 0.0
    return {
        # The id of a row may be a digest; its file has a name.
        "name": source.name if source and source.exemplar else without_folder(nearest.name),
        "source": None if source is None else source.id,
        "start_s": nearest.start_s - offset_s,
        "end_s": nearest.end_s - offset_s,
        "similarity": nearest.similarity,
    }
