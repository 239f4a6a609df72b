"""Stop for repetition: writing ends when what was written ends in copies of one piece.

Small models loop ("a drum a drum a drum ..."), and greedy decoding never leaves a loop by
itself. What counts as one is chosen so that ordinary writing does not:

- two to 32 tokens, three times in a row: people say a phrase twice ("bye bye", "tick tock
  tick tock"), and a third copy adds nothing that the first does not say;
- one token, four times in a row: words that stand alone are said thrice ("knock knock knock",
  "very very very").

One copy stays, so that even where the copies were meant, what they say is kept.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import Final

LONGEST: Final = 32
"""Longest piece that is looked for, in tokens: a long sentence."""

_COPIES: Final = 3
_COPIES_OF_ONE: Final = 4

_SEPARATORS: Final = " \t\n,;:"
_JOINING = re.compile(r"\b(?:and|or)$", re.IGNORECASE)


class RepetitionStop:
    """Watch for copies at the end of what is written, token by token.

    >>> watch = RepetitionStop()
    >>> for word in "it is a drum a drum a".split():
    ...     watch.add(word)
    >>> watch.n_kept, watch.n_settled
    (None, 4)
    >>> watch.add("drum")
    >>> watch.n_kept
    4
    """

    def __init__(self) -> None:
        self._tokens: list[Hashable] = []
        # By length of a piece: how many tokens at the end equal the one so many before.
        self._n_equal = [0] * (LONGEST + 1)

    def add(self, token: Hashable) -> None:
        """Add a token; equal tokens are equal values, whatever their kind."""
        for length in range(1, min(LONGEST, len(self._tokens)) + 1):
            is_equal = self._tokens[-length] == token
            self._n_equal[length] = self._n_equal[length] + 1 if is_equal else 0
        self._tokens.append(token)

    @property
    def n_kept(self) -> int | None:
        """Number of tokens to keep, the first copy included; ``None`` while nothing repeats."""
        for length in range(1, LONGEST + 1):
            n_copies = _COPIES if length > 1 else _COPIES_OF_ONE
            if self._n_equal[length] >= (n_copies - 1) * length:
                return len(self._tokens) - self._n_equal[length]
        return None

    @property
    def n_settled(self) -> int:
        """Number of tokens that no later copy can remove."""
        return len(self._tokens) - max(self._n_equal)


def find_repetition(tokens: Iterable[Hashable]) -> int | None:
    """Return how many tokens a stop for repetition would keep; ``None`` without repetition.

    >>> find_repetition("ha ha ha".split()), find_repetition("ha ha ha ha ha".split())
    (None, 1)
    """
    watch = RepetitionStop()
    for token in tokens:
        watch.add(token)
        if (n_kept := watch.n_kept) is not None:
            return n_kept
    return None


def trim_separators(text: str) -> str:
    """Remove the separators at a text's end, which led on to another copy.

    >>> trim_separators("a drum, "), trim_separators("a drum and")
    ('a drum', 'a drum')
    """
    return _JOINING.sub("", text.rstrip(_SEPARATORS)).rstrip(_SEPARATORS)
