"""A folder of weights of one's own, beside parts that lie there already."""

import shutil
from pathlib import Path

import pytest
from training.ship import WEIGHTS, ship

from earful.errors import ModelError
from earful.model import load_embedder

ABOUT = {"authors": "me", "licence": "CC0-1.0", "data": "my clips"}


def test_parts_not_given_are_those_that_ship_whatever_lay_there(tmp_path: Path) -> None:
    own = tmp_path / "own"
    ship(own, release="mine", about=ABOUT)
    (own / "earful-tiny-clap.safetensors").write_bytes(b"of an earlier time")
    with pytest.raises(ModelError, match="sha256"):
        load_embedder(str(own))
    ship(own, release="mine", about=ABOUT)
    assert load_embedder(str(own)).fingerprint.revision == "mine"


def test_a_part_that_lies_in_the_folder_already_is_not_overwritten(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    shutil.copyfile(WEIGHTS / "earful-tiny-tokenizer.json", own / "earful-tiny-tokenizer.json")
    trained = (own / "earful-tiny-tokenizer.json").read_bytes() + b"\n"
    (own / "earful-tiny-tokenizer.json").write_bytes(trained)
    with pytest.raises(shutil.SameFileError):
        ship(own, tokenizer=own / "earful-tiny-tokenizer.json", about=ABOUT)
    assert (own / "earful-tiny-tokenizer.json").read_bytes() == trained
