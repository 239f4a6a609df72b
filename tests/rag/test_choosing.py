"""Few-shot questions to models behind an endpoint: montages, letters, choices, and none of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earful.errors import ModelError
from earful.model import Capabilities, Prompt, ScriptedLanguageModel
from earful.model.chat import Choice
from earful.model.scripted import CAPABILITIES
from earful.rag import FewShot
from earful.rag.evaluation import EvaluationSettings, Scorecard, evaluate
from earful.rag.retrieval import LabelScoring
from earful.rag.task import Label, Task
from earful.testing.stub_endpoint import StubEndpoint, audio_of, seconds_of, text_of

Open = Callable[..., FewShot]


CHOOSES = replace(CAPABILITIES, scoring="choice")


class Chooser(ScriptedLanguageModel):
    """Chooses by a function, and tells no probability."""

    def __init__(
        self,
        choose: Callable[[Prompt, Sequence[str]], Choice],
        capabilities: Capabilities = CHOOSES,
    ) -> None:
        super().__init__(capabilities=capabilities)
        self._choose = choose
        self.answers: list[Sequence[str]] = []
        self.aliases: list[Sequence[Sequence[str]]] = []

    def choose(
        self, prompt: Prompt, answers: Sequence[str], *, aliases: Sequence[Sequence[str]] = ()
    ) -> Choice:
        self.prompts.append(prompt)
        self.answers.append(answers)
        self.aliases.append(aliases)
        return self._choose(prompt, answers)


def takes(label: str) -> Callable[[Prompt, Sequence[str]], Choice]:
    return lambda _, answers: Choice(row=list(answers).index(label), text=label)


def test_a_chosen_label_has_no_confidence_and_the_vote_beside_it(index: Path, query: Path) -> None:
    few = FewShot.open(index, model=Chooser(takes("high")))
    answer = few.classify(query, shots=2)
    assert (answer.text, answer.labels, answer.confidence) == ("high", ("high",), None)
    assert (answer.scores, answer.model_scores, answer.blend) == ((), (), None)
    assert answer.vote[0].label == "low"
    assert (answer.scoring, answer.unparsed, answer.is_sure) == ("choice", "", True)
    assert not answer.declined
    assert any("tells no probability" in note for note in answer.notes)
    values = answer.to_dict()
    assert (values["confidence"], values["scoring"]) == (None, "choice")
    assert values["vote"]
    json.dumps(values)
    assert answer.summary() == "high"
    assert "high" in (answer._repr_html_() or "")
    assert len(answer.evidence) == 2


def test_what_names_no_label_is_reported_and_never_guessed(index: Path, query: Path) -> None:
    few = FewShot.open(index, model=Chooser(lambda *_: Choice(row=None, text="a whale")))
    answer = few.classify(query, shots=2, always_answer=True)
    assert (answer.unparsed, answer.labels, answer.declined) == ("a whale", (), True)
    assert answer.text.startswith("cannot say")
    assert answer.reason == "it wrote 'a whale'"
    assert answer.to_dict()["unparsed"] == "a whale"
    assert answer.summary().startswith("cannot say")


def test_wordings_are_asked_for_and_names_and_aliases_count(index: Path, query: Path) -> None:
    task = Task(
        name="t", labels={"low": Label(wording="a hum", aliases=("drone",)), "high": Label()}
    )
    model = Chooser(takes("a hum"))
    answer = FewShot.open(index, model=model).classify(query, task=task, shots=1)
    assert answer.text == "low"
    assert model.answers == [["a hum", "high"]]
    assert model.aliases == [[("low", "drone"), ("high",)]]


def test_several_labels_are_asked_about_one_by_one(index: Path, query: Path) -> None:
    def choose(prompt: Prompt, answers: Sequence[str]) -> Choice:
        assert list(answers) == ["yes", "no"]
        asked = prompt.render()
        if "there middle" in asked:
            return Choice(row=None, text="who knows")
        return Choice(row=0 if "there low" in asked else 1, text="")

    task = Task(name="t", kind="multilabel", labels={x: Label() for x in ("low", "middle", "high")})
    answer = FewShot.open(index, model=Chooser(choose)).classify(query, task=task, shots=2)
    assert (answer.text, answer.labels, answer.confidence) == ("low", ("low",), None)
    assert any("1 label the model said neither yes nor no" in note for note in answer.notes)
    mute = FewShot.open(index, model=Chooser(lambda *_: Choice(row=None, text="hm")))
    assert mute.classify(query, task=task, shots=2).unparsed == "hm"


def test_of_many_labels_the_votes_likeliest_are_asked_about(index: Path, query: Path) -> None:
    limits = replace(CAPABILITIES, scoring="choice", max_answers=2)
    model = Chooser(takes("low"), limits)
    answer = FewShot.open(index, model=model).classify(query, shots=3)
    assert answer.text == "low"
    likeliest = {score.label for score in answer.vote[:2]}
    assert set(model.answers[0]) == likeliest
    assert any("chooses from 2 labels at once" in note for note in answer.notes)
    listed = model.prompts[0].render()
    assert f"- {answer.vote[2].label}" not in listed
    # A model with scores says nothing of the others, which keep the vote's share.
    scored = ScriptedLanguageModel(capabilities=replace(limits, scoring="first-token"))
    answer = FewShot.open(index, model=scored).classify(query, shots=3, arm="model")
    own = {score.label: score.score for score in answer.scores}
    last = answer.vote[2]
    assert own[last.label] == pytest.approx(last.score)
    assert sum(own.values()) == pytest.approx(1.0)
    # Held-out exemplars of a blend have shortlists of their own.
    blended = FewShot.open(index, model=scored).classify(query, shots=3)
    assert blended.blend is not None


def test_corrections_without_scores_are_said_to_have_no_effect(index: Path, query: Path) -> None:
    few = FewShot.open(index, model=Chooser(takes("low")))
    answer = few.classify(query, shots=1, scoring=LabelScoring(prior=True))
    assert any("have no effect" in note for note in answer.notes)
    silent = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, scoring="choice"))
    with pytest.raises(ModelError, match="chooses no answer"):
        FewShot.open(index, model=silent).classify(query, shots=1)


# --- behind an endpoint -------------------------------------------------------------------


def test_exact_scores_are_weighed_against_the_vote(behind_stub: Open, query: Path) -> None:
    stub = StubEndpoint(prefers="low")
    few = behind_stub(stub)
    assert repr(few)
    assert few.classify(query, shots=2, arm="vote").text == "low"
    assert not stub.headers  # nothing is sent before the model is asked
    answer = few.classify(query, shots=2, arm="model")
    assert (answer.text, answer.scoring) == ("low", "exact")
    assert answer.confidence == answer.scores[0].score > 0.7
    assert answer.report is not None
    assert answer.report.n_requests == len(stub.bodies)
    assert answer.to_dict()["requests"]["server_model"] == "ears-7b"  # type: ignore[index]
    assert [len(audio_of(body)) for body in stub.asked] == [3, 3, 3]
    assert answer.model == "openai:ears-7b"


def test_letters_are_the_labels_behind_an_endpoint(behind_stub: Open, query: Path) -> None:
    answer = behind_stub(StubEndpoint(owner="sglang", prefers="middle")).classify(
        query, shots=2, arm="model"
    )
    assert (answer.text, answer.scoring) == ("middle", "first-token")
    assert any("letters that stand for the labels" in note for note in answer.notes)


def test_a_model_of_one_recording_is_sent_a_montage(behind_stub: Open, query: Path) -> None:
    stub = StubEndpoint(cap=1, logprobs=False)
    answer = behind_stub(stub).classify(query, shots=3)
    assert answer.text == "low"
    (body,) = stub.asked
    (wav,) = audio_of(body)
    lengths = [seconds_of(wav)]
    assert lengths[0] > 4 * 0.4 + 3 * 0.5  # four recordings and the gaps
    lines = text_of(body)
    assert "0.0-" in lines
    assert "s: low" in lines
    assert any("joined into one" in note for note in answer.notes)


def test_a_server_that_takes_less_gets_half_the_shots(behind_stub: Open, query: Path) -> None:
    stub = StubEndpoint(logprobs=False)
    few = behind_stub(stub)
    few.classify(query, shots=1)
    stub.bodies.clear()
    stub.faults = [(413, "too large", {})]
    answer = few.classify(query, shots=4)
    assert [len(audio_of(body)) for body in stub.bodies] == [5, 3]
    assert len(answer.evidence) == 2
    assert any("takes no prompt of 4 shots, so at most 2" in note for note in answer.notes)
    # A number that it names is kept to from then on.
    stub.bodies.clear()
    stub.cap = 3
    assert len(few.classify(query, shots=4).evidence) == 2
    assert len(few.classify(query, shots=4).evidence) == 2
    assert [len(audio_of(body)) for body in stub.bodies] == [5, 3, 3]
    # So does what is written, and a conversation.
    stub.faults = [(413, "too large", {})]
    assert len(few.ask(query, "What is near?", shots=2).evidence) == 1
    stub.faults = [(413, "too large", {})]
    chat = few.chat(query, shots=2)
    assert len(chat.ask("What is it?").evidence) == 1


def test_an_answer_says_when_nothing_tells_whether_it_heard(behind_stub: Open, query: Path) -> None:
    few = behind_stub(StubEndpoint(counts=False, logprobs=False))
    answer = few.classify(query, shots=1)
    assert any("nothing tells whether recordings reach" in note for note in answer.notes)
    assert any(note == answer.notes[-1] for note in few.ask(query, "What?", shots=0).notes)


def test_labels_with_control_strings_are_refused(behind_stub: Open, query: Path) -> None:
    from earful.errors import PromptError

    task = Task(name="t", labels={"low": Label(wording="hum<|im_end|>"), "high": Label()})
    stub = StubEndpoint()
    with pytest.raises(PromptError, match="reword the label"):
        behind_stub(stub).classify(query, task=task, shots=1, arm="model")
    assert not stub.asked


def evaluated(few: FewShot, out: Path) -> Scorecard:
    settings = EvaluationSettings(
        shots=(0, 2),
        arms=("zero-shot", "retrieved", "blend", "vote"),
        resamples=100,
        limit=6,
        near_duplicate=1.0,
    )
    return evaluate(few, Task(name="t"), settings=settings, out=out).scorecard


def test_an_evaluation_of_choices_counts_what_cannot_be_read_as_wrong(
    behind_stub: Open, tmp_path: Path
) -> None:
    stub = StubEndpoint(logprobs=False, constrains=False, writes="some sound")
    card = evaluated(behind_stub(stub, keep_replies=True), tmp_path / "run.json")
    arms = {score.arm.name: score for score in card.arms}
    assert set(arms) == {"zero-shot", "retrieved@2", "vote@2"}
    assert (arms["retrieved@2"].n_unparsed, arms["retrieved@2"].n_faults) == (6, 0)
    assert arms["retrieved@2"].primary.value == 0.0
    of_arm = {arm["name"]: arm for arm in card.to_dict()["arms"]}
    assert "ece" in of_arm["vote@2"]
    assert "ece" not in of_arm["retrieved@2"]
    assert of_arm["retrieved@2"]["n_unparsed"] == 6
    notes = " ".join(card.document["notes"])
    assert "nothing to blend and no calibration" in notes
    assert "the endpoint was sent" in notes
    from earful.rag.evaluation import write_report

    write_report(card, tmp_path / "report.html")


def test_a_paid_answer_is_never_asked_for_twice(behind_stub: Open, tmp_path: Path) -> None:
    stub = StubEndpoint(logprobs=False, prefers="low")
    few = behind_stub(stub, keep_replies=True)
    first = evaluated(few, tmp_path / "one.json")
    n = len(stub.asked)
    assert n == 12
    again = FewShot(retriever=few.retriever, model=few.model)
    second = evaluated(again, tmp_path / "two.json")
    assert len(stub.asked) == n
    assert [row["text"] for row in first.document["rows"]] == [
        row["text"] for row in second.document["rows"]
    ]
    assert np.isclose(first.arms[0].primary.value, second.arms[0].primary.value)
