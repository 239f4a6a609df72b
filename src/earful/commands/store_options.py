"""Options that may lead to an object store: the index, and how stores are reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.wording import as_argument, counted

if TYPE_CHECKING:
    from earful.index.remote import FetchReport

STORAGE_OPTION = "--storage-option"
_ADDRESS = "://"


def index_path(given: str) -> Path:
    """Return the folder of an index that was typed: of one in a store its copy on this machine."""
    if _ADDRESS not in given:
        return Path(given)
    from earful.index.remote import local_folder

    return local_folder(given, on_fetch=lambda report: _tell(given, report))


def _tell(address: str, report: FetchReport) -> None:
    if report.set_aside is not None:
        console.warn(
            f"note: {address} was changed by others, and its copy here held changes that were "
            f"never published; they are an index of their own: {as_argument(report.set_aside)}"
        )
    if report.n_files:
        console.warn(
            f"note: fetched {counted(report.n_files, 'file')}, {report.size_bytes / 1e6:.1f} MB, "
            f"of {address}"
        )
    if report.n_unpublished:
        console.warn(
            f"note: the copy of {address} on this machine holds changes that are not published "
            "yet, as after an interruption; the next command that writes publishes them"
        )


IndexOption = Annotated[
    Path,
    typer.Option(
        "--index",
        "-i",
        help="Index folder, or its address, such as s3://bucket/sounds.index.",
        metavar="DIR",
        show_default=False,
        parser=index_path,
    ),
]
OptionalIndexOption = Annotated[
    Path | None,
    typer.Option(
        "--index",
        "-i",
        help="Index folder, or its address; a task with examples needs none.",
        metavar="DIR",
        parser=index_path,
    ),
]
IndexArgument = Annotated[
    Path,
    typer.Argument(help="Index folder, or its address.", metavar="INDEX", parser=index_path),
]
StorageOptions = Annotated[
    list[str],
    typer.Option(
        STORAGE_OPTION,
        metavar="KEY=VALUE",
        envvar="EARFUL_STORAGE_OPTIONS",
        help="How object stores are reached, such as endpoint=https://s3.example.org or "
        "region=eu-central-1; never a secret. Repeatable, anywhere in the command.",
    ),
]


def set_options(given: Sequence[str]) -> None:
    """Take the storage options that were typed, as ``KEY=VALUE`` each.

    Raises:
        typer.BadParameter: One has no ``=``.
        StoreError: One is unknown, a secret, or cannot be read.
    """
    if not given:
        return
    from earful.object_stores import set_storage_options

    options = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            raise typer.BadParameter(
                f"expected KEY=VALUE, such as region=eu-central-1, got {name!r}",
                param_hint=STORAGE_OPTION,
            )
        options[name] = value
    set_storage_options(options)


def storage_options_first(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with storage options before the command.

    >>> storage_options_first(["index", "info", "s3://b/x", "--storage-option", "region=eu"])
    ['--storage-option', 'region=eu', 'index', 'info', 's3://b/x']
    """
    first, others = list[str](), list(words)
    place = 0
    while place < len(others) and others[place] != "--":
        word = others[place]
        if word == STORAGE_OPTION:
            first += others[place : place + 2]
            del others[place : place + 2]
        elif word.startswith(f"{STORAGE_OPTION}="):
            first.append(others.pop(place))
        else:
            place += 1
    return first + others
