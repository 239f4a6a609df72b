"""Location of a row's recording, by its path or by its name, and the segments of it that count."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from earful.errors import CorpusError
from earful.index.datasets.declaration import Audio, Span, Window
from earful.index.datasets.readers import is_lfs_pointer
from earful.index.datasets.row_faults import RowError
from earful.index.datasets.templates import cell, fill
from earful.model.audio import load_isolated, probe_isolated
from earful.system import relative_path

# Where a recording exists in several formats, the one listed first is used.
AUDIO_ENDINGS = (
    *(".wav", ".flac", ".aiff", ".aif", ".au", ".caf", ".ogg", ".opus", ".mp3", ".m4a", ".aac"),
    *(".wma", ".mp4", ".webm", ".mkv", ".flv", ".mov"),
)
_ENDINGS = frozenset(AUDIO_ENDINGS)

Segment = tuple[float, float | None]
"""Start and end in seconds; no end for the rest of the file."""

# What folders of splits are called besides the split's own name.
_SPLIT_FOLDERS = {
    "train": frozenset({"training"}),
    "val": frozenset({"valid", "validation", "dev"}),
    "test": frozenset({"testing", "eval", "evaluation"}),
}
# A file that was cut before may be a little longer than its segment.
_CUT_SLACK_S = 1.0
_LEVEL_RATE = 16_000


class Found(NamedTuple):
    """Where a row's recording is, or why there is none.

    Attributes:
        path: From the base; empty where there is none.
        why: What was looked for, or what is wrong with what is there; empty where there is one.
        is_ambiguous: Whether several files have its name, which differ.
    """

    path: str = ""
    why: str = ""
    is_ambiguous: bool = False


class Locator:
    """Finds recordings below one folder.

    Args:
        base: Folder that paths are named from: that of the data set's tables.
        top: Folder that was given, which is ``base`` or the one above it; what is not found
            below ``base`` may lie elsewhere in it.
        audio: Location of a row's recording, from the declaration.
        allow_outside: Whether a link may lead out of ``top``.

    Attributes:
        passed_by: Hashes of the paths of files that rows name and do not use: those that are no
            recordings, copies of others, and those between which no row can choose.
    """

    def __init__(
        self, base: Path, audio: Audio, *, top: Path | None = None, allow_outside: bool = False
    ) -> None:
        self._base = base
        self._top = top or base
        self._resolved = self._top.resolve()
        self._audio = audio
        self._allow_outside = allow_outside
        # Of the folder above, relative to the base.
        self._above = os.path.normpath(relative_path(self._resolved, base.resolve()))
        self.passed_by: set[int] = set()

    def find(self, row: Mapping[str, Any], where: str, split: str = "") -> Found:
        """Return the recording's path from the base, or why there is none.

        Args:
            row: The row.
            where: Its place.
            split: Its split: of several files that have its name, the one in a folder of that
                split is the row's.

        Raises:
            CorpusError: The row names a path outside the folder.
            RowError: The row lacks a column.
        """
        looked_for: list[str] = []
        for template in self._audio.path:
            relative = fill(template, row, where)
            self._require_inside(relative, where)
            looked_for.append(relative)
            for place in dict.fromkeys((relative, os.path.join(self._above, relative))):
                if os.path.isfile(self._base / place):
                    return self._check_usable(os.path.normpath(place), where)
        for template in self._audio.find:
            looked_for.append(fill(template, row, where))
            name, fit = self._find_by_name(template, row, where)
            if len(own := self._of_split(fit, split)) > 1:
                names = " and ".join(own[:3]) + (" and others" if len(own) > 3 else "")
                why = f"{name} may be {names}, which differ; expected one file of that name"
                return Found(why=why, is_ambiguous=True)
            if own:
                return self._check_usable(own[0], where)
        return Found(why=f"looked for {' and '.join(looked_for)}")

    def _of_split(self, fit: list[str], split: str) -> list[str]:
        """Return what may be a row's recording, of files with its name: mostly one.

        Of several the one in its split's folder is the row's; equal ones are one recording.
        """
        if len(fit) < 2:
            return fit
        self.passed_by.update(map(hash, fit))
        folders = {split.lower(), *_SPLIT_FOLDERS.get(split.lower(), ())} - {""}
        own = [x for x in fit if folders & set(os.path.dirname(x).lower().split(os.sep))] or fit
        first = self._base / own[0]
        if all(_is_copy(first, self._base / other) for other in own[1:]):
            return own[:1]
        return own

    def _check_usable(self, relative: str, where: str) -> Found:
        """Return a path if it is a recording, or why it is none."""
        path = self._base / relative
        if not self._allow_outside and not path.resolve().is_relative_to(self._resolved):
            raise CorpusError(
                f"{where}: audio {str(path)!r} leads out of {self._top}; move it inside, or pass "
                "--allow-outside"
            )
        size = path.stat().st_size
        if is_lfs_pointer(path):
            self.passed_by.add(hash(relative))
            return Found(why=f"{relative} is a Git LFS pointer; fetch it with `git lfs pull`")
        if size < self._audio.min_bytes:
            self.passed_by.add(hash(relative))
            why = f"{relative} has {size} bytes; expected {self._audio.min_bytes} or more"
            return Found(why=why)
        return Found(path=relative)

    def _require_inside(self, relative: str, where: str) -> None:
        path = os.path.normpath(relative)
        if os.path.isabs(path) or path == ".." or path.startswith(f"..{os.sep}"):
            raise CorpusError(
                f"{where}: audio {relative!r} lies outside {self._base}; expected a path inside"
            )
        if "\0" in relative:
            raise CorpusError(f"{where}: the audio path holds a NUL character")

    def _find_by_name(
        self, template: str, row: Mapping[str, Any], where: str
    ) -> tuple[str, list[str]]:
        """Find a base name: exactly, then without regard to case, then as a stem.

        Returns:
            The name, and the paths below the root that fit, in the first format of those there.
        """
        above, _, last = template.rpartition("/")
        folders = set(fill(above, row, where).lower().split("/")) - {""}
        name = os.path.basename(fill(last, row, where))
        lower = name.lower()
        same: list[str] = []
        for by_stem in (self._by_stem, self._by_stem_above):
            stems = dict.fromkeys((os.path.splitext(lower)[0], lower))
            known = [path for stem in stems for path in by_stem.get(stem, ())]
            fit = [x for x in known if folders <= set(os.path.dirname(x).lower().split(os.sep))]
            bases = [(found, os.path.basename(found)) for found in fit]
            same = (
                [found for found, base in bases if base == name]
                or [found for found, base in bases if base.lower() == lower]
                or [found for found, base in bases if os.path.splitext(base)[0].lower() == lower]
            )
            if same:
                break
        # One recording in several formats is not ambiguous.
        same.sort(key=lambda found: (AUDIO_ENDINGS.index(_ending(found)), found))
        return name, [found for found in same if _ending(found) == _ending(same[0])]

    @cached_property
    def _by_stem(self) -> dict[str, tuple[str, ...]]:
        """Recordings below the base by lower-case stem; one table, as there may be millions."""
        return _stems(self._recordings_below(self._base))

    @cached_property
    def _by_stem_above(self) -> dict[str, tuple[str, ...]]:
        """Recordings elsewhere in the folder that was given."""
        return _stems(self._recordings_beside())

    @property
    def n_recordings(self) -> int:
        """Number of recordings below the folder, whether or not rows name them."""
        below = sum(1 for _ in self._recordings_below(self._base))
        return below + sum(1 for _ in self._recordings_beside())

    def _recordings_beside(self) -> Iterator[str]:
        if self._above == os.curdir:
            return
        for relative in self._recordings_below(self._resolved, besides=self._base.resolve()):
            yield os.path.join(self._above, relative)

    def _recordings_below(self, top: Path, besides: Path | None = None) -> Iterator[str]:
        seen: set[tuple[int, int]] = set()
        for parent, folders, names in os.walk(top, followlinks=self._allow_outside):
            if self._allow_outside:
                # A link to a folder above would be followed for ever.
                here = os.stat(parent)
                if (here.st_dev, here.st_ino) in seen:
                    folders.clear()
                    continue
                seen.add((here.st_dev, here.st_ino))
            if besides is not None and os.path.realpath(parent) == str(besides):
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = os.path.join(parent, name)
                if not name.startswith("._") and _ending(name) in _ENDINGS and os.path.isfile(path):
                    yield os.path.relpath(path, top)


class Segmenter:
    """Cuts recordings into the segments that become exemplars.

    Args:
        base: Folder that paths of recordings are named from.
        span: Segment that a row describes, if it is not the whole recording.
        window: Cutting into segments of equal length, if there is any.
    """

    def __init__(self, base: Path, span: Span | None, window: Window | None) -> None:
        self._base = base
        self._span = span
        self._window = window

    def segments(self, row: Mapping[str, Any], where: str, audio: str) -> Iterator[Segment]:
        """Yield the segments of a row's recording.

        Raises:
            AudioError: The recording cannot be read.
            RowError: The row lacks a column, or has no number in it.
        """
        span, window = self._span, self._window
        if span is not None:
            start_s = _seconds(span.start, row, where)
            if span.length is not None:
                end_s = start_s + span.length
            else:
                end_s = _seconds(span.end if span.end is not None else 0.0, row, where)
            if self.duration_s(audio) > end_s - start_s + _CUT_SLACK_S:
                yield start_s, end_s
            else:
                yield 0.0, None
        elif window is not None:
            duration_s = self.duration_s(audio)
            n = max(1, int(duration_s / window.length_s + 0.5))
            for number in range(n):
                start_s = number * window.length_s
                end_s = min(start_s + window.length_s, duration_s)
                if not self._is_silent(window, audio, start_s, end_s):
                    yield start_s, end_s
        else:
            yield 0.0, None

    def duration_s(self, audio: str) -> float:
        """Return the length of a recording in seconds, as its header says.

        Raises:
            AudioError: It cannot be read.
        """
        return probe_isolated(self._base / audio).duration_s

    def _is_silent(self, window: Window, audio: str, start_s: float, end_s: float) -> bool:
        if window.skip_below_dbfs is None:
            return False
        clip = load_isolated(
            self._base / audio, sample_rate=_LEVEL_RATE, start_s=start_s, end_s=end_s
        )
        level = float(np.sqrt(np.mean(np.square(clip.samples, dtype=np.float64))))
        return bool(level < 10.0 ** (window.skip_below_dbfs / 20.0))


def _seconds(value: str | float, row: Mapping[str, Any], where: str) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    found = cell(row, value, where)
    try:
        return float(found)
    except (TypeError, ValueError) as error:
        raise RowError(where, f"{value} is {found!r}; expected seconds") from error


def _is_copy(one: Path, other: Path) -> bool:
    """Whether two files have equal bytes; a link to the same file has."""
    return one.samefile(other) or filecmp.cmp(one, other, shallow=False)


def _stems(recordings: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for relative in recordings:
        stem = os.path.splitext(os.path.basename(relative))[0].lower()
        found[stem] = (*found.get(stem, ()), relative)
    return found


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()
