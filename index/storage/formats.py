"""The formats that index folders have had, and the steps from each to the next.

Format 1 is the only one that was released, so there is no step yet. When the layout of a
folder changes so that earlier releases would read it wrongly:

1. Raise ``FORMAT`` in ``header.py`` from n to n + 1.
2. Write the step and put it into ``STEPS`` under n. It is given the folder, whose writer lock
   is held, and the contents of ``index.json``, and returns what these become. It may add files
   and must leave alone those that format n needs: the folder has the new format once
   ``index.json`` is replaced, after the step and in one go. A kill before that leaves format n,
   and the step runs again, over whatever it left.
3. Keep an index of format n for the tests, before anything else changes: run
   ``python tests/index/formats/make.py`` with the last release that writes it, and commit the
   folder ``tests/index/formats/n``. ``test_formats.py`` beside it opens, searches, verifies and
   extends every one of them.

Files that readers may pass over, such as ``checksums.txt``, are no new format.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from earful.errors import IndexBusyError, IndexFolderError
from earful.index.storage import header
from earful.index.storage.lock import WriterLock

Step = Callable[[Path, Mapping[str, Any]], dict[str, Any]]
STEPS: dict[int, Step] = {}
"""By the format that a step begins with."""


def read_header(folder: Path) -> header.Header:
    """Read ``index.json``; an index of an older format is upgraded first.

    Raises:
        IndexFolderError: It is missing, damaged, of a newer format, or of an older one that
            cannot be upgraded.
        IndexBusyError: It is of an older format, and another process is writing.
    """
    values = header.read_values(folder)
    found = header.format_of(values)
    if found > header.FORMAT:
        raise IndexFolderError(
            f"{folder}: has index format {found}, written by earful "
            f"{values.get('earful', '?')}; this earful reads up to format {header.FORMAT}. "
            "Upgrade earful, or build the index anew"
        )
    if 0 < found < header.FORMAT:
        values = _upgrade(folder)
    return header.Header.from_values(values, folder)


def _upgrade(folder: Path) -> dict[str, Any]:
    """Bring an index folder of an older format to this one; tell so by a ``RuntimeWarning``.

    Returns:
        The contents of its ``index.json``.

    Raises:
        IndexFolderError: There is no way from its format, or it cannot be written; it is
            as it was.
        IndexBusyError: Another process is writing, or upgrading it too.
    """
    found = header.format_of(header.read_values(folder))
    try:
        with WriterLock(folder).held():
            # Another process may have been first.
            values: dict[str, Any] = header.read_values(folder)
            while (number := header.format_of(values)) < header.FORMAT:
                if number not in STEPS:
                    raise IndexFolderError(
                        f"{folder}: has index format {number}, and this earful knows no way from "
                        f"there to format {header.FORMAT}; build the index anew"
                    )
                step = STEPS[number](folder, values)
                values = {**step, "format": number + 1, "earful": version("earful")}
                header.write_values(folder, values)
    except IndexBusyError:
        raise
    except (IndexFolderError, OSError) as error:
        raise IndexFolderError(
            f"{folder}: has index format {found} and must be brought to format {header.FORMAT} "
            f"before it can be read, which failed ({error}); open a copy that can be written"
        ) from error
    warnings.warn(
        f"{folder}: was brought from index format {found} to {header.FORMAT}; earlier releases of "
        "earful do not read it any more",
        RuntimeWarning,
        stacklevel=4,
    )
    return values
