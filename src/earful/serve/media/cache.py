"""ByteCache: what was made lately, kept in memory up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


class ByteCache(Generic[Kept]):
    """Cache that forgets what was not asked for the longest; safe with several threads.

    Args:
        most_bytes: Most bytes that are kept; a larger value is given and not kept.
        size_of: Bytes of a value.

    >>> cache = ByteCache(10, len)
    >>> cache.get("a", lambda: b"12345"), cache.get("a", lambda: b"never made")
    (b'12345', b'12345')
    """

    def __init__(self, most_bytes: int, size_of: Callable[[Kept], int]) -> None:
        self._most_bytes = most_bytes
        self._size_of = size_of
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        self._n_bytes = 0

    @property
    def n_bytes(self) -> int:
        """Bytes that are kept."""
        return self._n_bytes

    def find(self, key: Hashable) -> Kept | None:
        """Return what is kept under a key; ``None`` for nothing."""
        with self._lock:
            value = self._kept.get(key)
            if value is not None:
                self._kept.move_to_end(key)
            return value

    def get(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """Return what is kept under a key, or make it; two threads may make the same at once."""
        found = self.find(key)
        if found is not None:
            return found
        made = make()
        size = self._size_of(made)
        with self._lock:
            if key not in self._kept and size <= self._most_bytes:
                self._kept[key] = made
                self._n_bytes += size
                while self._n_bytes > self._most_bytes:
                    _, dropped = self._kept.popitem(last=False)
                    self._n_bytes -= self._size_of(dropped)
        return made
