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
from pathlib import Path
from typing import TYPE_CHECKING, Self

from earful.errors import ModelError

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
        vocab_size: How many tokens there are.

    Raises:
        ModelError: It lacks a control token.
    """

    def __init__(self, tokenizer: Tokenizer, *, source: str = "tokenizer") -> None:
        ids = {control: tokenizer.token_to_id(control.value) for control in Control}
        if missing := [control.value for control, number in ids.items() if number is None]:
            raise ModelError(
                f"{source}: has no {', '.join(missing)}; want OPT's vocabulary with the three "
                "tokens of Audio Flamingo, as `earful models convert` writes it"
            )
        self._ids = {control: number for control, number in ids.items() if number is not None}
        self.vocab_size = int(tokenizer.get_vocab_size(with_added_tokens=True))
        self._tokenizer = tokenizer
        # Control tokens in its input are bytes like any others.
        tokenizer.encode_special_tokens = True

    @classmethod
    def from_opt_files(cls, vocab_json: Path, merges_txt: Path) -> Self:
        """Build it from OPT's own files, adding the three tokens of Audio Flamingo.

        Raises:
            ModelError: A file is missing or is not a byte-level BPE vocabulary.
        """
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        try:
            vocabulary = json.loads(vocab_json.read_text(encoding="utf-8"))
            lines = merges_txt.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise ModelError(
                f"tokenizer: {error}; want vocab.json and merges.txt of facebook/opt-iml-max-1.3b"
            ) from error
        merges = [
            (left, right)
            for line in lines
            if line and not line.startswith("#version")
            for left, _, right in [line.partition(" ")]
        ]
        try:
            bpe = models.BPE(
                vocab=vocabulary,
                merges=merges,
                continuing_subword_prefix="",
                end_of_word_suffix="",
                fuse_unk=False,
            )
        except Exception as error:  # the extension raises plain Exception for a wrong merge
            raise ModelError(f"{merges_txt}: does not go with {vocab_json}: {error}") from error
        tokenizer = Tokenizer(bpe)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        special = (Control.PAD, Control.END_OF_TEXT, *_ADDED)
        tokenizer.add_special_tokens([AddedToken(x.value, normalized=False) for x in special])
        return cls(tokenizer, source=str(vocab_json))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            ModelError: The file is missing, damaged, or lacks a control token.
        """
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the extension raises plain Exception for all of them
            raise ModelError(
                f"{path}: cannot be read as a tokenizer ({error}); convert the model again"
            ) from error
        return cls(tokenizer, source=str(path))

    def save(self, path: Path) -> None:
        """Write it as one ``tokenizer.json``; the same vocabulary gives the same bytes."""
        path.write_text(self._tokenizer.to_str(pretty=False), encoding="utf-8")

    def id_of(self, control: Control) -> int:
        """Return the id of a control token."""
        return self._ids[control]

    def encode(self, segments: Iterable[Segment]) -> list[int]:
        """Encode text and control tokens, after the ``</s>`` that the tokenizer puts first.

        Args:
            segments: Text is data whatever it holds; texts in a row are one text.
        """
        ids = [self._ids[Control.END_OF_TEXT]]
        text = ""
        for segment in segments:
            if isinstance(segment, Control):
                ids += self._text_ids(text)
                ids.append(self._ids[segment])
                text = ""
            else:
                text += segment
        return ids + self._text_ids(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return ids as text, control tokens and all, with the release's clean-up of spaces."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        for found, wanted in _CLEAN_UP:
            text = text.replace(found, wanted)
        return text

    def _text_ids(self, text: str) -> list[int]:
        if not text:
            return []
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def answer_of(decoded: str) -> str:
    """Take the answer out of a decoded text, as the release does: nothing is trimmed.

    >>> answer_of("</s>the task<audio>x<SEP>a dog.<|endofchunk|></s>")
    'a dog.'
    """
    answer = decoded.rpartition(Control.SEPARATOR)[2]
    for token in (Control.END_OF_TEXT, Control.PAD, Control.END_OF_CHUNK):
        answer = answer.replace(token, "")
    return answer
