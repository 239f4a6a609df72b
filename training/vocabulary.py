"""The vocabulary of the small models: byte-level BPE over English words and our own texts.

A general word list keeps names that no corpus holds to a few tokens; the corpus' own labels
and captions, and the words prompts are made of, weigh more. The word list is Debian's
``wamerican`` (SCOWL, free to use for any purpose)::

    python -m training.vocabulary --corpus DIR --words /usr/share/dict/american-english --out F
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from training.flamingo.wording import TEXTS

from earful.model.flamingo import Control, FlamingoTokenizer

SIZE = 4096
_FIRST = ("<s>", Control.PAD.value, Control.END_OF_TEXT.value, "<unk>")
_ADDED = (Control.AUDIO.value, Control.END_OF_CHUNK.value, Control.SEPARATOR.value)
_OWN_WEIGHT = 40


def read_words(path: Path) -> list[str]:
    """Return the list's plain words in lower case, sorted."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return sorted({line for line in lines if re.fullmatch(r"[a-z]{2,14}", line)})


def learn(texts: Iterable[str]) -> FlamingoTokenizer:
    """Learn a vocabulary of ``SIZE`` tokens, in the layout of OPT's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(_ADDED),
        special_tokens=list(_FIRST),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    special = (*_FIRST, *_ADDED)
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in special])
    return FlamingoTokenizer(tokenizer)


def texts_of(corpus: Path, words: Path) -> Iterator[str]:
    """Yield what the vocabulary is learned from."""
    with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    labels = sorted({row["label"] for row in rows})
    captions = sorted({row["caption"].lower() for row in rows})
    for _ in range(_OWN_WEIGHT):
        yield from labels
        yield from (f" {label}" for label in labels)
        yield from (text.lower() for text in TEXTS)
    for _ in range(_OWN_WEIGHT // 8):
        yield from captions
    for word in read_words(words):
        yield word
        yield f" {word}"


def main() -> None:
    """Write the vocabulary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--words", type=Path, default=Path("/usr/share/dict/american-english"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    learn(texts_of(options.corpus, options.words)).save(options.out)


if __name__ == "__main__":
    main()
