"""From an address to a folder: where an index in a store lies on this machine, and its writer."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from earful.errors import StoreError
from earful.index.remote.fetching import FetchReport, fetch, fetch_held, offline_hint
from earful.index.remote.lease import Lease
from earful.index.remote.mirror import Mirror
from earful.index.remote.probe import require_conditional_writes
from earful.index.remote.publishing import PublishReport, publish
from earful.object_stores import ObjectStore, is_address, parse_location

_log = logging.getLogger(__name__)

PUBLISH_EVERY_S: Final = 120.0
"""How long a build's commits may wait before they are published."""


def local_folder(
    index: str | os.PathLike[str],
    *,
    on_fetch: Callable[[FetchReport], None] | None = None,
) -> Path:
    """Return the folder of an index: of one in a store its copy here, brought in step.

    Args:
        index: A folder, or an address such as ``s3://bucket/sounds.index``.
        on_fetch: Called with what bringing it in step took.

    Returns:
        The folder; it does not exist where the store has no index there.

    Raises:
        IndexFolderError: There is no room for the copy, or the store holds the index no more.
        StoreError: The address is malformed, the store cannot be asked, or an object is damaged.
    """
    if not is_address(index):
        return Path(os.fsdecode(index))
    location = parse_location(index)
    mirror = Mirror(location)
    try:
        report = fetch(mirror, ObjectStore(location))
    except StoreError as error:
        raise type(error)(f"{error}{offline_hint(mirror)}") from None
    if on_fetch is not None:
        on_fetch(report)
    # So that the folder is known as a mirror before anything is in it.
    if not mirror.folder.is_dir():
        mirror.write_state(mirror.state())
    return mirror.folder


def refresh_mirror(folder: Path) -> None:
    """Bring the copy of an index in a store in step; of another folder nothing.

    Raises:
        IndexFolderError: As ``local_folder``.
        StoreError: As ``local_folder``.
    """
    if (mirror := Mirror.at(folder)) is not None:
        fetch(mirror, ObjectStore(mirror.location), may_set_aside=False)


def name_of(folder: Path) -> str:
    """Return the address of an index whose copy a folder is; of another folder its path."""
    mirror = Mirror.at(folder)
    return str(folder if mirror is None else mirror.location)


class RemoteWriter:
    """The right to write an index in a store, for who holds the lock of its copy here.

    Args:
        mirror: The copy.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._store = ObjectStore(mirror.location)
        self._lease: Lease | None = None
        self._published = time.monotonic()

    def begin(self) -> None:
        """Take the lease, and bring the copy in step.

        Raises:
            IndexBusyError: Another writer has it.
            IndexFolderError: The copy holds changes that were never published, and others
                changed the index.
            StoreError: The store cannot be used.
        """
        require_conditional_writes(self._store)
        state = self._mirror.state()
        self._mirror.write_state(state)
        lease = Lease(self._store, state.id)
        lease.take()
        self._lease = lease
        try:
            fetch_held(self._mirror, self._store, may_set_aside=False)
        except BaseException:
            self._end()
            raise
        self._published = time.monotonic()

    def publish_if_due(self) -> None:
        """Publish what was committed, if the last time is long ago.

        Raises:
            IndexBusyError: The lease was lost, or another writer has published.
            StoreError: The store cannot be used.
        """
        if self._lease is not None:
            self._lease.require_held()
        if time.monotonic() - self._published >= PUBLISH_EVERY_S:
            self._publish()

    def finish(self) -> None:
        """Publish what was committed, and give the lease back.

        Raises:
            IndexBusyError: As ``publish_if_due``.
            StoreError: The store cannot be used.
        """
        try:
            self._publish()
        finally:
            self._end()

    def give_up(self) -> None:
        """Publish what was committed before an error, if that is possible."""
        try:
            self.finish()
        except Exception as error:
            _log.warning(
                "what was committed was not published, the next command that writes does it: %s",
                error,
            )

    def _publish(self) -> PublishReport:
        if self._lease is not None:
            self._lease.require_held()
        report = publish(self._mirror, self._store)
        self._published = time.monotonic()
        return report

    def _end(self) -> None:
        if self._lease is not None:
            self._lease.give_back()
            self._lease = None
