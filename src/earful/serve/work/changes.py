"""Changes: what happened in the server, told to every page that listens."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
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
    data: Mapping[str, Any]
    number: int = 0

    def encode(self) -> bytes:
        """Return its bytes, as they are sent."""
        place = f"id: {self.number}\n" if self.number else ""
        data = json.dumps(dict(self.data), ensure_ascii=False, allow_nan=False)
        return f"{place}event: {self.kind}\ndata: {data}\n\n".encode("utf-8", "backslashreplace")


class Changes:
    """Changes of the server, each told to everybody who listens; for any thread.

    Args:
        max_listeners: Most that listen at once.
    """

    def __init__(self, max_listeners: int = 32) -> None:
        self._max_listeners = max_listeners
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._kept: deque[ServerEvent] = deque(maxlen=_KEPT)
        self._listeners: dict[asyncio.Queue[ServerEvent | None], asyncio.AbstractEventLoop] = {}
        self._is_closed = False

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

    def close(self) -> None:
        """End all streams; later ones end at once."""
        with self._lock:
            self._is_closed = True
            self._tell(None)

    @property
    def is_closed(self) -> bool:
        """Whether the server is ending."""
        return self._is_closed

    async def listen(self, after: int | None = None) -> AsyncIterator[ServerEvent]:
        """Yield changes from now on, until the server ends.

        Args:
            after: Number of the last one that is known: what came since is yielded first, as far
                as it is still kept.

        Raises:
            RequestError: Too many listen.
        """
        queue: asyncio.Queue[ServerEvent | None] = asyncio.Queue()
        with self._lock:
            if self._is_closed:
                return
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
            self._listeners[queue] = asyncio.get_running_loop()
        try:
            while (coming := await queue.get()) is not None:
                yield coming
        finally:
            with self._lock:
                self._listeners.pop(queue, None)

    def _tell(self, event: ServerEvent | None) -> None:
        for queue, loop in list(self._listeners.items()):
            if queue.qsize() > _MOST_UNREAD:
                # It does not read: its stream ends, and it begins anew if it is still there.
                del self._listeners[queue]
                loop.call_soon_threadsafe(queue.put_nowait, None)
            else:
                loop.call_soon_threadsafe(queue.put_nowait, event)
