"""Words for sounds: a static table of word pieces, and texts as mixtures of AudioSet's classes.

Each word piece of a sentence encoder's vocabulary went through that encoder once, alone
(``training/word_table.py``); what is left is a row of numbers a piece. A text is the mean of its
pieces' rows, so the order of words and what one does to another are lost: "dog" and "a dog
barking" differ, "dog bites man" and "man bites dog" do not. The vocabulary is English. Its
single letters make something of any Latin text, and what a made-up word becomes means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from earful.errors import ModelError, PromptError
from earful.model.runtime import require_whole_characters

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNKNOWN: Final = "[UNK]"
TEMPERATURE: Final = 0.05
SEARCH_TEMPERATURE: Final = 0.03
"""Of a text that is searched by: sharper, so that a sentence is of the classes it names."""
COMMON_SHARE: Final = 0.3
"""Share of all classes' mean that is taken off: what a loud recording gives to any class."""
# Words that say nothing of a sound; they are left out where others are left.
_FILLERS: Final = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "in", "is", "it", "its", "of"}
    | {"on", "or", "s", "sound", "sounds", "that", "the", "this", "to", "was", "with"}
)


class WordTable:
    """Table of word pieces, from text to unit vector.

    A text is cut into words and these into the longest pieces that the table knows, as BERT
    does it: in lower case, without accents, punctuation by itself.

    Args:
        pieces: What the table knows, each once; ``##`` before what continues a word.
        rows: Numbers of each piece, int8, shape ``(n, dim)``.
        scales: What a piece's numbers are multiplied with, shape ``(n,)``.
    """

    def __init__(
        self, pieces: Sequence[str], rows: NDArray[np.int8], scales: NDArray[np.floating]
    ) -> None:
        # The first row is that of what is not known.
        self._rows = np.zeros((len(pieces) + 1, rows.shape[1]), dtype=np.float32)
        self._rows[1:] = rows * scales.astype(np.float32)[:, None]
        self._tokenizer = _tokenizer([UNKNOWN, *pieces])
        self._means_something = np.array(
            [False, *(any(map(str.isalnum, piece)) for piece in pieces)]
        )
        self._fills = np.array([False, *(piece in _FILLERS for piece in pieces)])

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._rows.shape[1])

    def piece_ids(self, text: str) -> list[int]:
        """Return the numbers of a text's pieces, in order: 1 is the first, 0 what is not known.

        Raises:
            PromptError: The text holds half a character.
        """
        require_whole_characters(text)
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def unknown_words(self, text: str) -> tuple[str, ...] | None:
        """Return the words of a text that are no row of the table, each once.

        The table makes something of any word by its pieces, which means nothing for a word of
        another language. Fillers and punctuation do not count.

        Returns:
            ``None`` where no word at all is known.

        Raises:
            PromptError: The text holds half a character.
        """
        require_whole_characters(text)
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        unknown: dict[str, None] = {}
        n_known = 0
        places = [place for place, token in enumerate(encoded.tokens) if token[:2] != "##"]
        for place, end in zip(places, [*places[1:], len(encoded.tokens)], strict=True):
            word = text[encoded.offsets[place][0] : encoded.offsets[end - 1][1]]
            if not any(map(str.isalnum, word)):
                continue
            piece = encoded.ids[place]
            if (
                end - place == 1
                and self._means_something[piece]
                and encoded.tokens[place].isascii()
            ):
                n_known += not self._fills[piece]
            else:
                unknown[word] = None
        return tuple(unknown) if n_known else None

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, each as the mean of its pieces.

        Punctuation does not count, nor do "the", "of" and their like, and "sound", where a
        text has other words.

        Args:
            texts: ``n`` texts; never read as anything but text.

        Returns:
            float32, shape ``(n, dim)``; unit rows.

        Raises:
            PromptError: A text has no word that the table knows, or holds half a character.
        """
        return np.stack([self._vector(text) for text in texts]) if texts else self._rows[:0]

    def _vector(self, text: str) -> NDArray[np.float32]:
        ids = np.array(self.piece_ids(text), dtype=np.intp)
        ids = ids[self._means_something[ids]]
        telling = ids[~self._fills[ids]]
        mean = self._rows[telling if telling.size else ids].sum(axis=0, dtype=np.float64)
        length = float(np.linalg.norm(mean))
        if length == 0.0:
            raise PromptError(
                f"text {text[:40]!r} has no word that the table of words knows: expected English "
                "words"
            )
        vector: NDArray[np.float32] = (mean / length).astype(np.float32)
        return vector


def read_word_table(data: bytes, name: str) -> WordTable:
    """Read a table as ``training/word_table.py`` writes it.

    Args:
        data: A safetensors file: ``rows`` and ``scales``, and ``pieces``, the bytes of a text of
            one piece a line.
        name: Name of the model, for errors.

    Raises:
        ModelError: The data are not such a table.
    """
    try:
        tensors = load(data)
        rows, scales = tensors["rows"], tensors["scales"]
        pieces = tensors["pieces"].tobytes().decode("utf-8").split("\n")
    except (SafetensorError, KeyError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{name}: not a table of words ({error!r}); expected rows, scales and pieces"
        ) from error
    shapes = (rows.ndim == 2, rows.dtype == np.int8, scales.shape == rows.shape[:1])
    if not all(shapes) or not len(rows) == len(pieces) == len(set(pieces)):
        raise ModelError(
            f"{name}: table of words: {rows.dtype} rows of shape {rows.shape}, scales of shape "
            f"{scales.shape}, {len(set(pieces))} pieces; expected an int8 row and a scale a piece"
        )
    if not np.isfinite(scales).all():
        raise ModelError(f"{name}: table of words: a scale is not finite; expected finite numbers")
    return WordTable(pieces, rows, scales)


class ClassWords:
    """Names of classes, with which a text is compared.

    Args:
        table: Embeds names and texts.
        class_names: Names of the classes; one may list several words between commas.
    """

    def __init__(self, table: WordTable, class_names: Sequence[str]) -> None:
        self.table = table
        parts = [name.split(", ") for name in class_names]
        self._first = np.cumsum([0, *map(len, parts[:-1])])
        self._parts = table.vectors([part for own in parts for part in own])
        # Two words in a row count as one, too: "birdsong" of "bird song".
        names = [_words(part) for name in class_names for part in name.split(", ")]
        pairs = {first + second for words in names for first, second in pairwise(words)}
        self._words = {word for words in names for word in words} - _FILLERS | pairs

    def similarities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return how near each text is to each class: to the best of its name's parts.

        Returns:
            float32, shape ``(n, n_classes)``: cosines. Where a text's highest is low, no class
            is what it speaks of.

        Raises:
            PromptError: A text has no word that the table knows, or holds half a character.
        """
        cosines = self.table.vectors(texts) @ self._parts.T
        best: NDArray[np.float32] = np.maximum.reduceat(cosines, self._first, axis=1)
        return best

    def unknown_words(self, text: str) -> tuple[str, ...] | None:
        """Return the words that neither the table nor a class's name knows; see ``WordTable``."""
        unknown = self.table.unknown_words(text)
        heard = [word for word in _words(text) if word in self._words]
        if unknown is None:
            unknown = tuple(_words(text)) if heard else None
        return unknown and tuple(word for word in unknown if word.lower() not in self._words)

    def mixtures(
        self, texts: Sequence[str], *, temperature: float = TEMPERATURE
    ) -> NDArray[np.float32]:
        """Return each text as a mixture of the classes: their similarities' softmax.

        Args:
            texts: ``n`` texts.
            temperature: What the similarities are divided by.

        Returns:
            float32, shape ``(n, n_classes)``; rows add up to 1.

        Raises:
            PromptError: A text has no word that the table knows, or holds half a character.
        """
        found = self.similarities(texts).astype(np.float64) / temperature
        weights = np.exp(found - found.max(axis=1, keepdims=True))
        mixed: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(
            np.float32
        )
        return mixed

    def search_weights(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return how much each class's score counts for each text; see ``ClassScorer``.

        Returns:
            float32, shape ``(n, n_classes)``: the text's mixture, less ``COMMON_SHARE`` of the
            mean of all classes.

        Raises:
            PromptError: A text has no word that the table knows, or holds half a character.
        """
        mixed = self.mixtures(texts, temperature=SEARCH_TEMPERATURE)
        return np.asarray(mixed - COMMON_SHARE / mixed.shape[1], dtype=np.float32)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _tokenizer(pieces: Sequence[str]) -> Tokenizer:
    """Return a tokenizer into BERT's word pieces, in which no text is a control token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
