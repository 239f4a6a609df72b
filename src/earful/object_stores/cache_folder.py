"""The cache folder: where copies of what lies in object stores are kept on this machine."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from earful.system import cache_folder


def store_cache() -> Path:
    """Return the folder, without links in its path; it need not exist.

    ``EARFUL_CACHE`` names another place than the user's cache.
    """
    given = os.environ.get("EARFUL_CACHE")
    return (_resolved(given) if given else _of_user()) / "stores"


@cache
def _resolved(given: str) -> Path:
    return Path(os.path.realpath(given))


def _of_user() -> Path:
    return _resolved(str(cache_folder()))
