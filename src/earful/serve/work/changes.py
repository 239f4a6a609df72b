"""Changes: what happened in the server, told to every page that listens."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from earful.serve.faults import RequestError

_KEPT: Final = 500
_MOST_UNREAD: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    r"""A server-sent event.

    >>> ServerEvent(kind="index", data={"n": 3}, number=7).encode()
    b'id: 7\nevent: index\ndata: {"n": 3}\n\n'

    Attributes:
        kind: What happened, such as ``"label"``.
        data: Plain JSON values.
        number: Its place among all; 0 for none.
    """

    kind: str
    data: Mapping[str, Any] = field(hash=False)
    number: int = 0

    def encode(self) -> bytes:
        """Return its bytes, as they are sent."""
        place = f"id: {self.number}\n" if self.number else ""
        data = json.dumps(dict(self.data), ensure_ascii=False, allow_nan=False)
        return f"{place}event: {self.kind}\ndata: {data}\n\n".encode("utf-8", "backslashreplace")


class Listener:
    """Changes as they come, for one page.

    Args:
        queue: That they are put into; ``None`` at the end.
        forget: Is called with the queue when nobody listens any more.
    """

    def __init__(
        self,
        queue: asyncio.Queue[ServerEvent | None],
        forget: Callable[[asyncio.Queue[ServerEvent | None]], None],
    ) -> None:
        self._queue, self._forget = queue, forget

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> ServerEvent:
        event = await self._queue.get()
        if event is None:
            self.close()
            raise StopAsyncIteration
        return event

    def close(self) -> None:
        """Listen no more."""
        self._forget(self._queue)

    def __del__(self) -> None:
        # A response whose client went away before it began never reads.
        self.close()


class Changes:
    """Changes of the server, each told to everybody who listens; for any thread.

    Args:
        max_listeners: Most that listen at once.
    """

    def __init__(self, max_listeners: int = 32) -> None:
        self._max_listeners = max_listeners
        # Signals end the streams in the very thread that may hold it.
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._kept: deque[ServerEvent] = deque(maxlen=_KEPT)
        self._listeners: dict[asyncio.Queue[ServerEvent | None], asyncio.AbstractEventLoop] = {}
        self._watchers: list[Callable[[ServerEvent], None]] = []
        self._is_closed = False

    def watch(self, watcher: Callable[[ServerEvent], None]) -> None:
        """Have a function called with every change, in the thread that publishes it."""
        with self._lock:
            self._watchers.append(watcher)

    def publish(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell all listeners of a change.

        Args:
            kind: What happened.
            data: Plain JSON values.
        """
        with self._lock:
            event = ServerEvent(kind=kind, data=data, number=next(self._numbers))
            self._kept.append(event)
            self._tell(event)
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher(event)

    def close(self) -> None:
        """End all streams; later ones end at once."""
        with self._lock:
            self._is_closed = True
            self._tell(None)
            self._listeners.clear()

    def listen(self, after: int | None = None) -> Listener:
        """Return the changes from now on, until the server ends.

        Args:
            after: Number of the last one that is known: what came since comes first, as far as it
                is still kept.

        Raises:
            RequestError: Too many listen.
        """
        queue: asyncio.Queue[ServerEvent | None] = asyncio.Queue()
        with self._lock:
            if len(self._listeners) >= self._max_listeners:
                raise RequestError(
                    f"{len(self._listeners)} pages listen already, as many as may; close one",
                    status=429,
                    code="too_many_streams",
                    retry_after_s=10,
                )
            if after is not None:
                for event in self._kept:
                    if event.number > after:
                        queue.put_nowait(event)
            if self._is_closed:
                queue.put_nowait(None)
            else:
                self._listeners[queue] = asyncio.get_running_loop()
        return Listener(queue, self._forget)

    def _forget(self, queue: asyncio.Queue[ServerEvent | None]) -> None:
        with self._lock:
            self._listeners.pop(queue, None)

    def _tell(self, event: ServerEvent | None) -> None:
        for queue, loop in list(self._listeners.items()):
            reads = queue.qsize() <= _MOST_UNREAD
            if not reads:  # its stream ends, and begins anew if it is still there
                self._listeners.pop(queue, None)
            with suppress(RuntimeError):  # its loop has ended
                loop.call_soon_threadsafe(queue.put_nowait, event if reads else None)
