"""Encoding of many recordings side by side: kept ones are found, the others decoded once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from earful.errors import AudioError, EarfulError, MissingExtraError, ScanError
from earful.files import NO_ROOM
from earful.index.recordings.encode import Encoder, StoppedError
from earful.index.recordings.find import FoundRecording
from earful.index.recordings.kept import KeptRecording
from earful.index.recordings.store import StepStore
from earful.index.recordings.writer import BusyRecordingError
from earful.model.audio import ANY_LENGTH, probe_isolated
from earful.model.runtime import n_cores
from earful.values import short_repr
from earful.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedRecording:
    """A recording whose steps are kept by now, or why they are not.

    Attributes:
        path: As it was asked for.
        key: In the store; empty if it could not be read.
        bytes: Size of the file; ``None`` if unknown.
        kept: What is known of it; ``None`` if it failed or was skipped.
        was_kept: Whether its steps were there before.
        same_as: Path of a recording before it with the same content; empty without one.
        skipped: Why it was not read; empty if it was.
        failed: Why it could not be read; empty if it could.
    """

    path: str
    key: str = ""
    bytes: int | None = None
    kept: KeptRecording | None = None
    was_kept: bool = False
    same_as: str = ""
    skipped: str = ""
    failed: str = ""

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingProgress:
    """How far the encoding of many recordings is.

    Attributes:
        done: Recordings that are done.
        total: All of them.
        n_kept: How many of them were kept from before.
        audio_s: Seconds of audio encoded by now.
        seconds: Since it began.
        n_found: Recordings that were looked up by now, before the first is encoded.
    """

    done: int
    total: int
    n_kept: int
    audio_s: float
    seconds: float
    n_found: int = 0


class _Tally:
    """Counts of all workers, told to whoever shows them."""

    def __init__(self, total: int, tell: Callable[[EncodingProgress], None] | None) -> None:
        self._lock = threading.Lock()
        self._tell = tell
        self._total, self._began = total, time.monotonic()
        self._done = self._n_kept = self._n_found = 0
        self._audio_s = 0.0

    def add(self, *, done: int = 0, kept: int = 0, audio_s: float = 0.0, found: int = 0) -> None:
        with self._lock:
            self._n_found += found
            self._done += done
            self._n_kept += kept
            self._audio_s += audio_s
            if self._tell is not None:
                self._tell(
                    EncodingProgress(
                        done=self._done,
                        total=self._total,
                        n_kept=self._n_kept,
                        audio_s=self._audio_s,
                        seconds=time.monotonic() - self._began,
                        n_found=self._n_found,
                    )
                )


def encode_many(
    recordings: Sequence[FoundRecording],
    store: StepStore,
    encoder: Encoder,
    *,
    jobs: int | None = None,
    on_progress: Callable[[EncodingProgress], None] | None = None,
) -> Iterator[EncodedRecording]:
    """Encode recordings that are not kept yet, and find those that are.

    A recording that another process is at is left to the end; if that process still is at it
    then, it has failed for now. The same content is encoded once.

    Args:
        recordings: What was asked for; skipped ones stay so.
        store: Of the encoder's settings.
        encoder: Makes the steps.
        jobs: Cores to use; ``None`` for all.
        on_progress: Called by several threads, one at a time.

    Yields:
        Each recording when it is done, in the order that was given but for those that another
        process was at.

    Raises:
        ScanError: The disk is full, or the store cannot be written; what is kept stays.
    """
    run = _Run(store, encoder, max(1, jobs or n_cores()), _Tally(len(recordings), on_progress))
    try:
        yield from run.encode(recordings)
    finally:
        run.close()


class _Run:
    """Workers that encode recordings, each a thread."""

    def __init__(self, store: StepStore, encoder: Encoder, jobs: int, tally: _Tally) -> None:
        self._store, self._encoder = store, encoder
        self._jobs, self._tally = jobs, tally
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="earful-scan")
        self._lock = threading.Lock()
        self._n_active = 0
        self._missing: dict[str, str] = {}

    def close(self) -> None:
        """End all workers; each keeps the blocks that it has finished."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def encode(self, recordings: Sequence[FoundRecording]) -> Iterator[EncodedRecording]:
        asked = list[EncodedRecording]()
        for looked_up in self._pool.map(self._look_up, recordings):
            asked.append(looked_up)
            self._tally.add(found=1)
        first: dict[str, str] = {}
        futures: dict[str, Future[KeptRecording]] = {}
        for one in asked:
            if one.key and one.kept is None and one.key not in first:
                self._missing[one.key] = one.path
                futures[one.key] = self._pool.submit(self._encode, one)
            if one.key:
                first.setdefault(one.key, one.path)
        busy = list[EncodedRecording]()
        for one in asked:
            try:
                yield self._finished(one, first, futures)
            except BusyRecordingError:
                busy.append(one)
        for one in busy:
            if futures[one.key].exception() is not None:
                futures[one.key] = self._pool.submit(self._encode, one)
            try:
                yield self._finished(one, first, futures)
            except BusyRecordingError as error:
                self._tally.add(done=1)
                yield replace(one, failed=_without_name(error, one.path))

    def _look_up(self, found: FoundRecording) -> EncodedRecording:
        """Find a recording by its content."""
        if found.skipped:
            return EncodedRecording(path=found.path, skipped=found.skipped)
        try:
            key, size = self._store.key(found.path, limits=ANY_LENGTH)
        except AudioError as error:
            return EncodedRecording(path=found.path, failed=_without_name(error, found.path))
        kept: KeptRecording | None = None
        if key in self._store:
            try:
                kept = self._store.about(key)
            except ScanError as error:
                return EncodedRecording(
                    path=found.path,
                    bytes=size,
                    failed=f"{error}; {self._store.remove_command(key)} lets it be read again",
                )
        return EncodedRecording(
            path=found.path, key=key, bytes=size, kept=kept, was_kept=kept is not None
        )

    def _finished(
        self,
        one: EncodedRecording,
        first: dict[str, str],
        futures: dict[str, Future[KeptRecording]],
    ) -> EncodedRecording:
        """Wait for a recording, and return it as it is then."""
        same_as = first.get(one.key, one.path)
        one = replace(one, same_as="" if same_as == one.path else same_as)
        if one.key and one.kept is None:
            try:
                one = replace(one, kept=futures[one.key].result())
            except BusyRecordingError:
                raise
            except (AudioError, MissingExtraError) as error:
                one = replace(one, failed=_without_name(error, one.path))
            except OSError as error:
                raise self._cannot_write(error) from error
        self._tally.add(done=1, kept=int(one.was_kept))
        return one

    def _encode(self, one: EncodedRecording) -> KeptRecording:
        if self._stop.is_set():
            raise StoppedError
        with self._lock:
            self._n_active += 1
        try:
            kept = self._encoder.encode(
                one.path,
                one.key,
                one.bytes or 0,
                self._store,
                on_audio=lambda seconds: self._tally.add(audio_s=seconds),
                share=self._share,
                stop=self._stop,
            )
            with self._lock:
                self._missing.pop(one.key, None)
            return kept
        except OSError:
            self._stop.set()
            raise
        finally:
            with self._lock:
                self._n_active -= 1

    def _share(self) -> int:
        """Return how many cores one recording may use while others are at work."""
        return max(1, self._jobs // max(1, self._n_active))

    def _cannot_write(self, error: OSError) -> EarfulError:
        """Stop, and say what is missing."""
        self.close()
        n_bytes = 0
        for path in self._missing.values():
            with suppress(EarfulError):
                found = probe_isolated(path, limits=ANY_LENGTH)
                n_bytes += self._store.bytes_missing(found.duration_s)
        is_full = error.errno in NO_ROOM
        step = f"make room for {n_bytes / 1e6:.0f} MB" if is_full else "make it writable"
        return ScanError(
            f"{self._store.folder}: cannot be written ({error.strerror or error}); "
            f"{counted(len(self._missing), 'recording is', 'recordings are')} not encoded yet, "
            f"what was encoded is kept: {step}, or give another --vectors, and run the same "
            "command again"
        )


def _without_name(error: Exception, path: str) -> str:
    """Return an error's text without the path that it begins with: a row has it already."""
    return str(error).removeprefix(f"{os.fspath(path)}: ")
