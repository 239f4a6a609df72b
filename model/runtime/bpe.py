"""Byte-level BPE tokenizers in which no text can become a control token."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from earful.errors import ModelError, PromptError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def byte_level_bpe(
    vocab_json: Path, merges_txt: Path, *, special: Iterable[str], expected: str
) -> Tokenizer:
    """Build a tokenizer from the two files of a byte-level BPE, as OPT and RoBERTa have.

    Args:
        vocab_json: File with the tokens and their ids.
        merges_txt: File with pairs of tokens, in order.
        special: Control tokens, added where the vocabulary lacks them.
        expected: Which files are expected, for errors.

    Raises:
        ModelError: A file is missing or is not this kind of vocabulary: its ids have gaps, or a
            byte has no token, whose text would silently be lost.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    for path in (vocab_json, merges_txt):
        if not path.is_file():
            raise ModelError(f"{path}: no such file; expected {expected}")
    try:
        tokenizer = Tokenizer(models.BPE.from_file(str(vocab_json), str(merges_txt)))
    except Exception as error:  # the extension raises plain Exception for all faults
        raise ModelError(f"{vocab_json} and {merges_txt}: {error}; expected {expected}") from error
    vocabulary = tokenizer.get_vocab()
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ModelError(
            f"{vocab_json}: {len(vocabulary)} ids, expected 0 to {len(vocabulary) - 1}, each once"
        )
    if missing := sorted(set(pre_tokenizers.ByteLevel.alphabet()) - vocabulary.keys()):
        raise ModelError(
            f"{vocab_json}: no token for {len(missing)} of 256 bytes, such as {missing[0]!r}; "
            f"expected {expected}"
        )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(str(x), normalized=False) for x in special])
    return tokenizer


def make_all_text_plain(tokenizer: Tokenizer, *, source: str) -> None:
    """Make the tokenizer read text that looks like a control token as ordinary bytes.

    Raises:
        ModelError: The tokenizer looks for a token inside every text and cannot be kept from
            it: the token was added, yet is not marked as special.
    """
    for token in tokenizer.get_added_tokens_decoder().values():
        if not token.special:
            raise ModelError(
                f"{source}: looks for {token.content!r} inside every text; convert the model "
                "again, or take its published tokenizer"
            )
    tokenizer.encode_special_tokens = True


def control_ids(tokenizer: Tokenizer, named: Iterable[str]) -> frozenset[int]:
    """Return the ids that no text may have: those of every added token and of named ones."""
    found = (tokenizer.token_to_id(str(token)) for token in named)
    added = tokenizer.get_added_tokens_decoder().keys()
    return frozenset(added | {number for number in found if number is not None})


def plain_ids(
    tokenizer: Tokenizer, text: str, controls: frozenset[int], *, source: str, expected: str
) -> list[int]:
    """Encode a text as data, whatever it holds.

    Args:
        tokenizer: After ``make_all_text_plain``.
        text: Valid Unicode.
        controls: Ids that no text may have.
        source: Origin of the tokenizer, for errors.
        expected: Which files are expected, for errors.

    Raises:
        ModelError: The tokenizer makes a control token of the text.
        PromptError: The text holds half a character.
    """
    require_whole_characters(text)
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    if not controls.isdisjoint(ids):
        raise ModelError(
            f"{source}: its tokenizer makes a control token of the text {text[:40]!r}; expected "
            f"{expected}"
        )
    return ids


def require_whole_characters(text: str) -> None:
    """Refuse a text that no tokenizer can read.

    Raises:
        PromptError: The text holds half a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptError(
            f"text {text[max(error.start - 20, 0) : error.end]!r} holds half a character: "
            "expected valid Unicode"
        ) from error
