"""Settings of object stores: what is no secret, by ``--storage-option``; secrets by environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from earful.errors import StoreError
from earful.wording import listed, quoted

_SECRET: Final = re.compile(r"key|secret|token|passw|credential|sas|signature|bearer|auth", re.I)


def _is_true(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("expected true or false")
    return text.lower() == "true"


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ValueError("expected an address such as https://s3.example.org")
    if parts.username or parts.password:
        raise ValueError("expected an address without a password; set AWS_SECRET_ACCESS_KEY")
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise ValueError("expected a whole number")
    return int(text)


def _text(text: str) -> str:
    return text


OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "endpoint": _endpoint,
    "region": _text,
    "account": _text,
    "allow_http": _is_true,
    "anonymous": _is_true,
    "virtual_hosted_style": _is_true,
    "timeout_s": _count,
    "max_retries": _count,
}
"""Names of storage options, and what reads each."""

_given: dict[str, Any] = {}


def set_storage_options(options: Mapping[str, str]) -> None:
    """Set the storage options of this process, in place of those set before.

    They are kept in memory only; credentials are no options, but come from the environment
    (``AWS_*``, ``GOOGLE_*``, ``AZURE_*``).

    Args:
        options: Texts by name: ``endpoint``, ``region``, ``account`` (Azure's), ``allow_http``,
            ``anonymous``, ``virtual_hosted_style``, ``timeout_s`` or ``max_retries``.

    Raises:
        StoreError: A name is unknown or that of a secret, or a value cannot be read.
    """
    read = {}
    for name, text in options.items():
        if name not in OPTIONS and _SECRET.search(name):
            # The value is not repeated: it may end up in a log.
            raise StoreError(
                f"storage option {quoted(name)}: is a secret, which is never an option; set "
                "the environment variable instead, such as AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, GOOGLE_SERVICE_ACCOUNT, or AZURE_STORAGE_ACCOUNT_KEY"
            )
        if name not in OPTIONS:
            raise StoreError(
                f"storage option {quoted(name)}: is unknown; expected one of {listed(OPTIONS)}"
            )
        try:
            read[name] = OPTIONS[name](text)
        except ValueError as error:
            raise StoreError(f"storage option {name}: {error}") from None
    _given.clear()
    _given.update(read)


def storage_options() -> Mapping[str, Any]:
    """Return the storage options that were set."""
    return dict(_given)
