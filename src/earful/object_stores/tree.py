"""The tree: paths on this machine that stand for objects, so that they can be named like files.

``CACHE/stores/tree/s3/bucket/key`` stands for ``s3://bucket/key``. Recordings there are empty;
what reads one asks ``local_copy`` for its bytes. Tables lie there as they are.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from earful.object_stores.cache_folder import store_cache
from earful.object_stores.location import SCHEMES, Location, parse_location

_TREE: Final = "tree"
_MARK: Final = f"{os.sep}stores{os.sep}{_TREE}{os.sep}"
_ADDRESSES: Final = tuple(f"{scheme}:/" for scheme in SCHEMES)


def stored_path(location: Location) -> Path:
    """Return the path that stands for an address."""
    place = store_cache() / _TREE / location.scheme / location.bucket
    return place / location.key if location.key else place


def location_at(path: str | os.PathLike[str] | bytes) -> Location | None:
    """Return what a path stands for; ``None`` for a file of this machine.

    Args:
        path: A path of the tree, or an address itself.

    Raises:
        StoreError: It is a malformed address.
    """
    text = path if isinstance(path, bytes) else os.fspath(path)
    if not isinstance(text, str):
        return None
    if text.startswith(_ADDRESSES):
        return parse_location(text)
    if _MARK not in text:
        return None
    tree = str(store_cache() / _TREE) + os.sep
    if not text.startswith(tree):
        return None
    scheme, bucket, *parts = [*text[len(tree) :].split(os.sep), ""]
    if scheme not in SCHEMES or not bucket:
        return None
    return Location(scheme=scheme, bucket=bucket, key="/".join(parts).rstrip("/"))


def shown_path(path: str | os.PathLike[str]) -> str:
    """Return a path for a message: of one that stands for an object its address."""
    location = location_at(path)
    return str(os.fspath(path) if location is None else location)
