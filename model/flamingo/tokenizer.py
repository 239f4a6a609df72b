"""Audio Flamingo's vocabulary: OPT's byte-level BPE with three control tokens.

As transformers 4.27.4, which the release pins, builds the fast tokenizer of OPT: no space
is put before a text, one ``</s>`` is, and spaces around control tokens stay. A text is
never searched for control tokens here: they exist only as ``Control`` members, so nobody's
words can open a slot or end a turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Self

from earful.errors import ModelError, PromptError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Control(StrEnum):
    """Tokens with a meaning of their own."""

    PAD = "<pad>"
    END_OF_TEXT = "</s>"
    AUDIO = "<audio>"
    END_OF_CHUNK = "<|endofchunk|>"
    SEPARATOR = "<SEP>"


Segment = str | Control

_ADDED = (Control.AUDIO, Control.END_OF_CHUNK, Control.SEPARATOR)
_DELETED = (Control.END_OF_TEXT, Control.PAD, Control.END_OF_CHUNK)
_FILES = "vocab.json and merges.txt of facebook/opt-iml-max-1.3b"
# transformers' clean_up_tokenization, in its order.
_CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


class FlamingoTokenizer:
    """Segments to token ids and back.

    Args:
        tokenizer: With the control tokens in its vocabulary.
        source: Where it came from, for errors.

    Attributes:
        vocab_size: How many tokens there are, the control tokens among them.

    Raises:
        ModelError: A control token is missing or has another id than the release gives
            it: ``<pad>`` 1, ``</s>`` 2, and the three added ones last.
    """

    def __init__(self, tokenizer: Tokenizer, *, source: str = "tokenizer") -> None:
        self.vocab_size = int(tokenizer.get_vocab_size(with_added_tokens=True))
        self._ids = {Control.PAD: 1, Control.END_OF_TEXT: 2}
        self._ids |= {x: self.vocab_size - 3 + place for place, x in enumerate(_ADDED)}
        for control, wanted in self._ids.items():
            found = tokenizer.token_to_id(control.value)
            if found != wanted:
                raise ModelError(
                    f"{source}: {self.vocab_size} tokens with {control.value} at {found}, want it "
                    f"at {wanted}; Audio Flamingo's tokenizer is OPT's with three more tokens: "
                    "convert the model again"
                )
        make_all_text_plain(tokenizer, source=source)
        self._source = source
        self._tokenizer = tokenizer
        self._controls = control_ids(tokenizer, Control)

    @classmethod
    def from_opt_files(cls, vocab_json: Path, merges_txt: Path) -> Self:
        """Build it from OPT's own files, adding the three tokens of Audio Flamingo.

        Raises:
            ModelError: A file is missing or is not OPT's kind of vocabulary.
        """
        special = (Control.PAD, Control.END_OF_TEXT, *_ADDED)
        tokenizer = byte_level_bpe(vocab_json, merges_txt, special=special, wanted=_FILES)
        return cls(tokenizer, source=str(vocab_json))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            ModelError: The file is missing, damaged, or another model's.
        """
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the extension raises plain Exception for all of them
            raise ModelError(
                f"{path}: cannot be read as a tokenizer ({error}); convert the model again"
            ) from error
        return cls(tokenizer, source=str(path))

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str) -> Self:
        """Read what ``save`` wrote, from memory.

        Raises:
            ModelError: It is damaged or another model's.
        """
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_buffer(data)
        except Exception as error:  # the extension raises plain Exception for all of them
            raise ModelError(f"{source}: cannot be read as a tokenizer ({error})") from error
        return cls(tokenizer, source=source)

    def save(self, path: Path) -> None:
        """Write it as one ``tokenizer.json``; the same vocabulary gives the same bytes."""
        path.write_text(self._tokenizer.to_str(pretty=False), encoding="utf-8", newline="\n")

    def id_of(self, control: Control) -> int:
        """Return the id of a control token."""
        return self._ids[control]

    def encode(self, segments: Iterable[Segment]) -> list[int]:
        """Encode text and control tokens, after the ``</s>`` that the tokenizer puts first.

        Args:
            segments: Text is data whatever it holds; texts in a row are one text.

        Raises:
            PromptError: A text holds half a character.
        """
        ids = [self._ids[Control.END_OF_TEXT]]
        text = ""
        for segment in segments:
            if isinstance(segment, Control):
                ids += [*self._text_ids(text), self._ids[segment]]
                text = ""
            else:
                text += segment
        return ids + self._text_ids(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return ids as text, control tokens and all, with the release's clean-up of spaces."""
        return _clean_up(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def answer(self, ids: Sequence[int]) -> str:
        """Return the answer among ids: what follows the last separator, untrimmed.

        Equal to ``answer_of`` the decoded ids, but that words which only look like control
        tokens stay.
        """
        tail = list(ids)
        separator = self._ids[Control.SEPARATOR]
        if separator in tail:
            tail = tail[len(tail) - tail[::-1].index(separator) :]
        deleted = {self._ids[control] for control in _DELETED}
        runs = groupby(tail, key=deleted.__contains__)
        return "".join(self.decode(list(run)) for is_deleted, run in runs if not is_deleted)

    def _text_ids(self, text: str) -> list[int]:
        if not text:
            return []
        return plain_ids(self._tokenizer, text, self._controls, source=self._source, wanted=_FILES)


def byte_level_bpe(
    vocab_json: Path, merges_txt: Path, *, special: Iterable[str], wanted: str
) -> Tokenizer:
    """Build a tokenizer from the two files of a byte-level BPE, as OPT and RoBERTa have.

    Args:
        vocab_json: Tokens with their ids.
        merges_txt: Pairs of tokens, in order.
        special: Control tokens, added where the vocabulary lacks them.
        wanted: Which files are wanted, for errors.

    Raises:
        ModelError: A file is missing or is not this kind of vocabulary.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = _read_vocabulary(vocab_json, wanted)
    try:
        # A merge may hold any character but a space or a line feed.
        lines = merges_txt.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise ModelError(f"{merges_txt}: {error}; want {wanted}") from error
    merges = []
    for number, line in enumerate(lines, start=1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        left, _, right = line.partition(" ")
        if not right or any(x not in vocabulary for x in (left, right, left + right)):
            raise ModelError(
                f"{merges_txt}, line {number}: {line[:40]!r} merges no two tokens of "
                f"{vocab_json}; want {wanted}"
            )
        merges.append((left, right))
    bpe = models.BPE(
        vocab=vocabulary,
        merges=merges,
        continuing_subword_prefix="",
        end_of_word_suffix="",
        fuse_unk=False,
    )
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(str(x), normalized=False) for x in special])
    return tokenizer


def make_all_text_plain(tokenizer: Tokenizer, *, source: str) -> None:
    """Make what is written like a control token bytes like any others.

    Raises:
        ModelError: A token is looked for inside every text and cannot be kept from it:
            added, yet not marked as special.
    """
    for token in tokenizer.get_added_tokens_decoder().values():
        if not token.special:
            raise ModelError(
                f"{source}: looks for {token.content!r} inside every text; convert the model "
                "again, or take its published tokenizer"
            )
    tokenizer.encode_special_tokens = True


def control_ids(tokenizer: Tokenizer, named: Iterable[str]) -> frozenset[int]:
    """Return the ids that no text may have: of every added token, and of some by name."""
    found = (tokenizer.token_to_id(str(token)) for token in named)
    added = tokenizer.get_added_tokens_decoder().keys()
    return frozenset(added | {number for number in found if number is not None})


def plain_ids(
    tokenizer: Tokenizer, text: str, controls: frozenset[int], *, source: str, wanted: str
) -> list[int]:
    """Encode a text that is data whatever it holds.

    Args:
        tokenizer: After ``make_all_text_plain``.
        text: Valid Unicode.
        controls: Ids that no text may have.
        source: Where the tokenizer came from, for errors.
        wanted: Which files are wanted, for errors.

    Raises:
        ModelError: The tokenizer makes a control token of the text.
        PromptError: The text holds half a character.
    """
    _require_whole_characters(text)
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    if not controls.isdisjoint(ids):
        raise ModelError(
            f"{source}: its tokenizer makes a control token of the text {text[:40]!r}; want "
            f"{wanted}"
        )
    return ids


def answer_of(decoded: str) -> str:
    """Take the answer out of a decoded text, as the release does: nothing is trimmed.

    >>> answer_of("</s>the task<audio>x<SEP>a dog.<|endofchunk|></s>")
    'a dog.'
    """
    answer = decoded.rpartition(Control.SEPARATOR)[2]
    for token in _DELETED:
        answer = answer.replace(token, "")
    return answer


def _require_whole_characters(text: str) -> None:
    """Refuse what no tokenizer can read.

    Raises:
        PromptError: The text holds half a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptError(
            f"text {text[max(error.start - 20, 0) : error.end]!r} holds half a character; "
            "want valid Unicode"
        ) from error


def _clean_up(text: str) -> str:
    for found, wanted in _CLEAN_UP:
        text = text.replace(found, wanted)
    return text


def _read_vocabulary(path: Path, wanted: str) -> dict[str, int]:
    """Read tokens with their ids.

    Raises:
        ModelError: The file is missing, its ids have gaps, or a byte has no token, whose
            text would silently be lost.
    """
    from tokenizers import pre_tokenizers

    try:
        vocabulary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}; want {wanted}") from error
    if not isinstance(vocabulary, dict) or not all(type(x) is int for x in vocabulary.values()):
        raise ModelError(f"{path}: not a table of tokens and ids; want {wanted}")
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ModelError(f"{path}: {len(vocabulary)} ids, not 0 to {len(vocabulary) - 1} each once")
    if missing := sorted(set(pre_tokenizers.ByteLevel.alphabet()) - vocabulary.keys()):
        raise ModelError(
            f"{path}: no token for {len(missing)} of 256 bytes, such as {missing[0]!r}; want "
            f"{wanted}"
        )
    return vocabulary
