"""Scoring and writing behind one prompt: what every network of a Flamingo does alike.

Decoding has two modes. ``full``: a new token looks at every audio before it, which is
what the model computes without a cache. ``compat``: a new token looks at the first slot
only, as the release does when it decodes with its cache, which is always (with one audio
there is no difference). Published few-shot numbers come from ``compat``.

Scoring packs the answers behind one copy of the prompt as a tree: an answer's token sees
the prompt and its own beginning, at the position it would have alone.

Two networks keep the protocol ``FlamingoNetwork``: ``NumpyFlamingo`` for the model that ships,
``TorchFlamingo`` for Audio Flamingo itself. Neither is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from earful.model.flamingo.config import FlamingoConfig
from earful.model.protocols import GenerationOptions

Mode = Literal["full", "compat"]

MOST_PACKED: Final = 1024
"""Tokens of answers in one pass; the mask's memory grows with its square."""
LOGIT_ROWS: Final = 64
"""Rows of the vocabulary at once; more is no faster and costs 200 KB a row."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromptArrays:
    """A prompt as arrays.

    Attributes:
        ids: int64, shape ``(T,)``.
        features: float32, shape ``(L, D)``; one vector a window.
        window_mask: bool, shape ``(L,)``; false for a window without audio.
    """

    ids: NDArray[np.int64]
    features: NDArray[np.float32]
    window_mask: NDArray[np.bool_]


class FlamingoNetwork(Protocol):
    """Network that scores answers to a prompt, and continues it."""

    @property
    def config(self) -> FlamingoConfig:
        """Sizes and token ids."""
        ...

    def score(
        self, prompt: PromptArrays, answers: Sequence[Sequence[int]], *, mode: Mode = "full"
    ) -> list[NDArray[np.float64]]:
        """Score answers to a prompt, which is read only once.

        Args:
            prompt: The prompt.
            answers: Token ids of each answer, of any lengths above 0.
            mode: Which audios the answers' tokens look at; see the module.

        Returns:
            For each answer the log-probability of each of its tokens, float64, given the
            prompt and the earlier tokens.

        Raises:
            ValueError: An answer is empty, or prompt and answer together are longer than the
                model's positions.
        """
        ...

    def decode(
        self,
        prompt: PromptArrays,
        options: GenerationOptions,
        *,
        stop_ids: Sequence[int],
        mode: Mode = "full",
    ) -> Iterator[tuple[int, float]]:
        """Continue a prompt token by token.

        Args:
            prompt: The prompt.
            options: How tokens are chosen.
            stop_ids: Writing ends after one of these, which is yielded.
            mode: Which audios new tokens look at; see the module.

        Yields:
            Each token and its log-probability, up to ``max_new_tokens``.

        Raises:
            ValueError: The prompt leaves no position for a new token.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTree:
    """Answers as a tree that shares their beginnings; an answer's last token is never read.

    Attributes:
        tokens: Token of each node; parents stand before their children.
        parents: Row of the node before, -1 for the prompt's end.
        depths: Tokens between the prompt and the node.
        lookups: For every answer, ``(row to read from, token to look up)`` along it; row 0 is
            the prompt's end, and a node's row is one more than its number.
    """

    tokens: list[int]
    parents: list[int]
    depths: list[int]
    lookups: list[list[tuple[int, int]]]

    def visible(self) -> NDArray[np.bool_]:
        """Return a mask in which each node sees itself and its ancestors, shape ``(N, N)``."""
        found = np.eye(len(self.tokens), dtype=bool)
        for row, parent in enumerate(self.parents):
            if parent >= 0:
                found[row] |= found[parent]
        return found

    def split(self, found: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Divide one number a lookup among the answers."""
        ends = np.cumsum([len(answer) for answer in self.lookups])[:-1]
        return np.split(found, ends)


def pack_answers(
    answers: Sequence[Sequence[int]],
    *,
    n_prompt: int,
    max_positions: int,
    most: int = MOST_PACKED,
) -> list[AnswerTree]:
    """Build the trees of answers to one prompt, in the order of the answers.

    Args:
        answers: Token ids of each answer.
        n_prompt: Tokens of the prompt.
        max_positions: Longest text, in tokens.
        most: Most tokens of one tree's answers.

    Raises:
        ValueError: An answer is empty, or prompt and answer together are too long.

    >>> (tree,) = pack_answers([(5, 6, 7), (5, 8)], n_prompt=9, max_positions=64)
    >>> tree.tokens, tree.parents, tree.lookups
    ([5, 6], [-1, 0], [[(0, 5), (1, 6), (2, 7)], [(0, 5), (1, 8)]])
    """
    longest = max(map(len, answers), default=0)
    if not all(len(answer) for answer in answers):
        raise ValueError("an answer has no token: expected at least one")
    if n_prompt + longest - 1 > max_positions:
        raise ValueError(
            f"prompt of {n_prompt} tokens and answer of {longest}: expected at most "
            f"{max_positions} together"
        )
    return [_build_tree(group) for group in _groups(answers, most)]


def _build_tree(answers: Sequence[Sequence[int]]) -> AnswerTree:
    tree = AnswerTree(tokens=[], parents=[], depths=[], lookups=[])
    rows: dict[tuple[int, int], int] = {}
    for answer in answers:
        row = -1
        lookups: list[tuple[int, int]] = []
        for depth, token in enumerate(answer):
            lookups.append((row + 1, token))
            if depth == len(answer) - 1:
                break
            if (row, token) not in rows:
                rows[row, token] = len(tree.tokens)
                tree.tokens.append(token)
                tree.parents.append(row)
                tree.depths.append(depth)
            row = rows[row, token]
        tree.lookups.append(lookups)
    return tree


def _groups(answers: Sequence[Sequence[int]], most: int) -> Iterator[list[Sequence[int]]]:
    """Yield answers in groups of at most so many tokens."""
    group: list[Sequence[int]] = []
    n_tokens = 0
    for answer in answers:
        if group and n_tokens + len(answer) > most:
            yield group
            group, n_tokens = [], 0
        group.append(answer)
        n_tokens += len(answer)
    if group:
        yield group


def room_to_write(options: GenerationOptions, *, n_prompt: int, max_positions: int) -> int:
    """Return how many tokens may be written behind a prompt.

    Raises:
        ValueError: There is no position left.
    """
    room = min(options.max_new_tokens, max_positions - n_prompt)
    if room < 1:
        raise ValueError(f"prompt of {n_prompt} tokens: expected fewer than {max_positions}")
    return room
