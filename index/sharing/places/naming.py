"""Names of places: a data set of a hub with its revision, or a folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from earful.errors import SharingError
from earful.index.sharing.places.folder import FolderPlace
from earful.index.sharing.places.hub import HubPlace
from earful.index.sharing.places.place import Place
from earful.wording import quoted

_NAME: Final = re.compile(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}", re.ASCII)
_REVISION: Final = re.compile(r"[\w][\w./-]{0,199}", re.ASCII)


def place_of(text: str) -> tuple[Place, str]:
    """Return the place that a text names, and the revision behind ``@``.

    Args:
        text: ``ORG/NAME``, ``ORG/NAME@REVISION``, or a folder that begins with ``./``, ``../``,
            ``~`` or ``/``.

    Raises:
        SharingError: It names neither.

    >>> place, revision = place_of("ada/sounds@v1")
    >>> place.name, revision
    ('ada/sounds', 'v1')
    """
    if text.startswith(("/", "./", "../", "~")) or text in (".", ".."):
        return FolderPlace(Path(text).expanduser().absolute()), ""
    if text.startswith(("s3:", "gs:", "az:")):
        raise SharingError(
            f"{quoted(text)}: is in an object store, where an index is used by its address: "
            f"--index {text}; expected ORG/NAME of a data set on the hub, or a folder"
        )
    name, at, revision = text.removeprefix("hf://").removeprefix("datasets/").partition("@")
    if not _NAME.fullmatch(name) or ".." in name or "--" in name or name.endswith(".git"):
        raise SharingError(
            f"{quoted(text)}: expected ORG/NAME of a data set on the hub, or a folder that begins "
            "with ./ or /"
        )
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise SharingError(
            f"{quoted(text)}: expected a branch, tag or commit behind @, got {quoted(revision)}"
        )
    return HubPlace(name), revision
