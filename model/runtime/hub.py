"""Model hub: small files fetched once, cached, and found in the cache when offline."""

from __future__ import annotations

import importlib.util
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from earful.errors import ModelError
from earful.model.names import DEFAULT_EMBEDDER
from earful.system import cache_folder

_NO = ("", "0", "false", "off", "no")
# Of httpx, and of requests, where a response is missing.
_NOT_REACHED = frozenset({"TransportError", "RequestException"})


def earful_home() -> Path:
    """Return the folder of what is fetched and kept: ``$EARFUL_HOME``, or in the user's cache."""
    own = os.environ.get("EARFUL_HOME")
    return Path(own) if own else cache_folder()


def models_home() -> Path:
    """Return the folder of fetched models, in ``earful_home``."""
    return earful_home() / "models"


def place_on_hub(name: str, *, one_of: Sequence[str]) -> Literal["cache", "hub", ""]:
    """Describe where the weights of a hub id come from, without asking the network.

    Args:
        name: Hub id, ``owner/name``.
        one_of: Names of files that can replace each other.

    Returns:
        ``"cache"`` where one of the files is cached; ``"hub"`` where nothing forbids to look for
        it there (``HF_HUB_OFFLINE``); else ``""``.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        return ""
    from huggingface_hub import try_to_load_from_cache

    if any(isinstance(try_to_load_from_cache(name, file), str) for file in one_of):
        return "cache"
    is_offline = os.environ.get("HF_HUB_OFFLINE", "").lower() not in _NO
    return "" if is_offline else "hub"


def hub_trouble(error: BaseException, endpoint: str = "") -> str:
    """Return why the hub was not reached, in a line; empty where it answered.

    Args:
        error: What the hub's client raised. Which HTTP library is below it changes, and its errors
            with it, so that they are known by what they come from.
        endpoint: Address of the hub; empty for the client's own.
    """
    from huggingface_hub import constants

    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(getattr(getattr(one, "response", None), "status_code", 0) for one in chain):
        return ""
    for one in reversed(chain):
        names = {base.__name__ for base in type(one).__mro__}
        if isinstance(one, ConnectionError | TimeoutError | socket.gaierror | ssl.SSLError) or (
            names & _NOT_REACHED
        ):
            why = str(one).strip().partition("\n")[0] or type(one).__name__
            where = endpoint or constants.ENDPOINT
            return f"{where} cannot be reached ({why}); check the network"
    return ""


def fetch_from_hub(
    name: str, *, revision: str = "", files: Sequence[str], one_of: Sequence[str] = ()
) -> Path:
    """Fetch files of a hub id, or find them in the cache.

    ``HF_HOME``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN`` are honoured.

    Args:
        name: Hub id, ``owner/name``.
        revision: Branch, tag or commit; empty for the main branch.
        files: Names of files to fetch; those that the hub id lacks are left out.
        one_of: Names of files that can replace each other, such as its weights in several
            formats; the first that exists is fetched, and at least one must exist.

    Returns:
        The folder of the resolved commit, named after it.

    Raises:
        ModelError: The hub cannot be reached, or knows no such id or revision.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    failure: Exception | None = None
    for choice in [[file] for file in one_of] or [[]]:
        try:
            folder = Path(
                snapshot_download(name, revision=revision or None, allow_patterns=[*files, *choice])
            )
        except LocalEntryNotFoundError as error:
            failure = error  # the cache may hold the next choice
        except Exception as error:  # also the HTTP library's own, and which library that is changes
            failure = error
            break
        else:
            if all((folder / file).is_file() for file in choice):
                return folder
    if failure is None:
        reason = f"it has none of {', '.join(one_of)}"
    else:
        reason = hub_trouble(failure) or str(failure).strip().split("\n")[0]
    raise ModelError(
        f"{name}{f' at {revision}' if revision else ''}: found neither on the hub nor in the "
        f"cache {constants.HF_HUB_CACHE}: {reason}. Give the path of a local folder with its "
        f"files, or use {DEFAULT_EMBEDDER!r}, which needs no download"
    ) from failure
