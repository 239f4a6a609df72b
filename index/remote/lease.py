"""The lease: one writer of an index at a time, by ``.lock``, an object with holder and expiry.

A conditional write takes it, another one renews it while the writer works, and a last one gives
it back. Where a writer is killed, it runs out; the copy on this machine may take it up at once.
It keeps people from doing work twice. What keeps the index whole is the conditional write of its
manifest, which also holds where clocks differ.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from earful.errors import IndexBusyError, StoreError
from earful.index.remote.manifest import now, time_of
from earful.object_stores import MissingObjectError, ObjectStore
from earful.wording import printable

_log = logging.getLogger(__name__)

LEASE_NAME: Final = ".lock"
LEASE_S: Final = 120.0
# A stranger's clock may be wrong by as much.
_GRACE_S: Final = 60.0
_MAX_BYTES: Final = 4096


class Lease:
    """The right to write an index in a store.

    Args:
        store: The index's address.
        mirror_id: Of the copy on this machine, whose lock the caller holds: a lease that it left
            behind belongs to nobody any more.
        lease_s: How long it holds without being renewed, in seconds.
    """

    def __init__(self, store: ObjectStore, mirror_id: str, *, lease_s: float = LEASE_S) -> None:
        self._store = store
        self._mirror_id = mirror_id
        self._lease_s = lease_s
        self._since = now()
        self._etag = ""
        self._fault = ""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Take it, and renew it from now on in a thread of its own.

        Raises:
            IndexBusyError: Another writer has it; the message names it.
            StoreError: The store cannot be asked.
        """
        etag = self._store.create(LEASE_NAME, self._content())
        if etag is None:
            etag = self._take_over()
        self._etag = etag
        self._thread = threading.Thread(
            target=self._renew_until_ended, name="earful-lease", daemon=True
        )
        self._thread.start()

    def require_held(self) -> None:
        """Refuse to go on where it was lost.

        Raises:
            IndexBusyError: It could not be renewed, and somebody else may write.
        """
        is_renewed = self._thread is not None and self._thread.is_alive()
        if not (self._fault or is_renewed or self._ended.is_set()):
            self._fault = "nothing renews it any more"
        if self._fault:
            raise IndexBusyError(
                f"{self._store.location}: the right to write was lost ({self._fault}); what was "
                "committed is kept in the copy on this machine. Run the command again"
            )

    def give_back(self) -> None:
        """Stop renewing it, and let others take it.

        A store that cannot be asked is only logged: the lease runs out by itself.
        """
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._fault:
            return
        try:
            self._store.replace(LEASE_NAME, self._content(is_free=True), etag=self._etag)
        except StoreError as error:
            _log.warning("the lease was not given back: %s", error)

    # --- private ---------------------------------------------------------------------------

    def _take_over(self) -> str:
        try:
            found = self._store.read(LEASE_NAME, max_bytes=_MAX_BYTES)
        except MissingObjectError:
            found = None
        if found is not None:
            data, etag = found
            holder = _read(data)
            if not self._is_over(holder):
                raise self._busy(holder)
            taken = self._store.replace(LEASE_NAME, self._content(), etag=etag)
            if taken is not None:
                return taken
        raise IndexBusyError(
            f"{self._store.location}: another writer took it just now; wait for it, the index can "
            "be searched in the meantime"
        )

    def _is_over(self, holder: dict[str, Any]) -> bool:
        is_ours = (holder.get("mirror"), holder.get("host")) == (self._mirror_id, _host())
        if holder.get("free") is True or is_ours:
            return True
        try:
            expires = time_of(str(holder["expires"]))
        except (KeyError, ValueError):
            return True  # no lease that anybody could renew
        return datetime.now(UTC) > expires + timedelta(seconds=_GRACE_S)

    def _busy(self, holder: dict[str, Any]) -> IndexBusyError:
        who = (
            f"process {holder.get('pid', '?')} on {holder.get('host', '?')} since "
            f"{holder.get('since', '?')}"
        )
        return IndexBusyError(
            f"{self._store.location}: is being written by {printable(who[:300])}; wait for it, the "
            f"index can be searched in the meantime. If it was killed, its right to write ends "
            f"{int(self._lease_s + _GRACE_S)} s after its last sign of life"
        )

    def _content(self, *, is_free: bool = False) -> bytes:
        expires = datetime.now(UTC) + timedelta(seconds=self._lease_s)
        values = {
            "free": is_free,
            "pid": os.getpid(),
            "host": _host(),
            "since": self._since,
            "expires": expires.isoformat(timespec="seconds"),
            "mirror": self._mirror_id,
            "nonce": secrets.token_hex(8),
        }
        return json.dumps(values).encode()

    def _renew_until_ended(self) -> None:
        until = datetime.now(UTC) + timedelta(seconds=self._lease_s)
        while not self._ended.wait(self._lease_s / 4):
            try:
                etag = self._store.replace(LEASE_NAME, self._content(), etag=self._etag)
            except Exception as error:  # of whatever kind: the holder must not go on unknowing
                said = str(error) if isinstance(error, StoreError) else repr(error)
                if datetime.now(UTC) > until:
                    self._fault = said
                    return
                _log.warning("the lease was not renewed, it is tried again: %s", said)
                continue
            if etag is None:
                self._fault = "another writer has taken it"
                return
            self._etag = etag
            until = datetime.now(UTC) + timedelta(seconds=self._lease_s)


def _read(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _host() -> str:
    return socket.gethostname()
