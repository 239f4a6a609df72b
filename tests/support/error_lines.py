"""Errors as the command prints them, without the line that names where they are explained."""

import re

_HELP = re.compile(r"^help: docs/troubleshooting\.md#[a-z-]+(?:\n|$)", re.MULTILINE)


def without_help(printed: str) -> str:
    """Return what was printed to stderr, without its lines of help."""
    return _HELP.sub("", printed)
