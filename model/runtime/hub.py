"""Files of a model hub: fetched once, kept in its cache, found there when offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from earful.errors import MissingExtraError, ModelError


def fetch(
    name: str, *, revision: str = "", files: Sequence[str], one_of: Sequence[str] = ()
) -> Path:
    """Get files of a hub id, from the cache where it has them.

    ``HF_HOME``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN`` are honoured.

    Args:
        name: Hub id, ``owner/name``.
        revision: Branch, tag or commit; empty for the main branch.
        files: Names of the files wanted; those it lacks are left out.
        one_of: Names of files that stand for each other, such as its weights in several
            formats; the first that it has is fetched, and one must be had.

    Returns:
        The folder of the resolved commit, named after it.

    Raises:
        ModelError: The hub cannot be reached, or knows no such id or revision.
        MissingExtraError: The extra ``clap`` is not installed.
    """
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError(
            f"{name} needs {error.name!r}: pip install 'earful[clap]'"
        ) from error
    failure: Exception | None = None
    for choice in [[file] for file in one_of] or [[]]:
        try:
            folder = Path(
                snapshot_download(name, revision=revision or None, allow_patterns=[*files, *choice])
            )
        except LocalEntryNotFoundError as error:
            failure = error  # the cache may hold the next choice
        except Exception as error:  # of the HTTP library too, and which that is changes
            failure = error
            break
        else:
            if all((folder / file).is_file() for file in choice):
                return folder
    reason = (
        str(failure).strip().split("\n")[0] if failure else f"it has none of {', '.join(one_of)}"
    )
    raise ModelError(
        f"{name}{f' at {revision}' if revision else ''}: cannot be had from the hub, nor from "
        f"the cache in {constants.HF_HUB_CACHE}: {reason}. Give the path of a local folder "
        "with its files, or use 'earful-tiny', which needs no download"
    ) from failure
