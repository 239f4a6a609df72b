"""Audio Flamingo's tokenizer: OPT's byte-level BPE with three control tokens.

It is built as transformers 4.27.4, which the release pins, builds the fast tokenizer of OPT:
no space is put before a text, one ``</s>`` is, and spaces around control tokens stay. A text
is never searched for control tokens here: they exist only as ``Control`` members, so nobody's
words can open a slot or end a turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Self

from earful.errors import ModelError
from earful.model.runtime import byte_level_bpe, control_ids, make_all_text_plain, plain_ids

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
    """Tokenizer of texts and control tokens, to ids and back.

    Args:
        tokenizer: With the control tokens in its vocabulary.
        source: Origin of the tokenizer, for errors.

    Attributes:
        vocab_size: Number of tokens, including the control tokens.

    Raises:
        ModelError: A control token is missing or has another id than the release gives
            it: ``<pad>`` 1, ``</s>`` 2, and the three added ones last.
    """

    def __init__(self, tokenizer: Tokenizer, *, source: str = "tokenizer") -> None:
        self.vocab_size = int(tokenizer.get_vocab_size(with_added_tokens=True))
        self._ids = {Control.PAD: 1, Control.END_OF_TEXT: 2}
        self._ids |= {x: self.vocab_size - 3 + place for place, x in enumerate(_ADDED)}
        for control, expected in self._ids.items():
            found = tokenizer.token_to_id(control.value)
            if found != expected:
                raise ModelError(
                    f"{source}: {self.vocab_size} tokens with {control.value} at {found}, expected "
                    f"at {expected}; Audio Flamingo's tokenizer is OPT's with three more tokens: "
                    "convert the model again"
                )
        make_all_text_plain(tokenizer, source=source)
        self._source = source
        self._tokenizer = tokenizer
        self._controls = control_ids(tokenizer, Control)

    @classmethod
    def from_opt_files(cls, vocab_json: Path, merges_txt: Path) -> Self:
        """Build a tokenizer from OPT's own files and the three tokens of Audio Flamingo.

        Raises:
            ModelError: A file is missing, or is not a vocabulary of OPT's kind.
        """
        special = (Control.PAD, Control.END_OF_TEXT, *_ADDED)
        tokenizer = byte_level_bpe(vocab_json, merges_txt, special=special, expected=_FILES)
        return cls(tokenizer, source=str(vocab_json))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that ``save`` wrote.

        Raises:
            ModelError: The file is missing, damaged, or another model's.
        """
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the extension raises plain Exception for all faults
            raise ModelError(
                f"{path}: cannot be read as a tokenizer ({error}); convert the model again"
            ) from error
        return cls(tokenizer, source=str(path))

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str) -> Self:
        """Read the bytes of a file that ``save`` wrote.

        Raises:
            ModelError: They are damaged, or another model's.
        """
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_buffer(data)
        except Exception as error:  # the extension raises plain Exception for all faults
            raise ModelError(f"{source}: cannot be read as a tokenizer ({error})") from error
        return cls(tokenizer, source=source)

    def save(self, path: Path) -> None:
        """Write one ``tokenizer.json``; the same vocabulary gives the same bytes."""
        path.write_text(self._tokenizer.to_str(pretty=False), encoding="utf-8", newline="\n")

    def id_of(self, control: Control) -> int:
        """Return the id of a control token."""
        return self._ids[control]

    def encode(self, segments: Iterable[Segment]) -> list[int]:
        """Encode text and control tokens, after the ``</s>`` that always comes first.

        Args:
            segments: Text is data, whatever it holds; adjacent texts are one text.

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
        """Decode ids to text, including control tokens, with the release's clean-up of spaces."""
        return _clean_up(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def answer(self, ids: Sequence[int]) -> str:
        """Decode the answer among ids: the text after the last separator, not trimmed.

        It is what the release finds in the decoded ids, except that words that only look like
        control tokens stay.
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
        return plain_ids(
            self._tokenizer, text, self._controls, source=self._source, expected=_FILES
        )


def _clean_up(text: str) -> str:
    for spaced, clean in _CLEAN_UP:
        text = text.replace(spaced, clean)
    return text
