"""Kept replies and checks: what an endpoint answered, on the disk, so that nothing is asked twice.

A file holds one reply under the digest of all that was asked, the server and the model. It is
digested instead of flushed: one that is torn is asked for again.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from earful.model.runtime import earful_home
from earful.plain import json_digest
from earful.system import replace_file

_log = logging.getLogger(__name__)

DAY_S: Final = 86_400.0
"""How long a check is believed, in seconds."""


def replies_home() -> Path:
    """Return the folder of kept replies, in ``earful_home``."""
    return earful_home() / "replies"


def checks_home() -> Path:
    """Return the folder of kept checks, beside that of replies."""
    return earful_home() / "checks"


def digest_of(*parts: object) -> str:
    """Return the hex SHA-256 of plain JSON values."""
    return json_digest(parts)


class KeptFolder:
    """A folder of plain JSON values, each under a digest.

    Where the folder cannot be written, nothing is kept, and the log says so.

    Args:
        folder: It is made when something is first kept.
        believed_s: How long a value is believed, in seconds; ``None`` for ever.
    """

    def __init__(self, folder: Path, *, believed_s: float | None = None) -> None:
        self._folder = folder
        self._believed_s = believed_s

    def get(self, key: str) -> Any:
        """Return a value; ``None`` where there is none, or it is torn or too old."""
        try:
            held = json.loads(self._path(key).read_text(encoding="utf-8"))
            value, digest, at = held["value"], held["sha256"], float(held["at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        age_s = time.time() - at
        if self._believed_s is not None and not 0.0 <= age_s < self._believed_s:
            return None
        return value if digest == digest_of(value) else None

    def put(self, key: str, value: Any) -> None:
        """Keep a value, whole or not at all, whoever else writes it."""
        path = self._path(key)
        text = json.dumps({"sha256": digest_of(value), "at": time.time(), "value": value})
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with NamedTemporaryFile(
                "w", encoding="utf-8", dir=path.parent, prefix=".", suffix=".tmp", delete=False
            ) as file:
                try:
                    file.write(text)
                    file.close()
                    replace_file(file.name, path)
                except BaseException:
                    with suppress(OSError):
                        os.unlink(file.name)
                    raise
        except OSError as error:
            _log.warning(
                "%s: a reply cannot be kept, so it may be asked for again (%s)",
                path.parent,
                error.strerror,
            )

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"
