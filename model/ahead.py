"""Decoding ahead: the next files are decoded while one is listened to.

Threads wait for the processes that decode, and hand on what these gave: the samples of a file
do not depend on what is decoded beside it, and neither does its error.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final

from earful.model.audio import Clip, load_isolated
from earful.system import n_processors

_MOST_DECODERS: Final = 8
_MOST_BYTES: Final = 256 << 20
"""Bytes of decoded samples that may wait; a longer recording waits alone."""


class FileAhead(os.PathLike[str]):
    """A path whose file is being decoded.

    Args:
        path: The file.
        options: Keyword arguments of ``load_isolated`` that it is decoded with.
    """

    def __init__(self, path: str | os.PathLike[str], options: dict[str, Any]) -> None:
        self._path = os.fspath(path)
        self._options = options
        self._clip: Future[Clip] = Future()

    def __fspath__(self) -> str:
        return self._path

    def __str__(self) -> str:
        return self._path

    def load(self, **options: Any) -> Clip:
        """Return the clip; decode the file again where other options are asked for.

        Raises:
            AudioError: As for ``load_isolated``, whose arguments these are.
        """
        if options != self._options:
            return load_isolated(self._path, **options)
        return self._clip.result()

    def decode(self) -> None:
        """Decode the file, unless it is not wanted any more."""
        if not self._clip.set_running_or_notify_cancel():
            return
        try:
            self._clip.set_result(load_isolated(self._path, **self._options))
        except BaseException as error:
            self._clip.set_exception(error)

    def drop(self) -> None:
        """Keep it from being decoded, if that has not begun."""
        self._clip.cancel()

    @property
    def n_bytes(self) -> int:
        """Bytes of samples that wait; 0 while it is being decoded, and where it cannot be."""
        if not self._clip.done() or self._clip.cancelled() or self._clip.exception():
            return 0
        return self._clip.result().samples.nbytes


def decode_ahead(
    paths: Sequence[str | os.PathLike[str]],
    *,
    sample_rate: int,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> Iterator[FileAhead]:
    """Go over files in their order while the next ones are decoded.

    Args:
        paths: The files.
        sample_rate: As for ``load_isolated``, like the two that follow.
        start_s: In seconds.
        end_s: In seconds.

    Yields:
        For each file a path that ``FileAhead.load`` has the clip of.
    """
    options = {"sample_rate": sample_rate, "start_s": start_s, "end_s": end_s}
    n_threads = min(_MOST_DECODERS, n_processors(), len(paths))
    wanted: SimpleQueue[FileAhead | None] = SimpleQueue()
    for _ in range(n_threads):
        # Daemons: whoever is interrupted does not wait for a file that nobody will hear.
        threading.Thread(
            target=_decode_wanted, args=(wanted,), name="earful-ahead", daemon=True
        ).start()
    waiting: deque[FileAhead] = deque()
    left = iter(paths)
    try:
        while True:
            while len(waiting) <= n_threads and sum(x.n_bytes for x in waiting) < _MOST_BYTES:
                if (path := next(left, None)) is None:
                    break
                waiting.append(FileAhead(path, options))
                wanted.put(waiting[-1])
            if not waiting:
                return
            yield waiting.popleft()
    finally:
        for file in waiting:
            file.drop()
        for _ in range(n_threads):
            wanted.put(None)


def _decode_wanted(wanted: SimpleQueue[FileAhead | None]) -> None:
    while (file := wanted.get()) is not None:
        file.decode()
