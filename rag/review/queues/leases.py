"""Leases: an item that one reviewer looks at is kept from the others for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from earful.errors import ReviewError
from earful.values import short_repr
from earful.wording import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who looks at an item.

    Attributes:
        reviewer: Their name.
        client: The page that asked, as one reviewer may have several open.
        until: When it ends, in seconds since 1970.
    """

    reviewer: str
    client: str
    until: float

    __repr__ = short_repr


class LeasedError(ReviewError):
    """Another reviewer, or another page, is looking at the item.

    Attributes:
        item: Its id.
        lease: Who has it.
    """

    def __init__(self, item: str, lease: Lease, *, own: bool) -> None:
        who = (
            f"{quoted(lease.reviewer)} in another window"
            if own
            else f"the reviewer {quoted(lease.reviewer)}"
        )
        super().__init__(
            f"item {item}: is being looked at by {who}; expected one that nobody has; take the "
            "next item, or wait two minutes"
        )
        self.item, self.lease = item, lease


class Leases:
    """Leases in memory; a caller that uses several threads guards it.

    Args:
        seconds: How long one lasts.
        clock: Tells seconds since 1970.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._leases: dict[str, Lease] = {}

    def take(self, item: str, reviewer: str, client: str) -> Lease:
        """Take an item, or take it for longer.

        Raises:
            LeasedError: Another has it.
        """
        self.require(item, reviewer, client)
        lease = Lease(reviewer=reviewer, client=client, until=self._clock() + self._seconds)
        # The newest last, so that those held are in the order in which they were taken.
        self._leases.setdefault(item, lease)
        self._leases[item] = lease
        return lease

    def require(self, item: str, reviewer: str, client: str) -> None:
        """Refuse an item that another has.

        Raises:
            LeasedError: Another has it.
        """
        lease = self.of(item)
        if lease is not None and (lease.reviewer, lease.client) != (reviewer, client):
            raise LeasedError(item, lease, own=lease.reviewer == reviewer)

    def of(self, item: str) -> Lease | None:
        """Return who has an item; ``None`` for nobody."""
        lease = self._leases.get(item)
        if lease is not None and lease.until <= self._clock():
            del self._leases[item]
            return None
        return lease

    def held(self, reviewer: str, client: str) -> list[str]:
        """Return the items of one reviewer and page, in the order in which they were taken."""
        return [
            item
            for item in list(self._leases)
            if (lease := self.of(item)) and (lease.reviewer, lease.client) == (reviewer, client)
        ]

    def end(self, items: Iterable[str]) -> None:
        """End the leases of some items."""
        for item in items:
            self._leases.pop(item, None)

    def release(self, client: str) -> list[str]:
        """End all leases of a page, and return their items."""
        ended = [item for item, lease in self._leases.items() if lease.client == client]
        self.end(ended)
        return ended
