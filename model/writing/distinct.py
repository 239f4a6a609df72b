"""Answers that are one and the same to a model, whose scores could not be told apart."""

from __future__ import annotations

from collections.abc import Sequence

from earful.errors import PromptError


def require_distinct(answers: Sequence[str], ids: Sequence[Sequence[int]], *, reader: str) -> None:
    """Check that no two answers have the same tokens.

    Args:
        answers: As they were given.
        ids: The tokens of each.
        reader: The model, and what it does to answers, for the error.

    Raises:
        PromptError: Two have.
    """
    seen: dict[tuple[int, ...], str] = {}
    for answer, own in zip(answers, map(tuple, ids), strict=True):
        if own in seen:
            raise PromptError(
                f"answers {seen[own]!r} and {answer!r} are the same to {reader}; reword one of them"
            )
        seen[own] = answer
