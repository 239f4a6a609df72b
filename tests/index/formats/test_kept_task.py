"""An index and a task file that an earlier release made give the answers that it gave.

``task/answers.json`` holds evidence, prompts and answers of the release before the package was
split into rooms; its scores were recorded anew when labels came to be scored by means over all
their exemplars, because a sum over the shots gives other numbers from the same similarities, and
those of model and vote when the shipped model lost its weight where nothing is fitted.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from earful.rag import FewShot
from earful.rag.task import check_task

KEPT = Path(__file__).parent
ANSWERS = json.loads((KEPT / "task/answers.json").read_text(encoding="utf-8"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The kept index with its recordings, and the task file with its own."""
    for kept, name in (("sounds", "sounds"), ("1", "kept.index"), ("task", "task")):
        shutil.copytree(KEPT / kept, tmp_path / name)
    return tmp_path


def answer(home: Path, model: str | None) -> dict[str, Any]:
    few = FewShot.open(home / "kept.index", model=model)
    found = few.classify(home / "task/query.wav", task=home / "task/pitch.toml")
    return {
        "text": found.text,
        "confidence": round(found.confidence or 0.0, 6),
        "scores": {score.label: round(score.score, 6) for score in found.scores},
        "evidence": [hit.exemplar.id for hit in found.evidence],
        "prompt_digest": found.prompt_digest,
    }


@pytest.mark.parametrize(
    ("kind", "model", "tolerance"),
    # Other machines may add up the model's numbers in another order.
    [
        ("vote", None, 1e-6),
        pytest.param("model and vote", "earful-small", 1e-3, marks=pytest.mark.slow),
    ],
)
def test_a_kept_index_answers_a_kept_task_as_it_did(
    home: Path, kind: str, model: str | None, tolerance: float
) -> None:
    found, recorded = answer(home, model), ANSWERS[kind]
    for name in ("text", "evidence", "prompt_digest"):
        assert found[name] == recorded[name]
    assert found["confidence"] == pytest.approx(recorded["confidence"], abs=tolerance)
    assert list(found["scores"]) == list(recorded["scores"])
    assert found["scores"] == pytest.approx(recorded["scores"], abs=tolerance)


def test_the_kept_task_has_no_fault(home: Path) -> None:
    assert check_task(home / "task/pitch.toml") == ()
