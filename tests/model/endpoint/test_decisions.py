"""Decisions: told in words, in two orders, through the real client."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import EndpointError, ModelError, PromptError, PromptTooLargeError
from earful.model import ClipRef, Prompt, Text
from earful.model.endpoint import DecidingLanguageModel, EndpointSettings, Prices, load_endpoint
from earful.model.endpoint.canary import noise
from earful.model.endpoint.scoring import (
    Decision,
    DecisionRequest,
    decision_scores,
    in_two_orders,
    read_decisions,
    told_in_words,
)
from earful.testing.stub_endpoint import StubEndpoint

Open = Callable[..., DecidingLanguageModel]

SOUND = ClipRef(audio=noise(0.2, seed=2))
OPENING = Text(kind="system", text="Here are similar examples.")
QUESTION = Text(kind="user", text="Which?")
TOLD = (
    Text(kind="exemplar", text="Recording 1, similarity 0.91"),
    Text(kind="exemplar", text="dog", is_answer=True),
)
PROMPT = Prompt(parts=(OPENING, *TOLD, SOUND, QUESTION))
LABELS = ("dog", "cat", "dog bark")


@pytest.fixture
def open_model(serve: Callable[[StubEndpoint], StubEndpoint]) -> Open:
    """Serve a stub and open the model behind it, to decide."""

    def open_it(stub: StubEndpoint, **settings: Any) -> Any:
        serve(stub)
        given = EndpointSettings(base_url=stub.address, scoring="decisions", **settings)
        return load_endpoint("openai:ears-7b", given)

    return open_it


def test_labels_are_choices_in_two_orders_and_their_probabilities_averaged(
    open_model: Open,
) -> None:
    stub = StubEndpoint(decides=255, prefers="cat")
    model = open_model(stub)
    shares = np.exp([float(tokens[0]) for tokens in model.score(PROMPT, LABELS)])
    # A liking for the first choice falls on "dog" once, and once on "dog bark".
    np.testing.assert_allclose(shares, [1 / 30 + 0.1, 1 / 30 + 0.7, 1 / 30 + 0.1])
    (body,) = stub.asked
    assert body == {
        "model": "ears-7b",
        "input": "Here are similar examples.\nRecording 1, similarity 0.91: dog\nThe recording "
        "that is asked about cannot be heard here. Judge by the recordings above: the more "
        "similar one is to it, the more its answer counts.",
        "questions": [
            {
                "type": "choice",
                "instructions": "Which?",
                "choices": [{"value": label} for label in order],
            }
            for order in (LABELS, LABELS[::-1])
        ],
    }
    limits = model.capabilities
    assert (limits.name, limits.scoring, limits.max_answers) == ("openai:ears-7b", "decisions", 255)
    assert (limits.shot_modes, limits.hears, limits.logprobs) == (("text",), "no", True)
    assert model.choose(PROMPT, LABELS).row == 1


def test_no_recording_is_sent_and_none_announced(open_model: Open) -> None:
    said: list[str] = []
    stub = StubEndpoint(decides=255)
    model = open_model(stub, on_upload=said.append)
    model.score(PROMPT, LABELS)
    assert len(stub.bodies) == 2  # one check, one question
    assert not said
    assert "base64" not in str(stub.bodies)
    assert "audio" not in str(stub.bodies)


def test_decisions_are_made_only_where_they_are_asked_for(
    serve: Callable[[StubEndpoint], StubEndpoint],
) -> None:
    stub = serve(StubEndpoint(decides=255))
    heard = load_endpoint("openai:", EndpointSettings(base_url=stub.address))
    assert not isinstance(heard, DecidingLanguageModel)
    assert heard.check().scoring == "exact"
    assert all("questions" not in body for body in stub.bodies)


@pytest.mark.parametrize(("owner", "reason"), [("vllm", "501"), ("sglang", "404")])
def test_a_server_without_decisions_is_told_apart(
    open_model: Open, owner: str, reason: str
) -> None:
    stub = StubEndpoint(owner=owner)
    with pytest.raises(EndpointError, match=f"makes no decisions.*{reason}.*leave --scoring out"):
        open_model(stub, retries=0).check_hearing()
    assert len(stub.bodies) == 1


def test_a_field_that_the_server_does_not_know_is_named(open_model: Open) -> None:
    model = open_model(StubEndpoint(decides=255), fields={"chat_template_kwargs": {}})
    with pytest.raises(EndpointError, match="chat_template_kwargs: Extra inputs"):
        model.check()


def test_how_many_choices_a_model_takes_is_found_out(open_model: Open) -> None:
    stub = StubEndpoint(decides=26)
    model = open_model(stub)
    found = model.check()
    assert (found.max_choices, found.n_requests, model.capabilities.max_answers) == (26, 1, 26)
    assert "did not read the number in a test with 26 choices" in found.reason
    assert (found.hears, found.scoring, found.server) == ("no", "decisions", "vLLM")
    with pytest.raises(PromptError, match="27 answers, expected at most 26 in one decision"):
        model.score(PROMPT, [f"label {n}" for n in range(27)])
    assert not stub.asked


@pytest.mark.slow
def test_a_check_is_believed_for_a_day_and_is_no_check_of_hearing(open_model: Open) -> None:
    stub = StubEndpoint(decides=255, prefers="128")
    assert "it read the number" in open_model(stub).check().reason
    n = len(stub.bodies)
    settings = EndpointSettings(base_url=stub.address, scoring="decisions")
    load_endpoint("openai:", settings).check()
    assert len(stub.bodies) == n
    load_endpoint("openai:", settings).check(anew=True)
    assert len(stub.bodies) == n + 1
    assert load_endpoint("openai:", EndpointSettings(base_url=stub.address)).check().max_audios > 1


def test_a_refusal_to_answer_is_an_error_of_that_question(open_model: Open) -> None:
    model = open_model(StubEndpoint(owner="openai", decides=255, declines=True))
    with pytest.raises(PromptError, match="declines to decide"):
        model.score(PROMPT, LABELS)


def test_what_is_too_large_is_said_so_and_shots_may_be_halved(open_model: Open) -> None:
    stub = StubEndpoint(decides=255)
    model = open_model(stub)
    model.check()
    stub.faults = [(413, {"error": {"message": "too large"}}, {})]
    with pytest.raises(PromptTooLargeError):
        model.score(PROMPT, LABELS)


def test_labels_that_hardly_count_and_an_order_that_decides_are_noted(open_model: Open) -> None:
    model = open_model(StubEndpoint(decides=255, prefers="cat", mass=0.3))
    model.score(PROMPT, LABELS)
    (note,) = model.take_report().notes
    assert "they have 30% of the probability" in note
    found = [
        Decision(probabilities={"a": share, "b": 1 - share}, confidence=0.1) for share in (0.6, 0.4)
    ]
    scores, notes = decision_scores(["a", "b"], found, "OpenAI")
    np.testing.assert_allclose(np.exp(scores), [0.5, 0.5])
    assert notes == (
        "which label the model decides for depends on the order in which they are listed: 'a' or "
        "'b'",
    )


def test_tokens_are_counted_and_priced(open_model: Open) -> None:
    model = open_model(StubEndpoint(decides=255), prices=Prices(prompt=1.0, completion=0.0))
    model.check()
    model.take_report()
    model.score(PROMPT, LABELS)
    report = model.take_report()
    n_words = len(told_in_words(PROMPT)[0].split())
    assert (report.n_requests, report.prompt_tokens) == (1, 2 * n_words)
    assert report.cost == pytest.approx(2e-6 * n_words)
    assert report.server_model == "ears-7b"


def test_kept_replies_are_not_asked_for_again(open_model: Open) -> None:
    stub = StubEndpoint(decides=255, prefers="cat")
    model = open_model(stub, keep_replies=True)
    first = model.score(PROMPT, LABELS)
    again = model.score(PROMPT, LABELS)
    assert len(stub.asked) == 1
    np.testing.assert_array_equal(first, again)
    assert model.total.n_kept == 1


def test_one_answer_needs_no_request(open_model: Open) -> None:
    stub = StubEndpoint(decides=255)
    (score,) = open_model(stub).score(PROMPT, ["dog"])
    assert score.tolist() == [0.0]
    assert not stub.asked


def test_nothing_is_written(open_model: Open) -> None:
    model = open_model(StubEndpoint(decides=255))
    with pytest.raises(ModelError, match="no words of their own"):
        model.generate(PROMPT)


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ((SOUND, QUESTION), "there is none"),
        ((*TOLD, SOUND), "without a question"),
        ((ClipRef(audio=SOUND.audio, is_exemplar=True), *TOLD, SOUND, QUESTION), "in words"),
    ],
)
def test_what_cannot_be_told_in_words_is_refused(parts: tuple[Any, ...], word: str) -> None:
    with pytest.raises(PromptError, match=word):
        told_in_words(Prompt(parts=parts))


def test_control_strings_are_broken() -> None:
    told, question = told_in_words(
        Prompt(parts=(*TOLD, SOUND, Text(kind="user", text="a<|im_end|>b")))
    )
    assert question == "a< |im_end|>b"
    assert told.startswith("Recording 1")


def _reply(**answer: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "type": "choice",
        "confidence": 0.5,
        "probabilities": [{"value": "a", "probability": 0.5}, {"value": "b", "probability": 0.5}],
    }
    return {"answers": [{**whole, **answer}]}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"answers": {"q": {}}},
        {"answers": []},
        _reply(type="predicate"),
        _reply(probabilities=[{"value": "a", "probability": 1.0}]),
        _reply(probabilities=[{"value": x, "probability": 0.9} for x in "ab"]),
        _reply(probabilities=[{"value": x, "probability": float("nan")} for x in "ab"]),
        _reply(probabilities=[{"value": x, "probability": 0.5} for x in "ac"]),
        _reply(probabilities=[{"value": x, "probability": 0.5} for x in "aa"]),
        _reply(probabilities="ab"),
        _reply(confidence="high"),
    ],
)
def test_what_is_no_decision_is_refused(values: dict[str, Any]) -> None:
    asked = in_two_orders("told", "Which?", ["a", "b"])
    request = DecisionRequest(input=asked.input, questions=asked.questions[:1])
    with pytest.raises(EndpointError, match="answers a decision with what is none"):
        read_decisions(values, request, "localhost:1")


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=30).filter(lambda x: sum(x) > 0.1))
def test_what_is_read_is_what_was_told(weights: list[float]) -> None:
    answers = [f"label {n}" for n in range(len(weights))]
    shares = dict(zip(answers, (np.array(weights) / sum(weights)).tolist(), strict=True))
    request = in_two_orders("told", "Which?", answers)
    reply = {
        "answers": [
            {
                "type": "choice",
                "probabilities": [
                    {"value": choice["value"], "probability": shares[choice["value"]]}
                    for choice in question["choices"]
                ],
            }
            for question in request.questions
        ]
    }
    scores, notes = decision_scores(answers, read_decisions(reply, request, "x"), "unknown")
    np.testing.assert_allclose(np.exp(scores), list(shares.values()), atol=1e-12)
    assert np.isfinite(scores).all()
    assert len(notes) <= 1
