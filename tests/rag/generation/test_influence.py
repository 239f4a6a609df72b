import json
import math
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import PromptError, TaskError
from earful.index.corpus import Exemplar
from earful.index.search import Hit
from earful.model import ClipRef, Prompt, ScriptedLanguageModel, Text
from earful.model.audio import Clip, load_audio
from earful.model.flamingo.checkpoint import load_flamingo
from earful.model.scripted import CAPABILITIES
from earful.rag.generation import (
    ModelRequest,
    ShotInfluence,
    label_influence,
    relabel_influence,
    text_influence,
)
from earful.rag.task import Order, Shots, Task
from earful.testing import write_flamingo
from tests.support.labelled_tones import tone, write_wav

TASK = Task(name="t")
QUERY = ClipRef(audio=Clip(samples=np.ones(8, np.float32), sample_rate=8000))


def hit(name: str, label: str, rank: int) -> Hit:
    return Hit(
        exemplar=Exemplar(id=name, audio=PurePosixPath(f"{name}.wav"), labels=(label,)),
        similarity=0.9 - rank / 10,
        rank=rank,
        path=Path(f"/s/{name}.wav"),
        content_sha256=name,
    )


def recorded(folder: Path, shot: Hit) -> Hit:
    """Give a shot half a second of noise as its recording."""
    noise = tone(0.0, shot.rank, rate=8000, seconds=0.5, noise=0.1)
    path = write_wav(folder / shot.path.name, noise, 8000)
    return replace(shot, path=path, content_sha256=load_audio(path).content_sha256)


def request_of(*hits: Hit, task: Task = TASK) -> ModelRequest:
    return ModelRequest(task=task, hits=hits, query=QUERY, labels=("cat", "dog"))


def answers(prompt: Prompt) -> list[str]:
    return [part.text for part in prompt.parts if isinstance(part, Text) and part.is_answer]


def counts(prompt: Prompt, answer: str) -> float:
    """The log-odds of an answer are how often it stands among the shots."""
    return float(answers(prompt).count(answer))


def by_id(found: tuple[ShotInfluence, ...]) -> dict[str, ShotInfluence]:
    return {influence.hit.exemplar.id: influence for influence in found}


def test_the_change_is_the_best_labels_score_with_and_without() -> None:
    request = request_of(hit("a", "dog", 0), hit("b", "cat", 1), hit("c", "dog", 2))
    found = label_influence(ScriptedLanguageModel(log_probability=counts), request)
    # Dog leads by 2 to 1: e / (1 + e) with all, a draw without a dog, e^2 / (1 + e^2) without
    # the cat.
    whole, without_cat = math.e / (1 + math.e), math.e**2 / (1 + math.e**2)
    assert [influence.hit.exemplar.id for influence in found] == ["a", "c", "b"]
    assert found[0].change == found[1].change == pytest.approx(whole - 0.5)
    # In a draw the first of the labels wins.
    assert [score.label for score in found[0].without] == ["cat", "dog"]
    assert [score.score for score in found[0].without] == pytest.approx([0.5, 0.5])
    assert found[0].flips
    cat = found[2]
    assert cat.change == pytest.approx(whole - without_cat)
    assert cat.changes == pytest.approx({"cat": without_cat - whole, "dog": whole - without_cat})
    assert [score.label for score in cat.without] == ["dog", "cat"]
    assert not cat.flips


def test_a_shot_that_decides_flips_the_answer() -> None:
    def favours_dogs(prompt: Prompt, answer: str) -> float:
        return counts(prompt, answer) + (0.1 if answer == "dog" else 0.0)

    request = request_of(hit("a", "dog", 0), hit("b", "cat", 1))
    found = by_id(label_influence(ScriptedLanguageModel(log_probability=favours_dogs), request))
    assert {name: influence.flips for name, influence in found.items()} == {"a": True, "b": False}


def test_a_shot_with_another_label_is_a_step_further_than_without_it() -> None:
    request = request_of(hit("a", "dog", 0), hit("b", "dog", 1), hit("c", "cat", 2))
    model = ScriptedLanguageModel(log_probability=counts)
    found = by_id(relabel_influence(model, request, "cat"))
    # 2 to 1 for dog becomes 1 to 2.
    whole = math.e / (1 + math.e)
    assert found["a"].change == found["b"].change == pytest.approx(whole - (1 - whole))
    assert found["a"].flips
    assert found["c"].change == 0.0
    assert [answers(prompt) for prompt in model.prompts] == [
        ["cat", "dog", "dog"],
        ["cat", "dog", "cat"],
        ["cat", "cat", "dog"],
        ["cat", "dog", "dog"],
    ]
    assert found["a"].hit.exemplar.labels == ("dog",)
    with pytest.raises(TaskError, match=r"unknown label 'cart'.*did you mean 'cat'"):
        relabel_influence(model, request, "cart")


def test_a_label_with_which_the_prompt_no_longer_fits_is_an_error() -> None:
    request = replace(request_of(hit("a", "dog", 0)), labels=("dog", "a " * 20 + "cat"))
    size = ScriptedLanguageModel().measure(request.build(request.hits)).n_tokens
    model = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, max_text_tokens=size))
    with pytest.raises(PromptError, match="0 of 1 shots fit scripted; show fewer"):
        relabel_influence(model, request, request.labels[1])


@given(
    labels=st.lists(st.sampled_from(["dog", "cat"]), max_size=6),
    order=st.sampled_from(["nearest-last", "nearest-first", "random"]),
)
def test_a_model_that_ignores_its_shots_is_not_influenced(labels: list[str], order: Order) -> None:
    hits = tuple(hit(f"{rank}", label, rank) for rank, label in enumerate(labels))
    request = request_of(*hits, task=Task(name="t", shots=Shots(order=order)))
    model = ScriptedLanguageModel(log_probability=lambda _prompt, answer: float(answer == "cat"))
    for found in (label_influence(model, request), relabel_influence(model, request, "dog")):
        assert [influence.hit for influence in found] == list(hits)
        assert not any(influence.flips for influence in found)
        assert not any(any(influence.changes.values()) for influence in found)
    assert len(model.prompts) == 2 * (len(hits) + 1)


@given(
    n_hits=st.integers(1, 7),
    order=st.sampled_from(["nearest-last", "nearest-first", "random"]),
    seed=st.integers(0, 99),
)
def test_the_other_shots_keep_their_order(n_hits: int, order: Order, seed: int) -> None:
    hits = tuple(hit(f"{rank}", "dog", rank) for rank in range(n_hits))
    request = request_of(*hits, task=Task(name="t", shots=Shots(order=order)))
    request = replace(request, seed=seed)
    model = ScriptedLanguageModel()
    label_influence(model, request)
    whole, *others = [[ref.content_sha256 for ref in p.clips[:-1]] for p in model.prompts]
    assert model.prompts[0] == request.build(hits)
    assert others == [[name for name in whole if name != h.content_sha256] for h in hits]


def test_shots_that_do_not_fit_are_left_out_of_every_comparison() -> None:
    request = request_of(hit("a", "dog", 0), hit("b", "cat", 1), hit("c", "dog", 2))
    model = ScriptedLanguageModel(
        log_probability=counts, capabilities=replace(CAPABILITIES, max_audios=3)
    )
    assert by_id(label_influence(model, request)).keys() == {"a", "b"}
    assert [prompt.n_clips for prompt in model.prompts] == [3, 2, 2]


def test_in_a_multilabel_task_each_label_is_asked_for() -> None:
    def yes_for_each_shot(prompt: Prompt, answer: str) -> float:
        return 2.0 * answers(prompt).count("yes") - 1.0 if answer == "yes" else 0.0

    task = Task(name="t", kind="multilabel")
    request = request_of(hit("a", "dog", 0), hit("b", "cat", 1), task=task)
    model = ScriptedLanguageModel(log_probability=yes_for_each_shot)
    found = by_id(label_influence(model, request))
    with_one, with_none = math.e / (1 + math.e), 1 / (1 + math.e)
    # Both are likely; without one's shot only the other is. The tie goes to the first label.
    assert found["a"].changes == pytest.approx({"cat": 0.0, "dog": with_one - with_none})
    assert found["a"].change == 0.0
    assert found["b"].change == pytest.approx(with_one - with_none)
    assert found["a"].flips
    assert found["b"].flips
    assert len(model.prompts) == 3 * 2


def test_text_is_judged_by_its_own_log_probability() -> None:
    task = Task(name="t", kind="ask", question="What is it?")
    request = replace(request_of(hit("a", "dog", 0), hit("b", "cat", 1), task=task), labels=())
    model = ScriptedLanguageModel(log_probability=counts)
    found = text_influence(model, request, "cat")
    assert [(i.hit.exemplar.id, i.change, i.without, i.flips) for i in found] == [
        ("b", 1.0, (), False),
        ("a", 0.0, (), False),
    ]
    with pytest.raises(TaskError, match="has no labels; text_influence is for written answers"):
        label_influence(model, request)


def test_it_goes_into_json() -> None:
    request = request_of(hit("a", "dog", 0))
    (found,) = label_influence(ScriptedLanguageModel(log_probability=counts), request)
    assert json.loads(json.dumps(found.to_dict())) == {
        **json.loads(json.dumps(request.hits[0].to_dict())),
        "change": 0.231059,
        "changes": {"cat": -0.231059, "dog": 0.231059},
        "without": {"cat": 0.5, "dog": 0.5},
        "flips": True,
    }


def test_a_flamingo_reads_every_recording_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_flamingo(str(write_flamingo(tmp_path / "flamingo")), device="cpu")
    read: list[str] = []

    hear = model.encoder.hear

    def noted(ref: ClipRef) -> NDArray[np.float32]:
        read.append(ref.content_sha256)
        return hear(ref)

    monkeypatch.setattr(model.encoder, "hear", noted)
    hits = tuple(recorded(tmp_path, hit(f"{rank:02x}", "dog", rank)) for rank in range(3))
    request = replace(request_of(*hits), query=replace(QUERY, content_sha256="ff"))
    found = label_influence(model, request)
    assert sorted(read) == sorted(["ff", *(hit.content_sha256 for hit in hits)])
    # The same by hand.
    scores = [
        [tokens.sum() for tokens in model.score(request.build(shown), ["cat", "dog"])]
        for shown in (hits, hits[1:])
    ]
    whole, without = [np.exp(both - np.logaddexp(*both)) for both in scores]
    changes = by_id(found)["00"].changes
    assert [changes["cat"], changes["dog"]] == pytest.approx(list(whole - without), abs=1e-6)
    assert changes["cat"] != 0.0
