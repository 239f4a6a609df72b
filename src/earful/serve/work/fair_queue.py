"""FairQueue: heavy calls one at a time, in turn between clients."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from earful.errors import ServeError
from earful.serve.work.turns import Turns

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
        self._turns = Turns()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="earful-heavy")

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def is_busy(self) -> bool:
        """Whether a call is running."""
        return self._turns.n_taken > 0

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
        if self.is_busy and len(self) >= self._max_waiting:
            raise QueueFullError(
                f"{len(self)} questions wait already, as many as may; ask again in a moment"
            )
        await self._turns.take(client)
        loop = asyncio.get_running_loop()
        call = functools.partial(function, *args, **options)
        try:
            running = loop.run_in_executor(self._thread, call)
        except BaseException:
            self._turns.give_back()
            raise
        # The thread goes on where its caller is gone, and keeps the turn until it ends.
        running.add_done_callback(self._ended)
        return await asyncio.shield(running)

    def close(self) -> None:
        """Drop what waits, and take no more."""
        self._turns.cancel_all()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ended(self, running: asyncio.Future[Result]) -> None:
        if not running.cancelled():
            running.exception()  # retrieved: its caller may be gone
        self._turns.give_back()
