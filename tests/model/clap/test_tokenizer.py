"""The tokenizer: sentences are data, and files must fit the text tower."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earful.errors import ModelError
from earful.model.clap import ClapEmbedder, load_clap
from earful.model.clap.tokenizer import MAX_TEXT_TOKENS, ClapTokenizer
from tests.support.clap_folders import SENTENCES, TOLERANCE, byte_tokenizer

pytest.importorskip("transformers")
# Importing transformers takes longer than most tests.
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("special", ["<mask>", "</s>", "<s>", "<pad>"])
def test_special_tokens_in_a_sentence_are_plain_text(
    embedder: ClapEmbedder, special: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    text_model = embedder._towers.text_model.forward

    def spy(input_ids: Any, **options: Any) -> Any:
        seen.extend(input_ids.tolist())
        return text_model(input_ids=input_ids, **options)

    monkeypatch.setattr(embedder._towers.text_model, "forward", spy)
    embedder.embed_text([f"a {special} dog"])
    start, *words, end = seen[0]
    tokenizer = byte_tokenizer()
    assert (start, end) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert not {tokenizer.bos_token_id, tokenizer.eos_token_id, 1, 3} & set(words)
    assert tokenizer.mask_token_id not in words


def test_a_long_sentence_is_cut_where_training_cut_it(embedder: ClapEmbedder) -> None:
    kept = "x" * (MAX_TEXT_TOKENS - 2)  # one token a letter, between start and end
    whole, longer, shorter = embedder.embed_text([kept, kept + "y" * 500, kept[:-1]])
    np.testing.assert_allclose(whole, longer, rtol=0, atol=2e-6)
    assert np.abs(whole - shorter).max() > TOLERANCE


def test_a_foreign_tokenizer_is_refused(unfused: Path, tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([f"word{number}" for number in range(100)])
    folder = shutil.copytree(unfused, tmp_path / "clap")
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"knows 363 words, but the text tower of .* has 300"):
        load_clap(str(folder), device="cpu").embed_text(["dog"])


def test_a_tokenizer_that_looks_for_tokens_in_every_text_is_refused(
    unfused: Path, tmp_path: Path
) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["siren"])  # added, yet not special: it cannot be kept out of a text
    folder = shutil.copytree(unfused, tmp_path / "clap")
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match="looks for 'siren' inside every text"):
        load_clap(str(folder), device="cpu").embed_text(["a siren"])


def test_the_tokenizers_two_files_give_the_ids_of_its_one(unfused: Path, tmp_path: Path) -> None:
    told = json.loads((unfused / "tokenizer.json").read_text())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(told["vocab"]))
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in told["merges"]]
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    whole = ClapTokenizer.open(unfused, n_words=300, model="clap")
    parts = ClapTokenizer.open(tmp_path, n_words=300, model="clap")
    texts = [*SENTENCES, "a <mask> do", "dog" * 60]
    for ours, theirs in zip(whole.encode(texts), parts.encode(texts), strict=True):
        np.testing.assert_array_equal(ours, theirs)
