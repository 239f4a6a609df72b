import math
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import TaskError
from earful.index.exemplar import Exemplar
from earful.index.search import Hit
from earful.model.audio import Clip
from earful.model.prompt import ClipRef, Prompt, Text
from earful.model.scripted import ScriptedLanguageModel
from earful.rag.influence import label_influence, text_influence
from earful.rag.respond import Inquiry
from earful.rag.task import Task

QUERY = ClipRef(audio=Clip(samples=np.ones(8, np.float32), sample_rate=8000))


def hit(name: str, label: str, rank: int) -> Hit:
    return Hit(
        exemplar=Exemplar(id=name, audio=PurePosixPath(f"{name}.wav"), labels=(label,)),
        similarity=0.9 - rank / 10,
        rank=rank,
        path=Path(f"/s/{name}.wav"),
        content_sha256=name,
    )


def answers(prompt: Prompt) -> list[str]:
    return [part.text for part in prompt.parts if isinstance(part, Text) and part.is_answer]


def counts(prompt: Prompt, answer: str) -> float:
    """The log-odds of an answer are how often it stands among the shots."""
    return float(answers(prompt).count(answer))


def test_the_change_is_the_winners_probability_with_and_without() -> None:
    hits = (hit("a", "dog", 0), hit("b", "cat", 1), hit("c", "dog", 2))
    inquiry = Inquiry(task=Task(name="t"), hits=hits, query=QUERY, labels=("cat", "dog"))
    found = label_influence(ScriptedLanguageModel(log_probability=counts), inquiry)
    # Dog leads by 2 to 1: e / (1 + e) with all, a draw without a dog, e^2 / (1 + e^2) without
    # the cat.
    whole = math.e / (1 + math.e)
    assert [influence.hit.exemplar.id for influence in found] == ["a", "c", "b"]
    assert found[0].change == found[1].change == pytest.approx(whole - 0.5)
    assert found[2].change == pytest.approx(whole - math.e**2 / (1 + math.e**2))
    assert found[2].change < 0
    assert found[2].without == "dog"
    assert found[2].to_dict()["id"] == "b"


def test_a_shot_that_decides_is_told_by_what_wins_without_it() -> None:
    hits = (hit("a", "dog", 0), hit("b", "cat", 1), hit("c", "cat", 2))
    inquiry = Inquiry(task=Task(name="t"), hits=hits[:2], query=QUERY, labels=("cat", "dog"))

    def favours_dogs(prompt: Prompt, answer: str) -> float:
        return counts(prompt, answer) + (0.1 if answer == "dog" else 0.0)

    model = ScriptedLanguageModel(log_probability=favours_dogs)
    without = {i.hit.exemplar.id: i.without for i in label_influence(model, inquiry)}
    assert without == {"a": "cat", "b": "dog"}


@given(st.lists(st.sampled_from(["dog", "cat"]), max_size=6))
def test_a_model_that_ignores_its_shots_is_not_influenced(labels: list[str]) -> None:
    hits = tuple(hit(f"{rank}", label, rank) for rank, label in enumerate(labels))
    inquiry = Inquiry(task=Task(name="t"), hits=hits, query=QUERY, labels=("cat", "dog"))
    model = ScriptedLanguageModel(log_probability=lambda _prompt, answer: float(answer == "cat"))
    found = label_influence(model, inquiry)
    assert [influence.change for influence in found] == [0.0] * len(hits)
    assert [influence.hit for influence in found] == list(hits)
    assert len(model.prompts) == len(hits) + 1


def test_text_is_judged_by_its_own_probability() -> None:
    task = Task(name="t", kind="ask", question="What is it?")
    hits = (hit("a", "dog", 0), hit("b", "cat", 1))
    inquiry = Inquiry(task=task, hits=hits, query=QUERY)
    model = ScriptedLanguageModel(log_probability=counts)
    found = text_influence(model, inquiry, "cat")
    assert [(i.hit.exemplar.id, i.change, i.without) for i in found] == [
        ("b", 1.0, "cat"),
        ("a", 0.0, "cat"),
    ]
    with pytest.raises(TaskError, match="has no labels; text has text_influence"):
        label_influence(model, inquiry)
