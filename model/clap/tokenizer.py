"""LAION-CLAP's tokenizer for its text tower: RoBERTa's byte-level BPE.

Its files are read by ``tokenizers`` and nothing in them is code. Sentences are data: the
four control tokens stand only where ``encode`` puts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.runtime import (
    byte_level_bpe,
    control_ids,
    fetch_from_hub,
    make_all_text_plain,
    plain_ids,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TEXT_TOKENS = 77
"""Longest sentence that the text towers were trained on, in tokens; the rest is cut off."""

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt")
ROBERTA = "roberta-base"
"""Hub id of the text towers' tokenizer, and name of its folder beside a ``.pt`` file."""

_START, _END, _PAD = "<s>", "</s>", "<pad>"
_CONTROLS = (_START, _PAD, _END, "<unk>", "<mask>")
_EXPECTED = "vocab.json and merges.txt of roberta-base"


class ClapTokenizer:
    """Tokenizer that maps sentences to token ids.

    Args:
        tokenizer: A byte-level BPE with RoBERTa's control tokens.
        source: Origin of the tokenizer, for errors.

    Raises:
        ModelError: A control token is missing, or the tokenizer looks for one in every text.
    """

    def __init__(self, tokenizer: Tokenizer, *, source: str) -> None:
        self._source = source
        self._tokenizer = tokenizer
        self._start, self._pad, self._end = (self._id_of(token) for token in (_START, _PAD, _END))
        make_all_text_plain(tokenizer, source=source)
        self._controls = control_ids(tokenizer, _CONTROLS)
        tokenizer.no_padding()
        tokenizer.no_truncation()

    @classmethod
    def open(cls, folder: Path, *, n_words: int, model: str) -> Self:
        """Read the tokenizer from ``tokenizer.json``, or from ``vocab.json`` and ``merges.txt``.

        Args:
            folder: Where the files are.
            n_words: Size of the text tower's vocabulary.
            model: The text tower's name, for errors.

        Raises:
            ModelError: The tokenizer cannot be read, knows more words than the tower, or is
                not RoBERTa's.
        """
        from tokenizers import Tokenizer

        whole = folder / TOKENIZER_FILES[0]
        if whole.is_file():
            try:
                tokenizer = Tokenizer.from_file(str(whole))
            except Exception as error:  # the extension raises plain Exception for all faults
                raise ModelError(f"{folder}: its tokenizer cannot be read: {error}") from error
        else:
            tokenizer = byte_level_bpe(
                folder / TOKENIZER_FILES[1],
                folder / TOKENIZER_FILES[2],
                special=_CONTROLS,
                expected=_EXPECTED,
            )
        n_known = int(tokenizer.get_vocab_size(with_added_tokens=True))
        if n_known > n_words:
            raise ModelError(
                f"{folder}: its tokenizer knows {n_known} words, but the text tower of "
                f"{model} has {n_words}; take the tokenizer of the same folder"
            )
        return cls(tokenizer, source=str(folder))

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Encode sentences, each between ``<s>`` and ``</s>``, padded to the longest.

        Args:
            texts: ``n`` sentences, plain text throughout. Text beyond ``MAX_TEXT_TOKENS`` is
                cut off, as in training.

        Returns:
            Ids and attention mask, int64, shape ``(n, length)``.

        Raises:
            ModelError: The tokenizer makes a control token of a text.
            PromptError: A text holds half a character.
        """
        rows = [self._row(text) for text in texts]
        length = max(map(len, rows))
        ids = np.full((len(rows), length), self._pad, dtype=np.int64)
        mask = np.zeros((len(rows), length), dtype=np.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        return ids, mask

    def _id_of(self, token: str) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise ModelError(f"{self._source}: has no token {token!r}, expected {_EXPECTED}")
        return found

    def _row(self, text: str) -> list[int]:
        words = plain_ids(
            self._tokenizer, text, self._controls, source=self._source, expected=_EXPECTED
        )
        return [self._start, *words[: MAX_TEXT_TOKENS - 2], self._end]


def has_tokenizer(folder: Path) -> bool:
    """Return whether a folder holds a tokenizer's files."""
    has = {name for name in TOKENIZER_FILES if (folder / name).is_file()}
    return TOKENIZER_FILES[0] in has or has == set(TOKENIZER_FILES[1:])


def find_tokenizer(source: Path) -> Path | None:
    """Find the tokenizer of a folder or a ``.pt`` file: in or beside it, or on the hub."""
    beside = source if source.is_dir() else source.parent
    for folder in (beside, beside / ROBERTA):
        if has_tokenizer(folder):
            return folder
    try:
        return fetch_from_hub(ROBERTA, files=TOKENIZER_FILES)
    except ModelError:
        return None
