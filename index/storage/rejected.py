"""``rejected.jsonl``: recordings that the last build could not embed, with the reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from earful.errors import IndexFolderError
from earful.index.corpus import Rejection
from earful.index.storage.header import write_text

REJECTED_NAME = "rejected.jsonl"


def read_rejections(folder: Path) -> tuple[Rejection, ...]:
    """Read the list of an index folder; empty when there is none.

    Raises:
        IndexFolderError: The list is damaged.
    """
    path = folder / REJECTED_NAME
    try:
        # Split at newlines only: a file name may hold any other separator of lines.
        lines = path.read_bytes().decode("utf-8", errors="surrogatepass").split("\n")
        return tuple(Rejection.from_dict(json.loads(line)) for line in lines if line)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise IndexFolderError(
            f"{path}: is damaged ({error}); remove it, the next build writes a new one"
        ) from error


def write_rejections(folder: Path, rejections: Sequence[Rejection]) -> None:
    """Replace the list atomically.

    Raises:
        IndexFolderError: It cannot be written.
    """
    lines = [
        json.dumps(
            {**rejection.to_dict(), "root": rejection.root, "stretch": rejection.stretch},
            ensure_ascii=False,
        )
        for rejection in rejections
    ]
    write_text(folder / REJECTED_NAME, "".join(f"{line}\n" for line in lines))
