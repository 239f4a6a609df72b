"""Layout of a shared index: which files it consists of, where they may lie, and how large they are.

::

    ORG/NAME
        README.md         the card (card.py)
        index.json        as in any index; its roots are relative and lie inside
        checksums.txt     the digest of every file of the table
        table/            one version of the table
        shared.json       rows, digest and counts (records.py)
        audio/N/          recordings of corpus root N, where they were shared
        ATTRIBUTION.csv   who made them, where they were shared

Whatever else lies there is left out by a pull: caches and lists of a stranger's are not used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from earful.errors import SharingError
from earful.index.storage import CHECKSUMS_NAME, HEADER_NAME, TABLE_FOLDER, manifest_names
from earful.system import folded_name
from earful.wording import quoted

CARD_NAME: Final = "README.md"
SHARED_NAME: Final = "shared.json"
PULLED_NAME: Final = "pulled.json"
ATTRIBUTION_NAME: Final = "ATTRIBUTION.csv"
AUDIO_FOLDER: Final = "audio"
# Where rows whose recordings stay behind look for them; such a folder never comes.
KEPT_FOLDER: Final = "not-shared"
REQUIRED: Final = (HEADER_NAME, CHECKSUMS_NAME, SHARED_NAME)

_SMALL: Final = (*REQUIRED, CARD_NAME, ATTRIBUTION_NAME)
_TABLE: Final = re.compile(
    rf"{TABLE_FOLDER}/exemplars\.lance/"
    r"(?:data/[\w-]+\.lance|_versions/[0-9]{20}\.manifest|_transactions/[\w-]+\.txn)"
)
_AUDIO: Final = re.compile(rf"{AUDIO_FOLDER}/[0-9]+/.+", re.DOTALL)
_MOST_CHARACTERS: Final = 1024
_MOST_OF_A_NAME: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFile:
    """A file of a shared index, as its place lists it.

    Attributes:
        name: Path from the place's root, with forward slashes.
        n_bytes: Its size.
        sha256: Hex digest of its bytes; empty where the place states none.
    """

    name: str
    n_bytes: int
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullLimits:
    """Most that a pull takes from a stranger.

    Attributes:
        max_bytes: All files together.
        max_files: Number of files.
        max_small_bytes: Size of each file that is no part of the table and no recording.
    """

    max_bytes: int = 100 * 10**9
    max_files: int = 1_000_000
    max_small_bytes: int = 64 * 10**6

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_files", "max_small_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected 1 or more")


def is_part(name: str) -> bool:
    """Tell whether a file is a part of a shared index.

    >>> is_part("audio/0/dog/1.wav"), is_part("features/x.npy"), is_part("index.json")
    (True, False, True)
    """
    return name in _SMALL or bool(_TABLE.fullmatch(name) or _AUDIO.fullmatch(name))


def path_fault(name: str) -> str:
    """Explain why a path cannot be trusted to stay in its folder on every system; empty if it can.

    >>> path_fault("audio/0/dog.wav"), path_fault("audio/../../etc/passwd")
    ('', "has a part '..'")
    """
    if not name or len(name) > _MOST_CHARACTERS:
        return f"has {len(name)} characters, expected 1 to {_MOST_CHARACTERS}"
    if odd := [c for c in name if not c.isprintable() or c in '\\:*?"<>|']:
        return f"holds the character U+{ord(odd[0]):04X}"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return f"has a part {part!r}"
        if part.lower() in (".git", ".cache", ".huggingface") or part.endswith((" ", ".")):
            return f"has a part {part!r}, which not every system can hold"
        if len(part.encode("utf-8", "surrogatepass")) > _MOST_OF_A_NAME:
            return "has a part of more than 255 bytes"
    return ""


def require_files(
    listed: Iterable[SharedFile], where: str, limits: PullLimits
) -> tuple[tuple[SharedFile, ...], tuple[str, ...]]:
    """Check what a place lists, before anything is fetched.

    Args:
        listed: All files of the place.
        where: The place, for errors.
        limits: Most to take.

    Returns:
        The files that make a shared index, and the names of all others.

    Raises:
        SharingError: A path leads out, a file is missing or given twice, or there is too much.
    """
    parts: dict[str, SharedFile] = {}
    others: list[str] = []
    seen: set[str] = set()
    for file in listed:
        if fault := path_fault(file.name):
            raise SharingError(
                f"{where}: the path {quoted(file.name)} {fault}; nothing was pulled. Tell whoever "
                "pushed it"
            )
        # On some systems such names are one file.
        if (folded := folded_name(file.name)) in seen:
            raise SharingError(f"{where}: {quoted(file.name)} occurs twice; nothing was pulled")
        seen.add(folded)
        if len(seen) > limits.max_files:
            raise SharingError(
                f"{where}: has more than {limits.max_files:,} files; nothing was pulled"
            )
        if not is_part(file.name):
            others.append(file.name)
            continue
        if file.name in _SMALL and file.n_bytes > limits.max_small_bytes:
            raise SharingError(
                f"{where}: {file.name} has {file.n_bytes:,} bytes, expected at most "
                f"{limits.max_small_bytes:,}; nothing was pulled"
            )
        parts[file.name] = file
    if missing := [name for name in REQUIRED if name not in parts]:
        raise SharingError(
            f"{where}: is no index that `earful index push` made: it has no {missing[0]}"
        )
    if (total := sum(file.n_bytes for file in parts.values())) > limits.max_bytes:
        raise SharingError(
            f"{where}: has {total:,} bytes, more than the {limits.max_bytes:,} allowed; if you "
            "want it all the same, give --max-gb"
        )
    return tuple(parts[name] for name in sorted(parts)), tuple(sorted(others))


def files_of_share(folder: Path) -> tuple[SharedFile, ...]:
    """List the files of a folder without following links.

    Raises:
        SharingError: A link, or what is no file, lies among them.
        OSError: The folder cannot be read.
    """
    found: list[SharedFile] = []
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink() or (name in names and not path.is_file()):
                raise SharingError(
                    f"{folder}: {quoted(str(path.relative_to(folder)))} is a link or no file; "
                    "expected files and folders only"
                )
        for name in names:
            path = Path(parent, name)
            inside = path.relative_to(folder).as_posix()
            found.append(SharedFile(name=inside, n_bytes=path.stat().st_size))
    return tuple(sorted(found, key=lambda file: file.name))


def the_manifest(folder: Path) -> Path:
    """Return the only manifest of a shared index's table.

    Raises:
        SharingError: There is none, or more than one.
    """
    names = manifest_names(folder)
    if len(names) != 1:
        raise SharingError(
            f"{folder}: its table has {len(names)} versions, expected 1; it was not made by "
            "`earful index push`"
        )
    return folder / names[0]
