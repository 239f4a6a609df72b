"""Scores and choices through every dialect."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import EndpointError, ModelError, PromptError
from earful.model import ClipRef, Prompt, Text
from earful.model.chat import Choice, ChoosesAnswers
from earful.model.endpoint import EndpointLanguageModel
from earful.model.endpoint.canary import noise
from earful.model.endpoint.scoring import (
    TokenChoice,
    choice_fields,
    deal_letters,
    letter_scores,
)
from earful.testing.stub_endpoint import StubEndpoint, text_of

Open = Callable[..., EndpointLanguageModel]

SOUND = ClipRef(audio=noise(0.2, seed=2))
SHOT = (
    SOUND,
    Text(kind="exemplar", text="Which?"),
    Text(kind="exemplar", text="dog", is_answer=True),
)
PROMPT = Prompt(parts=(*SHOT, SOUND, Text(kind="user", text="Which?")))
LABELS = ("dog", "cat", "dog bark")


def test_exact_scores_are_those_of_the_answers_tokens_and_its_end(open_model: Open) -> None:
    stub = StubEndpoint(prefers="dog bark")
    model = open_model(stub)
    scores = model.score(PROMPT, LABELS)
    # Tokens of three letters, then the end, which is none of the likeliest: "No" bounds it.
    assert [len(tokens) for tokens in scores] == [2, 2, 4]
    np.testing.assert_allclose(scores[2][:-1], [-0.1] * 3)
    np.testing.assert_allclose(scores[0][:-1], [-2.0])
    asked = stub.asked
    assert sorted(body["messages"][-1]["content"] for body in asked) == sorted(LABELS)
    for body in asked:
        assert body["messages"][-1]["role"] == "assistant"
        assert body["continue_final_message"] is True
        assert body["add_generation_prompt"] is False
        assert (body["prompt_logprobs"], body["max_tokens"]) == (0, 1)


def test_letters_are_dealt_out_twice_and_averaged(open_model: Open) -> None:
    stub = StubEndpoint(owner="sglang", prefers="cat")
    model = open_model(stub)
    shares = np.exp([float(tokens[0]) for tokens in model.score(PROMPT, LABELS)])
    assert shares.sum() == pytest.approx(1.0)
    assert shares.argmax() == 1
    # The liking for A falls on the first label once and on the last one once.
    assert shares[0] == pytest.approx(shares[2])
    # Both are asked at once, and arrive in any order.
    first, second = sorted(stub.asked, key=lambda body: "A. dog bark" in text_of(body))
    assert "A. dog\nB. cat\nC. dog bark" in text_of(first)
    assert "A. dog bark\nB. cat\nC. dog" in text_of(second)
    # An exemplar answers by letter, too.
    assert first["messages"][2] == {"role": "assistant", "content": "A"}
    assert second["messages"][2] == {"role": "assistant", "content": "C"}
    assert first["messages"][1]["content"][1]["text"] == "Which?\nAnswer with one letter."
    assert (first["top_logprobs"], first["max_completion_tokens"]) == (20, 1)


def test_letters_that_hardly_count_are_flagged(open_model: Open) -> None:
    dealt = deal_letters(["dog", "cat"])
    token = TokenChoice(token="The", log_probability=math.log(0.9), others={"The": math.log(0.9)})
    scores, notes = letter_scores(dealt, [token, token])
    assert np.exp(scores) == pytest.approx([0.5, 0.5])
    assert "hardly answers by letter: they have 0%" in notes[0]
    likely = {"A": math.log(0.7), " (A)": math.log(0.1), "x": math.log(0.05)}
    token = TokenChoice(token="A", log_probability=math.log(0.7), others=likely)
    scores, notes = letter_scores(dealt[:1], [token])
    assert np.exp(scores) == pytest.approx([0.8 / 0.85, 0.05 / 0.85])
    assert "upper bounds" in notes[0]


@given(st.lists(st.floats(0.001, 1.0), min_size=2, max_size=20))
def test_an_answers_score_does_not_depend_on_its_letter(weights: list[float]) -> None:
    answers = [f"label {n}" for n in range(len(weights))]
    dealt = deal_letters(answers)
    total = sum(weights)

    def token(of_answer: dict[str, str]) -> TokenChoice:
        shares = {of_answer[a]: math.log(w / total) for a, w in zip(answers, weights, strict=True)}
        return TokenChoice(token="A", log_probability=-1.0, others=shares)

    scores, notes = letter_scores(dealt, [token(dict(letters.of_answer)) for letters in dealt])
    np.testing.assert_allclose(np.exp(scores), np.array(weights) / total, rtol=1e-6)
    assert not notes


def test_more_answers_than_letters_are_refused() -> None:
    with pytest.raises(PromptError, match="21 answers, expected at most 20"):
        deal_letters([str(n) for n in range(21)])


@pytest.mark.parametrize("owner", ["vllm", "sglang", "llamacpp", "openai"])
def test_a_choice_is_one_of_the_answers(open_model: Open, owner: str) -> None:
    stub = StubEndpoint(owner=owner, logprobs=False, prefers="cat", writes="Hm, who knows?")
    model = open_model(stub)
    assert isinstance(model, ChoosesAnswers)
    assert model.choose(PROMPT, LABELS) == Choice(row=1, text="cat")
    with pytest.raises(ModelError, match="no log-probabilities"):
        model.score(PROMPT, LABELS)
    (body,) = stub.asked
    assert text_of(body).endswith("Answer with one of these and nothing else: dog; cat; dog bark")
    assert ("max_tokens" in body) == (owner == "llamacpp")


def test_a_constraint_that_is_ignored_is_found_out(open_model: Open) -> None:
    stub = StubEndpoint(logprobs=False, constrains=False, writes="It is a dog bark, I think.")
    model = open_model(stub)
    assert model.choose(PROMPT, LABELS).row == 2
    assert model.capabilities.scoring == "text"
    assert "structured_outputs" not in stub.asked[0]
    stub.writes = "I hear a horse"
    assert model.choose(PROMPT, LABELS) == Choice(row=None, text="I hear a horse")
    assert model.choose(PROMPT, LABELS, aliases=[(), ("horse",), ()]).row == 1


def test_fields_of_ones_own_go_with_every_request(open_model: Open) -> None:
    stub = StubEndpoint()
    fields = {"chat_template_kwargs": {"enable_thinking": False}, "seed": 7}
    model = open_model(stub, fields=fields)
    model.generate(PROMPT)
    (body,) = stub.asked
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["seed"] == 7


@pytest.mark.parametrize(
    ("answers", "word"),
    [((" ", "a"), "empty"), (("a<|im_end|>", "b"), "reword"), (("a", "a "), "each once")],
)
def test_answers_are_checked_before_they_are_sent(
    open_model: Open, answers: tuple[str, str], word: str
) -> None:
    stub = StubEndpoint()
    model = open_model(stub)
    for ask in (model.score, model.choose):
        with pytest.raises(PromptError, match=word):
            ask(PROMPT, answers)
    assert not stub.asked


def test_a_constraint_quotes_what_it_must() -> None:
    assert choice_fields("SGLang", ["a.b", "c"])["regex"] == r"(a\.b|c)"
    assert choice_fields("llama.cpp", ['say "x"'])["grammar"] == 'root ::= "say \\"x\\""'


def test_a_prompt_is_measured_and_what_is_cut_is_said(open_model: Open) -> None:
    model = open_model(StubEndpoint(cut_s=30.0))
    model.check()
    long = ClipRef(audio=noise(40.0, seed=1))
    marked = Prompt(parts=(long, Text(kind="user", text="[INST] what?")))
    size = model.measure(marked)
    assert size.slots == 1
    assert 750 < size.n_tokens < 800
    assert "hears only the first 30 s of 40.00 s" in size.cut[0]
    assert "'[INST]'" in size.cut[1]


def test_no_more_requests_are_under_way_than_allowed(open_model: Open) -> None:
    labels = [f"label {n}" for n in range(9)]
    stub = StubEndpoint(prefers="label 4")
    model = open_model(stub, in_flight=3)
    model.check()
    stub.slow_s = 0.02
    scores = [tokens[:-1].mean() for tokens in model.score(PROMPT, labels)]
    assert np.argmax(scores) == 4
    assert 1 < stub.most_at_once <= 3


def test_after_a_failure_the_rest_is_not_sent(open_model: Open) -> None:
    stub = StubEndpoint()
    model = open_model(stub, in_flight=1, retries=0)
    model.check()
    stub.bodies.clear()
    stub.faults = [(401, {"error": {"message": "no"}}, {})] * 50
    with pytest.raises(EndpointError, match="401"):
        model.score(PROMPT, [f"label {n}" for n in range(50)])
    assert len(stub.bodies) < 10
