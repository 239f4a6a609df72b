"""Scans from a page: recordings that the server was given, into a folder beside its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from earful.errors import CorpusError
from earful.serve.faults import RequestError
from earful.serve.state import ServerState, open_review
from earful.serve.work import Job, Tell
from earful.values import short_repr
from earful.wording import known_names, quoted

if TYPE_CHECKING:
    from earful.rag.scan import ScanProgress

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ENDING: Final = ".scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """A scan that a page asks for.

    Attributes:
        name: Of the result's folder.
        recordings: Ids of recordings, and names of folders that the server was given.
        labels: To look for; empty for those of the server's task, or all of the index.
        where: SQL that exemplars have to fulfil.
        threshold: Events are where the score is above it; ``None`` for the default.
        thresholds: By label.
        detector: ``"neighbours"``, ``"probe"`` or ``"auto"``.
        window_s: Length of a window, in seconds.
    """

    name: str
    recordings: Sequence[str] = ()
    labels: Sequence[str] = ()
    where: str = ""
    threshold: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    detector: Literal["neighbours", "probe", "auto"] = "neighbours"
    window_s: float = 0.56

    __repr__ = short_repr


def start_scan(state: ServerState, asked: ScanRequest) -> Job:
    """Begin a scan in the background; when it is done, it can be reviewed.

    Raises:
        RequestError: Its name is none, or taken; there are no such recordings, or no example of a
            label; or another job is running.
        EarfulError: As ``ScanSettings``.
    """
    from earful.rag.scan import DEFAULT_THRESHOLD, ScanSettings

    settings = ScanSettings(
        detector=asked.detector,
        window_s=asked.window_s,
        thresholds=dict(asked.thresholds),
        threshold=DEFAULT_THRESHOLD if asked.threshold is None else asked.threshold,
    )
    out = scan_folder(state, asked.name)
    paths = [path for each in asked.recordings for path in recordings_named(state, each)]
    if not paths:
        raise RequestError(
            f"no recordings are named; expected folders ({_known(state)}) or ids of recordings "
            "(r-...)",
            field="recordings",
        )
    labels = tuple(asked.labels) or (() if state.task is None else tuple(state.task.labels))
    _require_labels(state, labels)

    def work(tell: Tell) -> Mapping[str, Any]:
        import earful
        from earful.rag.scan import ExampleSources, ScanOptions

        def on_progress(done: ScanProgress) -> None:
            encoding = done.encoding
            tell(
                {
                    "stage": done.stage,
                    "done": encoding.done,
                    "total": encoding.total,
                    "audio_s": round(encoding.audio_s, 3),
                    "seconds": round(encoding.seconds, 3),
                }
            )

        tell({"stage": "loading", "done": 0, "total": 0})
        found = earful.scan(
            list(dict.fromkeys(paths)),
            examples=ExampleSources(
                index=state.index_path, where=asked.where, labels=labels, task=state.task
            ),
            out=out,
            embedder=state.embedder(),
            settings=settings,
            options=ScanOptions(device=state.device),
            on_progress=on_progress,
        )
        session = state.read_index(
            lambda index: open_review(out, index, state.settings, state.task)
        )
        state.add_review(session)
        state.commit_rest()  # a scan that goes on may have labels already
        return {
            "scan": session.name,
            "n_events": len(found),
            "n_recordings": len(found.recordings),
            "failed": [
                {"name": Path(row.recording).name, "reason": state.explain(row.reason)}
                for row in found.failed
            ],
            "notes": [state.explain(note) for note in found.notes],
        }

    return state.jobs.start("scan", out.name, work)


def scan_folder(state: ServerState, name: str) -> Path:
    """Return the folder of a new scan: beside the scans that are open, else beside the index.

    Raises:
        RequestError: The name is none of a plain file, or it is taken.
    """
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"name {quoted(name)}: expected up to 64 letters, digits, dots, hyphens and "
            "underscores, a letter or digit first",
            field="name",
        )
    full = name if name.endswith(_ENDING) else f"{name}{_ENDING}"
    scans = [session.folder for session in state.reviews.values()]
    beside = (scans[0] if scans else state.index_path).absolute().parent
    folder = beside / full
    if full in state.reviews:
        raise RequestError(
            f"the scan {quoted(full)} is open; give another name",
            status=409,
            code="name_taken",
            field="name",
        )
    if folder.is_symlink() or (folder.exists() and not (folder / "vectors").is_dir()):
        raise RequestError(
            f"{full}: is there already, and no scan that could go on; give another name",
            status=409,
            code="name_taken",
            field="name",
        )
    return folder


def recordings_named(state: ServerState, name: str) -> list[Path]:
    """Return the paths that a page means by the name of a folder, or the id of a recording.

    Raises:
        RequestError: The server was not given such recordings, or they are gone.
    """
    if name in state.folders:
        return [state.folders[name]]
    if not name.startswith("r-"):
        raise RequestError(
            f"recordings {quoted(name)}: expected a folder that the server was given by "
            f"--recordings ({known_names(name, sorted(state.folders))}), or the id of a recording "
            "(r-...)",
            status=404,
            code="unknown_recordings",
            field="recordings",
        )
    source = state.sources.find(name)
    source.require_file("recordings")
    return [source.path]


def _known(state: ServerState) -> str:
    return ", ".join(sorted(state.folders)) or "none is given; --recordings FOLDER gives one"


def _require_labels(state: ServerState, labels: Sequence[str]) -> None:
    """Refuse labels without an example, before anything is decoded."""
    if state.task is not None and state.task.examples:
        return
    known = list(state.read_index(lambda index: index.labels))
    for label in labels:
        if label not in known:
            raise RequestError(
                f"label {quoted(label)}: has no example in the index; {known_names(label, known)}",
                field="labels",
            )
    if not known:
        raise CorpusError("the index has no labelled example; add some first")
