"""The probe: a store that does not keep writers apart is refused before the first write.

Some stores take a conditional write and ignore its condition. Two writers would then lose each
other's commits without any error.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Final

from earful.errors import StoreError
from earful.object_stores import Location, ObjectStore

_WRONG_ETAG: Final = '"00000000000000000000000000000000"'
_sound: set[tuple[str, str]] = set()


def require_conditional_writes(store: ObjectStore) -> None:
    """Refuse a store that writes over what it was told not to; each is asked once a process.

    Args:
        store: Where an index is to be written; the probe's object is removed again.

    Raises:
        StoreError: It accepted a write that it had to refuse, or cannot be asked.
    """
    if _place(store.location) in _sound:
        return
    name = f".probe-{secrets.token_hex(8)}"
    try:
        fault = _fault(store, name)
    finally:
        # A write that was refused has left nothing, and another fault says more than this one.
        with suppress(StoreError):
            store.delete([name])
    if fault:
        raise StoreError(
            f"{store.location}: the store {fault}, so that writers would lose each other's rows "
            "in silence; use a store with conditional writes, or a local folder"
        )
    _sound.add(_place(store.location))


def forget_probes() -> None:
    """Forget which stores were found sound."""
    _sound.clear()


def _fault(store: ObjectStore, name: str) -> str:
    first = store.create(name, b"first")
    if first is None:
        return "refuses to create an object that is not there"
    if store.create(name, b"second") is not None:
        return "created an object a second time (If-None-Match is ignored)"
    if store.replace(name, b"third", etag=_WRONG_ETAG) is not None:
        return "replaced an object of another version (If-Match is ignored)"
    if store.replace(name, b"fourth", etag=first) is None:
        return "refuses to replace an object whose version is right (If-Match)"
    return ""


def _place(location: Location) -> tuple[str, str]:
    return location.scheme, location.bucket
