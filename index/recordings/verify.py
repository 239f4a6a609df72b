"""Verification of a store: that the steps of every recording are as they were written."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earful.errors import AudioError, ScanError
from earful.index.recordings.array_file import HEADER_BYTES, crc_of_steps
from earful.index.recordings.kept import KeptRecording
from earful.index.recordings.store import StepStore
from earful.model.audio import ANY_LENGTH, AudioLimits, file_sha256
from earful.system import open_descriptor
from earful.values import short_repr
from earful.wording import counted

Progress = Callable[[int, int], None]

_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreProblem:
    """Something that is not as it was written.

    Attributes:
        key: The recording's key.
        recording: Where it was when it was read; empty if that cannot be read.
        what: What is wrong, and what to do.
    """

    key: str
    recording: str
    what: str

    __repr__ = short_repr

    def to_dict(self) -> dict[str, str]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreReport:
    """Report of ``verify_store``.

    Attributes:
        n_checked: Recordings whose steps were read.
        n_unfinished: Recordings of which only a beginning is kept; the next scan goes on there.
        n_absent: Recordings that are no longer where they were; their steps are kept all the same.
        problems: What is wrong; empty when all is well.
    """

    n_checked: int = 0
    n_unfinished: int = 0
    n_absent: int = 0
    problems: tuple[StoreProblem, ...] = ()

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def verify_store(
    store: StepStore,
    *,
    files: bool = False,
    limits: AudioLimits = ANY_LENGTH,
    progress: Progress | None = None,
) -> StoreReport:
    """Check the shape and the CRC of all that a store keeps.

    Args:
        store: The store.
        files: Whether recordings that are still where they were are read, too, and compared with
            their digests: a change in their middle changes no key.
        limits: Only its ``max_file_bytes`` counts, for ``files``.
        progress: Called with the recordings done and their number.
    """
    keys = store.keys()
    problems: list[StoreProblem] = []
    n_absent = 0
    for number, key in enumerate(keys):
        if progress is not None:
            progress(number, len(keys))
        recording, again = "", f"{store.remove_command(key)} lets the next scan read it again"
        try:
            about = store.about(key)
            recording = about.path
            if what := _steps_problem(store, key, about):
                problems.append(StoreProblem(key=key, recording=recording, what=f"{what}; {again}"))
        except ScanError as error:
            problems.append(StoreProblem(key=key, recording=recording, what=f"{error}; {again}"))
            continue
        if not os.path.exists(about.path):
            n_absent += 1
        elif files and about.sha256:
            what = _file_problem(about.path, about.sha256, about.bytes, limits)
            if what:
                problems.append(StoreProblem(key=key, recording=recording, what=f"{what}; {again}"))
    if progress is not None and keys:
        progress(len(keys), len(keys))
    return StoreReport(
        n_checked=len(keys),
        n_unfinished=len(store.unfinished()),
        n_absent=n_absent,
        problems=tuple(problems),
    )


def _steps_problem(store: StepStore, key: str, about: KeptRecording) -> str:
    """Return what is wrong with a recording's steps; ``""`` if nothing is."""
    steps = store.steps(key)
    if len(steps) != about.n_steps:
        return f"has {counted(len(steps), 'step')}, expected {about.n_steps}"
    path = Path(store.stem(key)).with_suffix(".npy")
    descriptor = open_descriptor(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        n_bytes = about.n_steps * store.settings.row_dim * 2
        if size != HEADER_BYTES + n_bytes or crc_of_steps(descriptor, n_bytes) != about.crc32:
            return "its steps are not those that were written"
    finally:
        os.close(descriptor)
    for first in range(0, len(steps), _AT_ONCE):
        if not np.isfinite(steps[first : first + _AT_ONCE]).all():
            return "has steps that are not finite"
    return ""


def _file_problem(path: str, sha256: str, size: int, limits: AudioLimits) -> str:
    """Return whether a file is another by now; ``""`` if it is the same."""
    try:
        if os.path.getsize(path) != size:
            return ""  # another recording of that name, with a key of its own
        if file_sha256(path, limits=limits) != sha256:
            return "the recording has been changed since it was read"
    except (AudioError, OSError) as error:
        return f"the recording cannot be read ({error})"
    return ""
