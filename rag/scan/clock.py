"""Clocks: when and where each recording of a scan was made, looked up once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from earful.errors import AudioError
from earful.index.corpus import read_recordings_table
from earful.index.recordings import FoundRecording
from earful.model.audio import ANY_LENGTH, probe_isolated
from earful.model.audio.recorders import (
    RecorderMetadata,
    RecorderOptions,
    override_metadata,
    read_recorder_metadata,
)
from earful.model.runtime import n_cores
from earful.rag.scan.part import ScanPart
from earful.wording import counted, listed

_MOMENT_S = 1e-3


class Clocks:
    """Metadata of recordings, of the owner's table first.

    Args:
        recordings: Their paths.
        options: How names and metadata become times and sites.
        table: The owner's table; ``None`` without one.

    Attributes:
        notes: Rows of the table that name no recording.

    Raises:
        CorpusError: The table cannot be read, or a row names several recordings.
    """

    def __init__(
        self,
        recordings: Sequence[str],
        options: RecorderOptions,
        table: str | os.PathLike[str] | None = None,
    ) -> None:
        self._options = options
        self._given: dict[str, RecorderMetadata] = {}
        self._read: dict[str, RecorderMetadata] = {}
        self.notes: list[str] = []
        if table is not None:
            self._given, unmatched = read_recordings_table(table).match(recordings)
            if unmatched:
                self.notes.append(
                    f"{table}: {counted(len(unmatched), 'row names', 'rows name')} no recording "
                    f"of this scan: {listed(unmatched[:5])}"
                )

    def of(self, path: str) -> RecorderMetadata:
        """Return what is known of a recording; nothing of one that cannot be read."""
        if path not in self._read:
            options = self._options
            try:
                found = read_recorder_metadata(
                    path,
                    timezone=options.timezone,
                    names_are=options.names_are,
                    time_pattern=options.time_pattern,
                    site_pattern=options.site_pattern,
                )
            except AudioError:
                found = RecorderMetadata()
            if path in self._given:
                found = override_metadata(found, self._given[path], timezone=options.timezone)
            self._read[path] = found
        return self._read[path]

    def plan_all(
        self,
        found: Sequence[FoundRecording],
        part: ScanPart,
        *,
        jobs: int | None = None,
        on_planned: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[FoundRecording]:
        """Do what ``plan`` does for many recordings, several at a time, in their order.

        Args:
            found: The recordings.
            part: What is scanned of them.
            jobs: How many at a time; ``None`` for as many as there are cores.
            on_planned: Is told how many of how many are done; of a part without times of the day,
                which needs none of them read, nothing.
        """
        if not part.needs_clock:
            return list(found)
        planned: list[FoundRecording] = []
        pool = ThreadPoolExecutor(max(1, jobs or n_cores()), thread_name_prefix="earful-plan")
        try:
            for one in pool.map(lambda each: self.plan(each, part), found):
                planned.append(one)
                on_planned(len(planned), len(found))
        finally:
            pool.shutdown(cancel_futures=True)
        return planned

    def plan(self, found: FoundRecording, part: ScanPart) -> FoundRecording:
        """Skip a recording that has no share in the part of the day that is scanned."""
        if found.skipped or not part.needs_clock:
            return found
        metadata = self.of(found.path)
        starts_at, expansion = metadata.starts_at, metadata.time_expansion
        if starts_at is None:
            return replace(
                found,
                skipped="nothing says when it was recorded, and --between asks for a part of the "
                "day; give --time-pattern or --recordings",
            )
        if part.spans(starts_at, _MOMENT_S, time_expansion=expansion):
            return found  # whatever its length
        try:
            duration_s = probe_isolated(found.path, limits=ANY_LENGTH).duration_s
        except AudioError:
            return found  # its row will say why
        if not part.spans(starts_at, duration_s, time_expansion=expansion):
            return replace(found, skipped=part.why_outside(duration_s))
        return found


def moment_at(found: RecorderMetadata, seconds: float) -> datetime | None:
    """Return the time at a place in a recording, ``None`` if its beginning is unknown.

    A file that plays slower than it was recorded lasts longer than what it holds.
    """
    if found.starts_at is None:
        return None
    return found.starts_at + timedelta(seconds=seconds / found.time_expansion)
