"""Forked processes: LanceDB's threads do not come along, so a child must not call it.

LanceDB 0.40 starts its threads anew in a child, and then hangs or ends the process about one time
in three (measured with a table that the parent had opened). A child whose parent has not used
LanceDB is fine, and so are rows that were read before the fork.
"""

from __future__ import annotations

import atexit
import gc
import os
from pathlib import Path
from types import BuiltinFunctionType

from earful.errors import IndexFolderError

_first_user = 0


def use_lance_here(folder: Path) -> None:
    """Note that this process calls LanceDB; refuse where the one it was forked from did.

    Args:
        folder: The index folder, for the message.

    Raises:
        IndexFolderError: It did.
    """
    global _first_user
    _first_user = _first_user or os.getpid()
    if _first_user != os.getpid():
        raise IndexFolderError(
            f"{folder}: cannot be read or written in a process made by os.fork() after its parent "
            "has opened an index, as LanceDB would hang or crash. Start workers with 'spawn' "
            "(multiprocessing.get_context('spawn')) and open the index in each; or let the "
            "parent read all rows before the fork, by index.vectors() and index.class_scores or "
            "by one question: then children can answer and search"
        )


def _shut_nothing_down() -> None:
    """Keep LanceDB from waiting, as the child ends, for threads that it does not have."""
    for found in gc.get_objects():
        # The function is registered while LanceDB is imported, and is offered nowhere.
        if isinstance(found, BuiltinFunctionType) and found.__module__ == "lancedb._lancedb":
            atexit.unregister(found)


def _end_well() -> None:
    if _first_user:
        # What is registered last is called first.
        atexit.register(_shut_nothing_down)


os.register_at_fork(after_in_child=_end_well)
