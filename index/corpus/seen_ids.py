"""Duplicate detection over millions of ids, with 16 to 32 bytes for each."""

from __future__ import annotations

import hashlib
from array import array

_FIRST_SLOTS = 1024


class SeenIds:
    """Hash table of the ids met so far, with open addressing and linear probing.

    It holds the 64-bit hash of an id and nothing else: a set of Python integers would take
    three to four times as much, a set of the texts a hundred bytes and more.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._n = 0

    def add(self, id_: str) -> bool:
        """Add an id, and return whether it, or another with the same hash, was there before."""
        digest = hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        # 0 marks an empty slot.
        key = int.from_bytes(digest, "little") or 1
        if 2 * self._n >= len(self._slots):
            self._grow()
        slot = self._find_slot(key)
        if self._slots[slot]:
            return True
        self._slots[slot] = key
        self._n += 1
        return False

    def _grow(self) -> None:
        """Double the table, so that at most half of it is in use."""
        before, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
        for key in before:
            if key:
                self._slots[self._find_slot(key)] = key

    def _find_slot(self, key: int) -> int:
        """Return the slot that holds a key, or the empty one where it belongs."""
        mask = len(self._slots) - 1
        slot = key & mask
        while (found := self._slots[slot]) and found != key:
            slot = (slot + 1) & mask
        return slot
