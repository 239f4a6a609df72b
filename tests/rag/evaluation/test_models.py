"""Evaluations of several language models, and of several ways to show them shots."""

import gc
import json
import shutil
import weakref
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from earful.errors import EvaluationError
from earful.model import GenerationOptions, LanguageModel, Prompt, PromptSize, ScriptedLanguageModel
from earful.rag import FewShot
from earful.rag.evaluation import (
    EvaluationSettings,
    ModelSource,
    evaluate,
    load_evaluation,
    repeat_run,
    write_report,
)
from earful.rag.evaluation.arms import AnswerStore, meter_model
from earful.rag.evaluation.arms.answer_store import Kept
from earful.rag.evaluation.run_file import read_run
from earful.rag.task import Protocol
from tests.support.tone_evaluations import QUICK, TASK, follower, listener, values

MODES = replace(
    QUICK,
    resamples=100,
    shots=(0, 2),
    arms=("zero-shot", "retrieved", "vote"),
    shot_modes=("interleaved", "text"),
)


def named(model: ScriptedLanguageModel, **capabilities: Any) -> ScriptedLanguageModel:
    model._capabilities = replace(model.capabilities, **capabilities)
    return model


def both() -> list[ScriptedLanguageModel]:
    return [named(listener(), name="listener"), named(follower(), name="follower")]


@pytest.mark.slow
def test_each_model_is_told_whether_exemplars_help_it(index: Path, tmp_path: Path) -> None:
    found = evaluate(FewShot.open(index), TASK, settings=MODES, models=both())
    scores = found.to_dict()
    right = values(scores)
    assert set(right) == {
        "vote@2",
        *(
            f"{model}: {how}"
            for model in ("listener", "follower")
            for how in ("zero-shot", "retrieved-interleaved@2", "retrieved-text@2")
        ),
    }
    assert right["listener: zero-shot"] == 1.0
    verdict = found.verdict
    of = {model.name: model for model in verdict.models}
    assert (of["listener"].helps, of["follower"].helps) == ("no", "yes")
    gain = 100 * (right["follower: retrieved-interleaved@2"] - right["follower: zero-shot"])
    assert of["follower"].text.startswith(
        f"exemplars help follower: they add {gain:.1f} points (95% CI "
    )
    assert of["follower"].text.endswith(", 2 shots interleaved)")
    assert of["follower"].text in verdict.text
    assert json.loads(json.dumps(scores))["verdict"]["models"][1]["helps"] == "yes"
    write_report(found.scorecard, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Do exemplars help that model?" in page
    assert "follower with 2 shots interleaved" in page


@pytest.mark.slow
def test_requests_and_tokens_stand_beside_the_accuracy(index: Path) -> None:
    models = both()
    found = evaluate(FewShot.open(index), TASK, settings=MODES, models=models)
    for model in models:
        spent = next(
            one["spent"]
            for one in found.document["models"]
            if one["name"] == model._capabilities.name
        )
        assert spent["requests"] == len(model.prompts) == 18 * 3
        assert spent["tokens"] == sum(model.measure(prompt).n_tokens for prompt in model.prompts)
    by_name = {score.arm.name: score for score in found.scorecard.arms}
    assert by_name["vote@2"].spending is None
    zero = by_name["listener: zero-shot"].spending
    few = by_name["listener: retrieved-text@2"].spending
    assert zero is not None
    assert few is not None
    assert zero.requests == few.requests == 1
    assert zero.tokens < few.tokens


@pytest.mark.slow
def test_one_model_is_let_go_before_the_next_is_loaded(index: Path) -> None:
    loaded: list[weakref.ref[LanguageModel]] = []

    def load() -> LanguageModel:
        gc.collect()
        assert [one for one in loaded if one() is not None] == []
        model = listener()
        loaded.append(weakref.ref(model))
        return model

    sources = [ModelSource(name=name, load=load) for name in ("a", "b")]
    settings = replace(MODES, limit=3)
    found = evaluate(FewShot.open(index), TASK, settings=settings, models=sources)
    assert len(loaded) == 2
    assert found.scorecard.models == ("a", "b")


@pytest.mark.slow
def test_a_killed_run_asks_nothing_twice_and_loads_no_model_that_is_done(
    index: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.json"
    first = both()
    n_items = 18

    def stop(done: int, of: int) -> None:
        assert of == 3 * n_items
        if done == 2 * n_items + 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(FewShot.open(index), TASK, settings=MODES, models=first, out=out, progress=stop)

    def fail() -> LanguageModel:
        raise AssertionError("a model that is done is loaded")

    done = ModelSource(name="listener", load=fail)
    second = both()[1]
    again = evaluate(FewShot.open(index), TASK, settings=MODES, models=[done, second], out=out)
    assert again.n_asked == n_items - 5
    assert len(first[1].prompts) + len(second.prompts) == n_items * 3
    # What was spent before the kill is counted, too.
    assert again.document["models"][1]["spent"]["requests"] == n_items * 3
    whole = evaluate(FewShot.open(index), TASK, settings=MODES, models=both())
    strip = [{**row, "spent_s": 0} for row in again.document["rows"]]
    assert strip == [{**row, "spent_s": 0} for row in whole.document["rows"]]
    # Of a finished run nothing is loaded at all, and its numbers are in the file.
    sources = [done, ModelSource(name="follower", load=fail)]
    finished = evaluate(FewShot.open(index), TASK, settings=MODES, models=sources, out=out)
    assert finished.n_asked == 0
    assert load_evaluation(out).to_dict() == finished.to_dict()
    assert read_run(out)["version"] == 2
    assert repeat_run(FewShot.open(index), out, models=both()).is_same
    with pytest.raises(EvaluationError, match="2 language models, listener, follower: expected"):
        repeat_run(FewShot.open(index), out)


def test_another_model_of_the_name_is_another_run(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"

    def stop(done: int, _of: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(FewShot.open(index), TASK, settings=MODES, models=both(), out=out, progress=stop)
    other = [named(listener(), name="listener", weights_sha256="ab" * 32), both()[1]]
    with pytest.raises(EvaluationError, match="'listener' is not the one that answered before"):
        evaluate(FewShot.open(index), TASK, settings=MODES, models=other, out=out)


def test_a_mode_that_a_model_does_not_take_is_left_out_with_a_note(index: Path) -> None:
    settings = replace(MODES, shot_modes=("montage", "text"))
    found = evaluate(
        FewShot.open(index, model=named(listener(), max_audios=1)), TASK, settings=settings
    )
    assert set(values(found.to_dict())) == {"zero-shot", "retrieved-text@2", "vote@2"}
    note = "the language model cannot be shown exemplars as montage"
    assert note in found.document["notes"]
    # The verdict says in which mode; nine groups are too few to tell more shots from none.
    only = replace(MODES, arms=("retrieved",), shot_modes=("text",))
    found = evaluate(FewShot.open(index, model=listener()), TASK, settings=only)
    assert found.verdict.text.startswith("use the model with 2 shots in words: 100.0% right")
    settings = replace(MODES, shot_modes=("montage",))
    found = evaluate(FewShot.open(index, model=listener()), TASK, settings=settings)
    assert set(values(found.to_dict())) == {"zero-shot", "vote@2"}
    assert f"{note}: it is asked without shots only" in found.document["notes"]


def test_a_montage_is_an_arm(index: Path) -> None:
    model = named(listener(), shot_modes=("montage", "text"), max_audios=1)
    settings = replace(MODES, shot_modes=("montage",), limit=3)
    found = evaluate(FewShot.open(index, model=model), TASK, settings=settings)
    assert "retrieved-montage@2" in values(found.to_dict())
    assert all(prompt.n_clips == 1 for prompt in model.prompts)
    # Without a choice, too, a model that hears one recording is shown as many as are wanted.
    found = evaluate(
        FewShot.open(index, model=model), TASK, settings=replace(settings, shot_modes=())
    )
    assert "retrieved@2" in values(found.to_dict())


@pytest.mark.parametrize(
    ("models", "settings", "told"),
    [
        (["a", "a"], MODES, "'a' is given 2 times: expected each once"),
        (["a", ""], MODES, "a language model without a name"),
        (["a", "b"], replace(MODES, arms=("vote",)), "vote: no arm asks a language model, and 2"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(
    models: list[str], settings: Any, told: str, index: Path
) -> None:
    with pytest.raises(EvaluationError, match=told):
        evaluate(FewShot.open(index), TASK, settings=settings, models=models)


def test_a_model_of_the_index_and_others_beside_it_are_refused(index: Path) -> None:
    with pytest.raises(EvaluationError, match="'scripted' is given with the index, and 2 beside"):
        evaluate(FewShot.open(index, model=follower()), TASK, settings=MODES, models=both())
    with pytest.raises(EvaluationError, match="unknown mode of shots 'text-only'"):
        EvaluationSettings.from_dict({**MODES.to_dict(), "shot_modes": ["text-only"]})
    with pytest.raises(EvaluationError, match="'text': expected once, got it twice"):
        replace(MODES, shot_modes=("text", "text"))


def test_one_model_by_its_name_gives_the_run_of_one(index: Path) -> None:
    settings = replace(QUICK, arms=("zero-shot", "retrieved"), limit=3)
    by_name = evaluate(FewShot.open(index), TASK, settings=settings, models=[listener()])
    plain = evaluate(FewShot.open(index, model=listener()), TASK, settings=settings)
    assert by_name.document.keys() == plain.document.keys()
    assert by_name.document["arms"] == plain.document["arms"]
    assert "requests" not in plain.document["rows"][0]


# --- answers that are kept ------------------------------------------------------------------


class _Slow(ScriptedLanguageModel):
    """A model whose answers count as slow, and whose weights are known."""

    def __init__(self) -> None:
        super().__init__(replies=["low", "high"], log_probability=follower()._log_probability)
        self._capabilities = replace(self.capabilities, weights_sha256="cd" * 32)


def test_what_was_asked_before_is_not_asked_again(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnswerStore.__init__, "__kwdefaults__", {"least_s": 0.0})
    settings = replace(QUICK, arms=("zero-shot", "retrieved"), shots=(0, 1), limit=4)
    first, second = _Slow(), _Slow()
    one = evaluate(FewShot.open(index, model=first), TASK, settings=settings)
    assert len(first.prompts) == 8
    # Another run, with one arm more, asks for that arm's answers only.
    more = replace(settings, shots=(0, 1, 3))
    two = evaluate(FewShot.open(index, model=second), TASK, settings=more)
    assert len(second.prompts) == 4
    texts = {(row["item"], row["arm"]): row["scores"] for row in two.document["rows"]}
    assert all(texts[row["item"], row["arm"]] == row["scores"] for row in one.document["rows"])
    third = _Slow()
    evaluate(FewShot.open(index, model=third), TASK, settings=settings, keep=False)
    assert len(third.prompts) == 8
    # Where they cannot be kept, a note says so.
    shutil.rmtree(index / "answers")
    (index / "answers").write_text("in the way")
    found = evaluate(FewShot.open(index, model=_Slow()), TASK, settings=settings)
    (index / "answers").unlink()
    assert "answers cannot be kept in " in found.document["notes"][-1]
    # Written answers, too.
    written = replace(TASK, protocol=Protocol(answers="written"))
    for n in (8, 0):
        model = _Slow()
        evaluate(FewShot.open(index, model=model), written, settings=settings)
        assert len(model.prompts) == n


def test_a_damaged_line_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    capabilities = _Slow().capabilities
    prompt = Prompt(parts=())
    first = meter_model(_Slow(), AnswerStore(tmp_path, capabilities, least_s=0.0))
    first.score(prompt, ["a", "b"])
    first.generate(prompt)
    (path,) = (tmp_path / "answers").iterdir()
    lines = path.read_text().split("\n")
    path.write_text("\n".join(lines).replace('"tokens": 0', '"tokens": 9', 1)[:-9])
    model = _Slow()
    again = meter_model(model, AnswerStore(tmp_path, capabilities, least_s=0.0))
    again.score(prompt, ["a", "b"])
    again.generate(prompt)
    assert len(model.prompts) == 2
    # And what it says now is kept behind the torn line.
    last = _Slow()
    third = meter_model(last, AnswerStore(tmp_path, capabilities, least_s=0.0))
    third.score(prompt, ["a", "b"])
    third.generate(prompt)
    assert last.prompts == []
    assert third.take_spent().requests == 2
    assert third.take_spent().requests == 0


@pytest.mark.parametrize(
    "value",
    [None, 7, "text", [[0.0]], [[float("nan")], [0.0]], [["a"], [0.0]], {"text": 1}, {"other": 2}],
)
def test_a_line_that_somebody_made_up_is_asked_about_again(tmp_path: Path, value: object) -> None:
    prompt, asked = Prompt(parts=()), _Slow()
    store = AnswerStore(tmp_path, asked.capabilities, least_s=0.0)
    ways: list[dict[str, object]] = [
        {"score": ["a", "b"]},
        {"generate": asdict(GenerationOptions())},
    ]
    for way in ways:
        question = {**way, "prompt": prompt.digest, "slots": 0}
        store.put(question, Kept(value=value, tokens=1, spent_s=1.0))
    model = meter_model(asked, AnswerStore(tmp_path, asked.capabilities, least_s=0.0))
    assert [tokens.shape for tokens in model.score(prompt, ["a", "b"])] == [(1,), (1,)]
    assert model.generate(prompt).text == "low"
    assert len(asked.prompts) == 2


def test_an_endpoint_is_counted_by_its_own_report() -> None:
    from types import SimpleNamespace

    class Endpoint(ScriptedLanguageModel):
        n = 0

        @property
        def total(self) -> Any:
            return SimpleNamespace(
                n_requests=2 * self.n,
                n_kept=0,
                prompt_tokens=100 * self.n,
                completion_tokens=self.n,
                cost=0.5 * self.n,
            )

        def score(self, prompt: Prompt, answers: Any) -> Any:
            self.n += 1
            return super().score(prompt, answers)

        def choose(self, prompt: Prompt, answers: Any, **more: Any) -> str:
            self.n += 1
            return f"{len(answers)} {more}"

        def measure(self, prompt: Prompt) -> PromptSize:
            return PromptSize(n_tokens=7, slots=0)

    model = meter_model(Endpoint())
    model.score(Prompt(parts=()), ["a"])
    spent = model.take_spent()
    assert (spent.requests, spent.tokens, spent.cost) == (2, 101, 0.5)
    assert model.choose(Prompt(parts=()), ["a"], aliases=[]) == "1 {'aliases': []}"  # type: ignore[attr-defined]
    assert model.take_spent().to_totals()["cost"] == 0.5
