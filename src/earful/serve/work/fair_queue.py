"""FairQueue: heavy calls one at a time, in turn between clients."""

from __future__ import annotations

import asyncio
import functools
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from earful.errors import ServeError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class QueueFullError(ServeError):
    """Too many calls wait already.

    Attributes:
        status: HTTP status of it.
        code: Name of it for programs.
    """

    status = 429
    code = "queue_full"


class FairQueue:
    """Queue of heavy calls: one runs at a time, in a thread, and clients take turns.

    A client that asks for a hundred things waits for none but its own next turn, and so does
    everybody else. A caller that is cancelled is dropped from the queue; a call that runs already
    runs to its end, and only then the next one begins. For one event loop at a time.

    Args:
        max_waiting: Most calls that wait.
    """

    def __init__(self, max_waiting: int = 256) -> None:
        self._max_waiting = max_waiting
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._is_running = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="earful-heavy")

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def is_busy(self) -> bool:
        """Whether a call is running."""
        return self._is_running

    async def run(
        self,
        function: Callable[..., Result],
        *args: object,
        client: str = "",
        **options: object,
    ) -> Result:
        """Run a function in a thread when it is its client's turn.

        Args:
            function: What to run.
            *args: Its arguments.
            client: Who asks; each client has one turn after the other.
            **options: Further arguments of the function, by name.

        Raises:
            QueueFullError: Too many calls wait.
        """
        await self._turn(client)
        loop = asyncio.get_running_loop()
        call = functools.partial(function, *args, **options)
        try:
            running = loop.run_in_executor(self._thread, call)
        except BaseException:
            self._release()
            raise
        # The thread goes on where its caller is gone, and keeps the turn until it ends.
        running.add_done_callback(self._ended)
        return await asyncio.shield(running)

    def close(self) -> None:
        """Drop what waits, and take no more."""
        for own in self._waiting.values():
            for turn in own:
                turn.cancel()
        self._waiting.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, client: str) -> None:
        """Wait for a client's turn, and take it."""
        if not self._is_running:
            self._is_running = True
            return
        if len(self) >= self._max_waiting:
            raise QueueFullError(
                f"{len(self)} questions wait already, as many as may; ask again in a moment"
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # the turn came and its caller went in the same moment
            else:
                self._drop(client, turn)
            raise

    def _ended(self, running: asyncio.Future[Result]) -> None:
        if not running.cancelled():
            running.exception()  # retrieved: its caller may be gone
        self._release()

    def _release(self) -> None:
        """Give the turn to the client that has waited longest since its last one."""
        while self._waiting:
            client, own = self._waiting.popitem(last=False)
            turn = own.popleft()
            if own:
                self._waiting[client] = own  # behind all others
            if not turn.done():
                turn.set_result(None)
                return
        self._is_running = False

    def _drop(self, client: str, turn: asyncio.Future[None]) -> None:
        own = self._waiting.get(client)
        if own is not None and turn in own:
            own.remove(turn)
            if not own:
                del self._waiting[client]
