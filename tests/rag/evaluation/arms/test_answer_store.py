"""Kept answers: given again to the same question of the same model, computed in the same way."""

from dataclasses import replace
from pathlib import Path

import pytest

from earful.model.scripted import CAPABILITIES
from earful.rag.evaluation.arms.answer_store import AnswerStore, Kept

KNOWN = replace(CAPABILITIES, weights_sha256="ab" * 32, arithmetic="float32, cpu")
ANSWER = Kept(value=[[-0.1]], tokens=3, spent_s=1.0)
QUESTION = {"prompt": "cd" * 32, "score": ["a"]}


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"name": "another folder"}, True),
        ({"licence": "mit"}, True),
        ({"arithmetic": "float32, int4, cuda"}, False),
        ({"weights_sha256": "ba" * 32}, False),
        ({"decoding": "compat"}, False),
    ],
)
def test_what_decides_an_answer_keeps_stores_apart(
    tmp_path: Path, change: dict[str, str], is_same: bool
) -> None:
    AnswerStore(tmp_path, KNOWN).put(QUESTION, ANSWER)
    assert AnswerStore(tmp_path, KNOWN).get(QUESTION) == ANSWER
    other = AnswerStore(tmp_path, replace(KNOWN, **change))  # type: ignore[arg-type]
    assert (other.get(QUESTION) == ANSWER) is is_same
