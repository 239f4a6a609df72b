"""Decode queue: corpus rows become clips ahead of the embedder, in the corpus's order.

Threads hash files and have processes decode and resample them (``model/audio/sandbox``), so
all of it overlaps with the embedder, and a file that breaks its decoder breaks nothing else.
The audio decoded ahead is limited in bytes, not only in clips: twenty half-hour recordings
would not fit into memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from earful.errors import AudioError
from earful.index.corpus import (
    CorpusRow,
    Exemplar,
    Rejection,
    TimesBeyond,
    default_id,
)
from earful.index.storage import AudioKey, IndexedRow, exemplar_digest
from earful.model.audio import (
    AudioInfo,
    AudioLimits,
    Clip,
    file_sha256,
    load_isolated,
    probe_isolated,
)
from earful.object_stores import shown_path
from earful.wording import printable

_T = TypeVar("_T")
_R = TypeVar("_R")

_BYTES_PER_SAMPLE = 4
# Rows cut from one file are neighbours in most tables; this many files are remembered.
_FILES_REMEMBERED = 256


class RowHome(Protocol):
    """Where the audio of rows lies; a corpus is one.

    Attributes:
        root: Resolved folder that every ``exemplar.audio`` is relative to.
        kind: As of a corpus.
    """

    @property
    def root(self) -> Path:
        """The root."""

    @property
    def kind(self) -> str:
        """The kind."""

    def path(self, exemplar: Exemplar) -> Path:
        """Return where an exemplar's audio file lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """A row that the index already holds, unchanged.

    Attributes:
        number: Its place in the corpus, from 0.
    """

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A row that cannot be used.

    Attributes:
        number: Its place in the corpus, from 0.
        rejection: What is wrong with it.
        id: Its id.
    """

    number: int
    rejection: Rejection
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A new or changed row whose file could be read.

    Attributes:
        number: Its place in the corpus, from 0.
        row: The row.
        audio_key: The audio that its vector is made of.
        decoded_bytes: Memory for decoding its segment, by the file's header; 0 when the
            index holds a vector of this audio for this very row.
    """

    number: int
    row: CorpusRow
    audio_key: AudioKey
    decoded_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """An inspected row and its audio, ready for the embedder.

    Attributes:
        inspected: The row.
        clip: Its segment, at the embedder's sample rate.
    """

    inspected: Inspected
    clip: Clip


class RowDecoder:
    """Inspects the rows of one corpus, and decodes those that need it.

    Both methods may run in many threads at once. They never raise for a fault of a recording:
    they return ``Rejected``.

    Attributes:
        beyond: Counts stretches that lie beyond their files.
    """

    def __init__(
        self,
        home: RowHome,
        indexed: Mapping[str, IndexedRow],
        *,
        sample_rate: int,
        limits: AudioLimits,
    ) -> None:
        """Prepare for one run.

        Args:
            home: Where the audio lies.
            indexed: The index's rows by id.
            sample_rate: Sample rate of the clips, in Hz.
            limits: Limits on the audio that is accepted.
        """
        self._home = home
        self._indexed = indexed
        self._sample_rate = sample_rate
        self._limits = limits
        self._files = _Files(limits)
        self.beyond = TimesBeyond()

    def inspect(self, numbered: tuple[int, CorpusRow]) -> Unchanged | Inspected | Rejected:
        """Read a row's file and compare it with the index.

        Args:
            numbered: The row's place in the corpus, and the row.
        """
        number, row = numbered
        exemplar = row.exemplar
        if problem := row.fault or _unwritable(exemplar):
            return self._rejected(number, row, problem)
        path = self._home.path(exemplar)
        try:
            key = AudioKey.of(self._files.sha256(path), exemplar)
            indexed = self._indexed.get(exemplar.id)
            same_audio = indexed is not None and (
                (indexed.root, indexed.audio_key) == (self._home.root, key)
            )
            if same_audio and indexed and indexed.exemplar_sha256 == exemplar_digest(exemplar):
                return Unchanged(number=number)
            decoded_bytes = 0 if same_audio else self._decoded_bytes(path, exemplar)
        except (AudioError, OSError) as error:
            return self._rejected(number, row, str(error))
        return Inspected(number=number, row=row, audio_key=key, decoded_bytes=decoded_bytes)

    def decode(self, inspected: Inspected) -> Decoded | Rejected:
        """Decode the segment of an inspected row."""
        exemplar = inspected.row.exemplar
        try:
            clip = load_isolated(
                self._home.path(exemplar),
                sample_rate=self._sample_rate,
                start_s=exemplar.start_s,
                end_s=exemplar.end_s,
                limits=self._limits,
            )
        except (AudioError, OSError) as error:
            return self._rejected(inspected.number, inspected.row, str(error))
        return Decoded(inspected=inspected, clip=clip)

    def reject(self, inspected: Inspected, error: str) -> Rejected:
        """Reject a row for a fault that only showed after decoding."""
        return self._rejected(inspected.number, inspected.row, error)

    def _rejected(self, number: int, row: CorpusRow, error: str) -> Rejected:
        return reject_row(self._home, number, row, error)

    def _decoded_bytes(self, path: Path, exemplar: Exemplar) -> int:
        """Return the memory for a segment at the file's sample rate and at ours."""
        info = self._files.info(path)
        self.beyond.add(exemplar.start_s, exemplar.end_s, info.duration_s, info.sample_rate)
        end_s = info.duration_s if exemplar.end_s is None else exemplar.end_s
        samples_per_s = info.sample_rate + self._sample_rate
        return int(max(0.0, end_s - exemplar.start_s) * samples_per_s * _BYTES_PER_SAMPLE)


def reject_row(home: RowHome, number: int, row: CorpusRow, error: str) -> Rejected:
    """Reject a row.

    Args:
        home: Where its audio lies.
        number: Its place in the corpus, from 0.
        row: The row.
        error: What was found and what was expected.
    """
    # A recording added by itself is named by a path that may be relative to any folder.
    where = shown_path(home.path(row.exemplar)) if home.kind == "file" else row.where
    stretch = default_id(row.exemplar.audio, row.exemplar.start_s, row.exemplar.end_s)
    return Rejected(
        number=number,
        id=row.exemplar.id,
        rejection=Rejection(
            audio=printable(str(row.exemplar.audio)),
            where=printable(where),
            error=error,
            root=printable(shown_path(home.root)),
            stretch=printable(stretch),
        ),
    )


def in_order(
    pool: Executor,
    work: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    n_most: int,
    cost: Callable[[_T], int] = lambda item: 0,
    budget: int = 0,
) -> Iterator[_R]:
    """Work on items in a pool, ahead of the consumer, within bounds.

    Args:
        pool: Where the work runs.
        work: Makes a result of an item.
        items: Taken one by one, never further ahead than the bounds allow.
        n_most: Most items begun and not yet consumed.
        cost: Cost of an item, until the result after its own is asked for.
        budget: Most that items begun and not yet consumed may cost together; one that costs
            more is worked on alone.

    Yields:
        The results, in the order of the items.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(in_order(pool, abs, [-3, 1, -2], n_most=2))
    [3, 1, 2]
    """
    waiting: deque[tuple[Future[_R], int]] = deque()
    held = 0
    for item in items:
        price = cost(item)
        while waiting and (len(waiting) >= n_most or held + price > budget):
            future, paid = waiting.popleft()
            yield future.result()
            held -= paid
        waiting.append((pool.submit(work, item), price))
        held += price
    while waiting:
        yield waiting.popleft()[0].result()


@dataclass(slots=True)
class _FileFacts:
    """Digest and length of one file, with a lock for the thread that reads it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sha256: str = ""
    info: AudioInfo | None = None


class _Files:
    """Recently used files: one that many rows are cut from is hashed and probed once."""

    def __init__(self, limits: AudioLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._facts: OrderedDict[Path, _FileFacts] = OrderedDict()

    def sha256(self, path: Path) -> str:
        facts = self._of(path)
        with facts.lock:
            if not facts.sha256:
                facts.sha256 = file_sha256(path, limits=self._limits)
            return facts.sha256

    def info(self, path: Path) -> AudioInfo:
        facts = self._of(path)
        with facts.lock:
            if facts.info is None:
                facts.info = probe_isolated(path, limits=self._limits)
            return facts.info

    def _of(self, path: Path) -> _FileFacts:
        with self._lock:
            facts = self._facts.setdefault(path, _FileFacts())
            self._facts.move_to_end(path)
            if len(self._facts) > _FILES_REMEMBERED:
                self._facts.popitem(last=False)
            return facts


def _unwritable(exemplar: Exemplar) -> str:
    """Name the text of a row that UTF-8 cannot encode: mostly a file name in another encoding."""
    texts = {
        "the file name": str(exemplar.audio),
        "the id": exemplar.id,
        "a label": "\n".join(exemplar.labels + exemplar.not_labels),
        "the question": exemplar.question,
        "the answer": exemplar.answer,
        "another column": "\n".join(
            [exemplar.task, exemplar.split, exemplar.group, exemplar.licence]
            + [text for pair in exemplar.meta.items() for text in pair]
        ),
    }
    for what, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"{what} {printable(text)!r} is not Unicode text; rename or save it as UTF-8"
    return ""
