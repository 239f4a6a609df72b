"""Turns: a few places, which clients take in turn."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque


class Turns:
    """Places for work that goes on at once; clients that wait are let in in turn.

    A client that wants a hundred places waits for none but its own next turn, and so does
    everybody else. Whoever is cancelled while waiting is dropped. For one event loop at a time.

    Args:
        n_places: Most places that are taken at once.
    """

    def __init__(self, n_places: int = 1) -> None:
        self._n_free = n_places
        self._n_taken = 0
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def n_taken(self) -> int:
        """Places that are taken."""
        return self._n_taken

    async def take(self, client: str = "") -> None:
        """Wait for a client's turn, and take a place; ``give_back`` has to follow.

        Args:
            client: Who wants it.
        """
        if self._n_free:
            self._n_free -= 1
            self._n_taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()  # the turn came and its caller went in the same moment
            else:
                self._drop(client, turn)
            raise

    def give_back(self) -> None:
        """Give a place to the client that has waited longest since its last turn."""
        while self._waiting:
            client, own = self._waiting.popitem(last=False)
            turn = own.popleft()
            if own:
                self._waiting[client] = own  # behind all others
            if not turn.done():
                turn.set_result(None)
                return
        self._n_free += 1
        self._n_taken -= 1

    def cancel_all(self) -> None:
        """Cancel all that wait."""
        for own in self._waiting.values():
            for turn in own:
                turn.cancel()
        self._waiting.clear()

    def _drop(self, client: str, turn: asyncio.Future[None]) -> None:
        own = self._waiting.get(client)
        if own is not None and turn in own:
            own.remove(turn)
            if not own:
                del self._waiting[client]
