"""Scans: recordings are encoded once, detectors fitted on examples, and events written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earful.errors import CorpusError
from earful.index.annotations import Event, RecordingRow
from earful.index.recordings import (
    Encoder,
    EncodingProgress,
    FoundRecording,
    Hearing,
    StepStore,
    encode_many,
    find_recordings,
)
from earful.model import DEFAULT_EMBEDDER, Embedder, StepEmbedder, load_step_embedder, step_embedder
from earful.model.audio.recorders import RecorderOptions
from earful.rag.scan.clock import Clocks
from earful.rag.scan.events import Events
from earful.rag.scan.examples import (
    ExampleSources,
    describe_change,
    describe_doubtful,
    gather_examples,
    read_events_before,
)
from earful.rag.scan.part import ScanPart
from earful.rag.scan.result_folder import VECTORS, ResultFolder
from earful.rag.scan.run import Scanning
from earful.rag.scan.settings import ScanSettings
from earful.system import relative_path
from earful.values import short_repr

if TYPE_CHECKING:
    from earful.index import Index
    from earful.rag.task import Task

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """Choices of a scan beside its examples and its detector.

    Attributes:
        hearing: Bands, speed and channel.
        part: Part of each recording or day in which events count.
        recorders: How names and metadata become times and sites.
        recordings: Table in which the owner says when and where recordings were made.
        vectors: Folder of the kept steps; ``None`` for one within the result.
        keep_scores: Whether scores of all windows are written, too.
        jobs: Cores to use; ``None`` for all.
        device: Of the embedder.
        allow_outside: Whether links that lead out of a folder are followed.
    """

    hearing: Hearing = field(default_factory=Hearing)
    part: ScanPart = field(default_factory=ScanPart)
    recorders: RecorderOptions = field(default_factory=RecorderOptions)
    recordings: PathLike | None = None
    vectors: PathLike | None = None
    keep_scores: bool = False
    jobs: int | None = None
    device: str = "auto"
    allow_outside: bool = False

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanProgress:
    """How far a scan is.

    Attributes:
        stage: ``"examples"`` while recordings that hold examples are encoded, ``"times"`` while it
            is looked up which of the others belong to a part of the day, then ``"recordings"``.
        encoding: Recordings and seconds.
    """

    stage: str
    encoding: EncodingProgress


def scan(
    paths: PathLike | Sequence[PathLike],
    *,
    examples: PathLike | Sequence[PathLike] | ExampleSources | None = None,
    index: Index | PathLike | None = None,
    task: Task | PathLike | None = None,
    labels: Sequence[str] = (),
    where: str = "",
    out: PathLike | None = None,
    embedder: Embedder | StepEmbedder | str = DEFAULT_EMBEDDER,
    settings: ScanSettings | None = None,
    options: ScanOptions | None = None,
    on_progress: Callable[[ScanProgress], None] | None = None,
    on_recording: Callable[[RecordingRow, Sequence[Event]], None] | None = None,
) -> Events:
    """Find sounds in recordings of any length, from a few examples of each.

    A recording is decoded once: its steps are kept, found by its content, and used again by every
    later scan with the same ``out`` (or ``options.vectors``). A scan that was interrupted goes on
    where it was. A recording that cannot be read is a row that says so.

    >>> import earful
    >>> events = earful.scan("night/", examples="calls.txt", out="night.scan")  # doctest: +SKIP
    >>> events.best(1)  # doctest: +SKIP
    (Event(event_id='5d0f…', recording='night/a.wav', start_s=12.4, end_s=13.1, label='wren', …),)

    Args:
        paths: Recordings, and folders of some.
        examples: Annotations in any format, folders of them, corpora as for an index, or
            ``ExampleSources`` with all choices.
        index: An index, or its folder: its exemplars are examples.
        task: A task with examples, or for the labels of an index.
        labels: Labels to look for; none for all that have an example.
        where: SQL that exemplars of the index have to fulfil.
        out: Folder of the result; ``None`` keeps nothing.
        embedder: Name of an embedder, or one that is loaded.
        settings: How windows are scored; ``None`` for the defaults.
        options: Other choices; ``None`` for the defaults.
        on_progress: Called as recordings are encoded, by several threads, one at a time.
        on_recording: Called with each recording when it is done, and its events.

    Returns:
        The events and recordings.

    Raises:
        CorpusError: Examples do not fit, or no recording is there.
        ScanMismatchError: ``out`` or the kept steps were made with other settings.
        ScanError: The disk is full, or another process is writing the result.
        AudioError: A zone, pattern or the like of ``options.recorders`` is none.
        IndexFolderError: The index cannot be read.
        LabelError: What reviewers said of an earlier scan into ``out`` is damaged.
        TaskError: The task has mistakes.
        ModelError: The embedder cannot be loaded.
    """
    settings, options = settings or ScanSettings(), options or ScanOptions()
    sources = _sources(examples, index, task, tuple(labels), where)
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = find_recordings(given, allow_outside=options.allow_outside)
    gathered = gather_examples(sources, [one.path for one in found if not one.skipped])
    # All that can be wrong with what was given is known by now; the encoder takes a while.
    clocks = Clocks([one.path for one in found], options.recorders, options.recordings)
    with ExitStack() as opened:
        folder: ResultFolder | None = None
        if out is not None:
            folder = opened.enter_context(ResultFolder(Path(out)))
        if options.vectors is not None:
            vectors = Path(options.vectors)
        elif out is not None:
            vectors = Path(out) / VECTORS
        else:
            vectors = Path(tempfile.mkdtemp(prefix="earful-scan-"))
            opened.callback(shutil.rmtree, vectors, ignore_errors=True)
        steps: StepEmbedder
        if isinstance(embedder, str):
            steps = load_step_embedder(embedder, device=options.device)
        else:
            steps = embedder if isinstance(embedder, StepEmbedder) else step_embedder(embedder)
        encoder = Encoder(steps, options.hearing)
        store = StepStore.open_for(vectors, encoder.settings)
        scanning = Scanning(
            store=store,
            embedder=encoder.heard,
            gathered=gathered,
            settings=settings,
            slow=options.hearing.slow,
            part=options.part,
            clocks=clocks,
            on_scores=folder.write_scores if folder and options.keep_scores else None,
        )
        marked = [FoundRecording(path=one.path) for one in gathered.marked]
        fresh: set[str] = set()
        meter = _Meter(on_progress)
        for one in encode_many(
            marked,
            store,
            encoder,
            jobs=options.jobs,
            on_progress=meter.examples,
        ):
            scanning.add_marked(one)
            if one.kept is not None and not one.was_kept:
                fresh.add(one.path)
        scanning.fit()
        planned = clocks.plan_all(found, options.part, jobs=options.jobs, on_planned=meter.planned)
        meter.n_fresh = len(fresh & {one.path for one in planned})
        for one in encode_many(
            planned,
            store,
            encoder,
            jobs=options.jobs,
            on_progress=meter.recordings,
        ):
            row, own = scanning.scan(one)
            if on_recording is not None:
                on_recording(row, own)
        if sources.journal is not None:
            if out is not None:
                before = read_events_before(Path(out))
                scanning.notes += describe_change(before, scanning.events, scanning.rows)
            if scanning.detectors is not None:
                scanning.notes += describe_doubtful(
                    scanning.detectors, sources.journal, slow=options.hearing.slow
                )
        described = {
            **scanning.to_dict(),
            "paths": [str(os.fspath(path)) for path in given],
            "sources": _plain(sources),
            "settings": _plain(settings),
            # Neither the cores nor the device decide an event.
            "options": {
                name: value
                for name, value in _plain(options).items()
                if name not in ("jobs", "device", "vectors")
            },
        }
        if options.vectors is not None and out is not None:
            described["vectors"] = relative_path(vectors, out)
        events = tuple(scanning.events)
        if folder is not None:
            events = folder.write(events, scanning.rows, described, examples=scanning.annotations)
    return Events(
        rows=tuple(sorted(events, key=lambda e: (e.recording, e.start_s, e.end_s, e.label))),
        recordings=tuple(scanning.rows),
        summaries=tuple(scanning.summaries()),
        scan=described,
        folder=None if out is None else Path(out),
        notes=tuple(scanning.notes),
    ).with_labels()


def _sources(
    examples: PathLike | Sequence[PathLike] | ExampleSources | None,
    index: Index | PathLike | None,
    task: Task | PathLike | None,
    labels: tuple[str, ...],
    where: str,
) -> ExampleSources:
    """Make one record of all that names examples."""
    if isinstance(examples, ExampleSources):
        if index is not None or task is not None or labels or where:
            raise CorpusError(
                "examples are an ExampleSources: put index, task, labels and where into it"
            )
        return examples
    several: Sequence[PathLike] = ()
    if isinstance(examples, str | os.PathLike):
        several = (examples,)
    elif examples is not None:
        several = examples
    return ExampleSources(
        annotations=tuple(several), index=index, task=task, labels=labels, where=where
    )


class _Meter:
    """Progress of both stages as that of one.

    Args:
        tell: Is told of it; ``None`` for nobody.

    Attributes:
        n_fresh: Recordings that hold examples and were decoded by this scan.
    """

    def __init__(self, tell: Callable[[ScanProgress], None] | None) -> None:
        self._tell = tell
        self._before: EncodingProgress | None = None
        self.n_fresh = 0

    def examples(self, encoding: EncodingProgress) -> None:
        self._before = encoding
        if self._tell is not None:
            self._tell(ScanProgress(stage="examples", encoding=encoding))

    def planned(self, done: int, total: int) -> None:
        if self._tell is not None:
            of_times = EncodingProgress(done=done, total=total, n_kept=0, audio_s=0.0, seconds=0.0)
            self._tell(ScanProgress(stage="times", encoding=of_times))

    def recordings(self, encoding: EncodingProgress) -> None:
        if self._tell is None:
            return
        before = self._before
        self._tell(
            ScanProgress(
                stage="recordings",
                encoding=replace(
                    encoding,
                    n_kept=max(0, encoding.n_kept - self.n_fresh),
                    audio_s=encoding.audio_s + (before.audio_s if before else 0.0),
                    seconds=encoding.seconds + (before.seconds if before else 0.0),
                ),
            )
        )


def _plain(value: object) -> Any:
    """Return a record as plain JSON values; what is open is named."""
    if is_dataclass(value) and not isinstance(value, type):
        own = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        name = own.get("name")
        return name if isinstance(name, str) and "kind" in own else own
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    return str(getattr(value, "path", value))
