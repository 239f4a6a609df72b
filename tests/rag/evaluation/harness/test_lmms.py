"""The plug-in for lmms-eval, with stand-ins for its classes."""

import logging
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import EvaluationError
from earful.model import Prompt, ScriptedLanguageModel, Text
from earful.rag import FewShot
from earful.rag.evaluation.harness import FewShotAdapter, lmms_manifest, lmms_model
from earful.rag.evaluation.harness.adapter import options_of
from earful.rag.evaluation.harness.lmms_model import LmmsRequests, check_arguments
from tests.support.labelled_tones import tone


@dataclass
class Request:
    args: tuple[Any, ...]


def document(samples: Any, rate: int = 8000) -> dict[str, Any]:
    return {"audio": {"array": samples, "sampling_rate": rate}}


def recordings_of(doc: Any) -> list[Any]:
    return [doc["audio"]]


def choice(text: str, number: int = 0, of: Any = recordings_of) -> Request:
    return Request(("Which tone?", f" {text}", of, number, "tones", "test"))


def longest_first() -> ScriptedLanguageModel:
    return ScriptedLanguageModel(
        replies=["low"], log_probability=lambda _, answer: -1.0 / len(answer)
    )


@pytest.fixture
def adapter(index: Path) -> FewShotAdapter:
    model = longest_first()
    return FewShotAdapter(model, FewShot.open(index, model=model), shots=2)


def asked_of(adapter: FewShotAdapter) -> list[Prompt]:
    model = adapter._model
    assert isinstance(model, ScriptedLanguageModel)
    return model.prompts


def test_choices_of_a_document_are_scored_in_one_pass_as_losses(adapter: FewShotAdapter) -> None:
    docs = [document(tone(hz, 1, rate=8000, noise=0.05)) for hz in (200.0, 2000.0)]
    requests = [choice(text, n) for text in ("low", "middle", "low") for n in (0, 1)]
    found = LmmsRequests(adapter, {"tones": {"test": docs}}, print).loglikelihood(requests)
    # The smallest is the most probable, as lmms-eval takes the smallest.
    assert found[0][0] == pytest.approx(1 / 3)
    assert found[2][0] == pytest.approx(1 / 6)
    assert [is_best for _, is_best in found] == [False, False, True, True, False, False]
    assert found[4] == found[0]
    prompts = asked_of(adapter)
    assert len(prompts) == 2
    (question,) = [part.text for part in prompts[0].parts[-1:] if isinstance(part, Text)]
    assert question == "Please answer this question: Which tone?"
    assert prompts[0].n_clips == 3


def test_a_continuation_alone_is_greedy_where_the_model_writes_it(adapter: FewShotAdapter) -> None:
    tasks = {"tones": {"test": [document(tone(200.0, 1, rate=8000, noise=0.05))]}}
    found = LmmsRequests(adapter, tasks, print)
    assert found.loglikelihood([choice("low")])[0][1]
    assert not found.loglikelihood([choice("high")])[0][1]


def test_answers_are_written_with_the_options_of_the_task(adapter: FewShotAdapter) -> None:
    tasks = {"tones": {"test": [document(tone(200.0, 1, rate=8000, noise=0.05))]}}
    given = {"max_new_tokens": 4, "until": "w", "temperature": 0, "do_sample": False}
    request = Request(("Which tone?", given, recordings_of, 0, "tones", "test"))
    assert LmmsRequests(adapter, tasks, print).generate_until([request]) == ["lo"]


def test_a_document_is_never_shown_its_own_recording(
    index: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = longest_first()
    adapter = FewShotAdapter(model, FewShot.open(index, model=model), shots=3)
    samples, rate = soundfile.read(corpus / "low/0.wav", dtype="float32")
    tasks = {"tones": {"test": [document(samples, rate)]}}
    LmmsRequests(adapter, tasks, print).loglikelihood([choice("low"), choice("high")])
    shown = [str(clip.audio) for clip in model.prompts[0].clips[:-1]]
    assert shown
    assert not [path for path in shown if path.endswith("low/0.wav")]
    assert adapter.n_in_index == 1
    assert "1 document is in the index: none was shown its own recording" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("recordings", "told"),
    [
        (lambda doc: [], "document 0 of 'test' has 0 recordings: expected 1"),
        (lambda doc: [1, 2], "has 2 recordings"),
        (lambda doc: [7], "expected a recording with array and sampling_rate, got int"),
        (lambda doc: [{"array": [0.0]}], "expected a recording with array"),
    ],
)
def test_a_document_without_one_recording_is_refused(
    recordings: Any, told: str, adapter: FewShotAdapter
) -> None:
    found = LmmsRequests(adapter, {"tones": {"test": [document([0.0])]}}, print)
    with pytest.raises(EvaluationError, match=told):
        found.loglikelihood([choice("low", of=recordings)])


def test_what_cannot_be_asked_is_told(adapter: FewShotAdapter, index: Path) -> None:
    with pytest.raises(EvaluationError, match="acc_mutual_info"):
        LmmsRequests(adapter, {}, print).loglikelihood([Request(("", "low"))])
    with pytest.raises(EvaluationError, match=r"unknown model argument 'shot' \(did you mean"):
        check_arguments({"shot": 3})
    assert check_arguments({"batch_size": 1, "shots": 3}) == {"shots": 3}
    with pytest.raises(EvaluationError, match="shots=4 without an index"):
        FewShotAdapter.open("earful-small")
    with pytest.raises(EvaluationError, match="shots=-1: expected a whole number"):
        FewShotAdapter.open("earful-small", shots=-1)
    with pytest.raises(EvaluationError, match="unknown strategy 'nearst'"):
        FewShotAdapter.open("earful-small", index=str(index), strategy="nearst")
    with pytest.raises(EvaluationError, match="unknown mode of shots 'words'"):
        FewShotAdapter.open("earful-small", index=str(index), shot_mode="words")
    with pytest.raises(EvaluationError, match="generation_kwargs: "):
        options_of({"top_p": 7})


def test_the_class_is_made_of_the_harness_own(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Base:
        def __init__(self) -> None:
            self.task_dict: dict[str, Any] = {}

    @dataclass
    class Result:
        text: tuple[float, bool]

    @dataclass
    class Manifest:
        model_id: str
        simple_class_path: str

    for name, values in (
        ("lmms_eval", {}),
        ("lmms_eval.api", {}),
        ("lmms_eval.api.instance", {"GenerationResult": Result}),
        ("lmms_eval.api.model", {"lmms": Base}),
        ("loguru", {"logger": logging.getLogger("loguru")}),
        ("lmms_eval.models", {}),
        ("lmms_eval.models.registry_v2", {"ModelManifest": Manifest}),
    ):
        module = ModuleType(name)
        module.__dict__.update(values)
        monkeypatch.setitem(sys.modules, name, module)
    module_name, _, class_name = lmms_manifest().simple_class_path.rpartition(".")
    assert module_name == lmms_model.__name__
    lmms_model._model_class.cache_clear()
    kind = getattr(lmms_model, class_name)
    assert issubclass(kind, Base)
    assert kind.is_simple
    model = kind(model="earful-small", index=str(index), shots=2, batch_size=1)
    model.task_dict["tones"] = {"test": [document(tone(200.0, 1, rate=8000, noise=0.05))]}
    found = model.loglikelihood([choice("low"), choice("high")])
    assert all(math.isfinite(loss) and loss > 0 for loss, _ in (one.text for one in found))
    with pytest.raises(NotImplementedError, match="one question about a recording"):
        model.generate_until_multi_round([])
    # Without an index it asks without exemplars.
    assert kind(model="earful-small")
    lmms_model._model_class.cache_clear()
    with pytest.raises(AttributeError, match="Other"):
        lmms_model.Other  # noqa: B018


@given(order=st.permutations(["low", "middle", "high", "a"]))
def test_a_choice_has_its_score_whatever_the_order(order: list[str]) -> None:
    adapter = FewShotAdapter(longest_first())
    scores = adapter.score((np.zeros(800, np.float32), 8000), "Which?", order)
    assert scores == tuple(-1.0 / len(text) for text in order)
