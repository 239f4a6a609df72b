"""What LanceDB raises, told as this package's own errors."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from earful.errors import EarfulError, IndexFolderError
from earful.wording import as_argument


@contextmanager
def errors_named(folder: Path) -> Iterator[None]:
    """Turn what a block raises of LanceDB's into an error that names the index folder.

    Raises:
        IndexFolderError: The disk is full or read-only, or a file is damaged or gone.
    """
    try:
        yield
    except BaseException as error:
        if not is_lance_error(error):
            raise
        reason = lance_reason(error)
        if "No space left" in reason or "Disk quota exceeded" in reason:
            raise IndexFolderError(
                f"{folder}: the disk is full, {shutil.disk_usage(folder).free:,} bytes are free; "
                "what was committed is kept. Free some space and run the same command again"
            ) from error
        if any(sign in reason for sign in ("Permission denied", "Read-only", "File too large")):
            raise IndexFolderError(
                f"{folder}: cannot be written ({shortened(reason)}); want a folder that can be"
            ) from error
        raise IndexFolderError(
            f"{folder}: its table cannot be used ({shortened(reason)}). Where a file is damaged, "
            f"`earful index verify {as_argument(folder)} --repair` keeps what is whole and embeds "
            "the rest again"
        ) from error


def is_lance_error(error: BaseException) -> bool:
    """Tell whether an exception may be LanceDB's; a damaged file can also make it panic."""
    if isinstance(error, EarfulError):
        return False
    # The class of a panic derives from BaseException, and can be had from nowhere.
    return isinstance(error, RuntimeError | OSError | ValueError) or type(
        error
    ).__module__.startswith("pyo3")


def lance_reason(error: BaseException | str) -> str:
    """Return what LanceDB says of an error in one line, without the names of its sources.

    >>> lance_reason(RuntimeError("lance error: Not found: x.lance, /root/.cargo/a.rs:273:40"))
    'Not found: x.lance'
    """
    reason = re.split(r", /\S+\.rs:\d", " ".join(str(error).split()))[0]
    return reason.removeprefix("lance error: ").removeprefix("LanceError(IO): ")


def shortened(text: str) -> str:
    """Return the beginning of a text that may be long."""
    return text if len(text) <= 200 else f"{text[:200]}…"
