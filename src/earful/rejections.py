"""Rejected recordings as text: the first of each reason, and how many more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from earful.wording import printable

if TYPE_CHECKING:
    from earful.index.corpus import Rejection

_MOST_ALIKE = 3


def describe_rejections(rejections: Sequence[Rejection], before: str) -> list[str]:
    """Render rejected files and rows, of those with one reason the first three and a count.

    Args:
        rejections: In the corpus's order.
        before: What each line begins with, such as ``"rejected "``.
    """
    of_reason: dict[tuple[str, bool], list[Rejection]] = {}
    for rejection in rejections:
        of_reason.setdefault((_reason(rejection), rejection.is_earlier), []).append(rejection)
    lines = []
    for (_, is_earlier), alike in of_reason.items():
        start = f"{before.rstrip()} by an earlier build: " if is_earlier else before
        lines += [start + _describe_rejection(rejection) for rejection in alike[:_MOST_ALIKE]]
        if (n_more := len(alike) - _MOST_ALIKE) > 0:
            lines.append(f"  and {n_more:,} more for the same reason; --json lists all")
    return lines


def _reason(rejection: Rejection) -> str:
    """Return why a row was rejected, without what is its own: its file and numbers."""
    error = rejection.error.rpartition(f"{rejection.audio}: ")[2]
    error = re.sub(r"\(looked in [^()]*\)", "", error)
    return re.sub(r"'[^']*'|[0-9]+([.][0-9]+)?", "", error)


def _describe_rejection(rejection: Rejection) -> str:
    """Render the place of a rejected file or row, once, and the reason."""
    where, error = printable(rejection.where), printable(rejection.error)
    return error if error.startswith(f"{where}: ") else f"{where}: {error}"
