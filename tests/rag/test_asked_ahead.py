"""Several recordings or exemplars asked about at once, of a model that can."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from earful.errors import AudioError
from earful.model import Prompt, ScriptedLanguageModel
from earful.model.scripted import CAPABILITIES
from earful.rag import Answer, FewShot
from earful.rag.evaluation import evaluate
from earful.rag.evaluation.arms import AnswerStore, meter_model
from earful.rag.generation import label_influence, text_influence
from earful.rag.retrieval import LabelScoring
from earful.rag.task import Task
from tests.support.asked_ahead import AskedAhead
from tests.support.labelled_tones import label_of
from tests.support.tone_evaluations import QUICK, TASK


def odds(prompt: Prompt, answer: str) -> float:
    """Log-probability that differs for all prompts and answers."""
    return -0.01 * (int(prompt.digest[:4], 16) % 97) - (0.1 if answer == "low" else 0.7)


def written(answers: list[object]) -> list[object]:
    found: list[object] = []
    for answer in answers:
        values = answer.to_dict() if isinstance(answer, Answer) else str(answer)
        if isinstance(values, dict):
            values.pop("timings", None)
        found.append(values)
    return found


@pytest.mark.parametrize("scoring", [LabelScoring(), LabelScoring(prior=True)])
@pytest.mark.parametrize("kind", ["classify", "multilabel"])
def test_many_recordings_are_asked_about_in_groups(
    index: Path, queries: Path, tmp_path: Path, kind: str, scoring: LabelScoring
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound")
    recordings = [*sorted(queries.rglob("*.wav"))[:4], bad, *sorted(queries.rglob("*.wav"))[4:6]]
    task = Task(name="t", kind=kind)  # type: ignore[arg-type]
    models = [AskedAhead(log_probability=odds), ScriptedLanguageModel(log_probability=odds)]
    together, single = (
        [
            *FewShot.open(index, model=model).classify_batch(
                recordings, task=task, shots=2, arm="model", scoring=scoring
            )
        ]
        for model in models
    )
    assert written([*together]) == written([*single])
    assert isinstance(together[4], AudioError)
    asked = models[0]
    assert isinstance(asked, AskedAhead)
    each = (1 if kind == "classify" else 3) * (2 if scoring.prior else 1)
    assert asked.groups == [4 * each, 2 * each]
    assert asked.n_single == 0
    assert len(asked.prompts) == len(models[1].prompts)


def test_a_prompt_that_fails_costs_itself_alone(index: Path, queries: Path) -> None:
    def log_probability(prompt: Prompt, answer: str) -> float:
        if label_of(prompt.clips[-1]) == "middle":
            raise AudioError("middle.wav: has moved")
        return odds(prompt, answer)

    model = AskedAhead(log_probability=log_probability)
    names = [queries / name / "100.wav" for name in ("low", "middle", "high")]
    found = list(FewShot.open(index, model=model).classify_batch(names, shots=1, arm="model"))
    assert [isinstance(answer, Answer) for answer in found] == [True, False, True]
    assert model.n_single == 1


def test_held_out_exemplars_are_asked_about_in_groups(index: Path, query: Path) -> None:
    models = [
        AskedAhead(log_probability=odds, max_prompts=5),
        ScriptedLanguageModel(log_probability=odds),
    ]
    blends = [
        FewShot.open(index, model=model).classify(query, shots=2, arm="blend").blend
        for model in models
    ]
    assert blends[0] == blends[1]
    asked = models[0]
    assert isinstance(asked, AskedAhead)
    # One query; then the exemplars, five at a time.
    assert asked.groups[0] == 1
    assert set(asked.groups[1:-1]) == {5}
    assert asked.n_single == 0


def test_a_shots_influence_is_asked_for_at_once(index: Path, query: Path) -> None:
    models = [AskedAhead(log_probability=odds), ScriptedLanguageModel(log_probability=odds)]
    requests = [FewShot.open(index, model=model).request(query, shots=3) for model in models]
    found = [label_influence(*pair) for pair in zip(models, requests, strict=True)]
    assert found[0] == found[1]
    asked = models[0]
    assert isinstance(asked, AskedAhead)
    assert (asked.groups, asked.n_single) == ([4], 0)
    told = [text_influence(*pair, "a dog") for pair in zip(models, requests, strict=True)]
    assert told[0] == told[1]
    assert (asked.groups, asked.n_single) == ([4, 4], 0)


def test_an_evaluation_takes_as_many_items_as_the_model_does(index: Path) -> None:
    known = replace(CAPABILITIES, weights_sha256="d" * 64)
    settings = replace(QUICK, shots=(0, 2), seeds=1, arms=("zero-shot", "retrieved", "vote"))
    asked = AskedAhead(log_probability=odds, capabilities=known)
    single = ScriptedLanguageModel(log_probability=odds, capabilities=known)
    documents = [
        evaluate(FewShot.open(index, model=model), TASK, settings=settings).document
        for model in (asked, single)
    ]
    rows = [
        [{**row, "spent_s": 0, "seconds": 0} for row in document["rows"]] for document in documents
    ]
    assert rows[0] == rows[1]
    assert max(asked.groups) == 4
    assert asked.n_single == 0


def test_the_time_of_a_group_is_shared_out(tmp_path: Path) -> None:
    asked = AskedAhead(
        log_probability=odds, capabilities=replace(CAPABILITIES, weights_sha256="e" * 64)
    )
    model = meter_model(asked, AnswerStore(tmp_path, asked.capabilities, least_s=0.0))
    prompt = Prompt(parts=())
    model.ask_ahead([(prompt, ["a"]), (prompt, ["b"])])  # type: ignore[attr-defined]
    model._ahead_s = {key: 10.0 for key in model._ahead_s}
    model.score(prompt, ["a"])
    spent = model.take_spent()
    assert math.isclose(spent.asked_s, 10.0, abs_tol=1.0)
    assert (spent.requests, asked.n_single) == (1, 0)
    # What is kept with the index is not asked again.
    model.ask_ahead([(prompt, ["a"]), (prompt, ["c"])])  # type: ignore[attr-defined]
    assert asked.groups == [2, 1]
