"""Where each system keeps what an application can fetch or compute again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    r"""Return the user's folder for earful: ``$XDG_CACHE_HOME/earful``, or the system's place.

    ``~/.cache/earful`` on Linux, ``~/Library/Caches/earful`` on macOS,
    ``%LOCALAPPDATA%\earful\Cache`` on Windows. It is not made.
    """
    # platformdirs ignores a relative one, as the specification wants; earful has always taken it.
    if sys.platform.startswith("linux") and (cache := os.environ.get("XDG_CACHE_HOME")):
        return Path(cache) / "earful"
    import platformdirs

    return platformdirs.user_cache_path("earful", appauthor=False)
