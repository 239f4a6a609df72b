"""What an endpoint may answer, through the real client: requests, their number, and the words."""

import json
import logging
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from earful.errors import EndpointError, PromptTooLargeError, UnknownNameError
from earful.model import ClipRef, GenerationOptions, Prompt, Text, load_language_model
from earful.model.audio import Clip
from earful.model.endpoint import CheckReport, EndpointLanguageModel, EndpointSettings, Prices
from earful.testing.stub_endpoint import StubEndpoint

Open = Callable[..., EndpointLanguageModel]
Serve = Callable[[StubEndpoint], StubEndpoint]

SOUND = ClipRef(audio=Clip(samples=np.full(1600, 0.1, np.float32), sample_rate=16_000))
PROMPT = Prompt(parts=(SOUND, Text(kind="user", text="What is it?")))
NOW = {"Retry-After": "0.01"}


@pytest.fixture
def ready(open_model: Open) -> Open:
    """Open a model as if it had been checked, which takes a dozen requests."""
    found = CheckReport(server="vLLM", model="ears-7b", hears="verified", scoring="exact")

    def open_it(stub: StubEndpoint, **settings: Any) -> EndpointLanguageModel:
        model = open_model(stub, **settings)
        model._check, model._client.model = found, found.model
        model._apply(found, "identity")
        return model

    return open_it


def error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "X", "code": 1}}


# --- keys and addresses ----------------------------------------------------------------


def test_a_key_is_taken_from_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    far = EndpointSettings(base_url="https://api.example.com/v1")
    with pytest.raises(EndpointError, match="OPENAI_API_KEY is not set"):
        load_language_model("openai:x", endpoint=far)
    monkeypatch.setenv("OPENAI_API_KEY", "one")
    assert far.key() == "one"
    named = EndpointSettings(base_url="https://api.example.com/v1", key_variable="MINE")
    with pytest.raises(EndpointError, match="MINE is not set"):
        named.key()
    monkeypatch.setenv("MINE", "two")
    assert named.key() == "two"


def test_without_a_key_this_machine_is_sent_none(ready: Open) -> None:
    stub = StubEndpoint()
    ready(stub).generate(PROMPT)
    assert stub.headers[0]["authorization"] == "Bearer EMPTY"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("", "--base-url"),
        ("localhost:8000", "expected an address"),
        ("ftp://a/v1", "expected an address"),
        ("http://me:secret@a/v1", "without user"),
        ("http://a/v1?key=secret", "without user"),
    ],
)
def test_an_address_is_checked(given: str, word: str) -> None:
    with pytest.raises(EndpointError, match=word) as found:
        EndpointLanguageModel("x", EndpointSettings(base_url=given))
    assert "secret" not in str(found.value)


def test_a_stray_variable_sends_nothing_elsewhere(
    ready: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = serve(StubEndpoint())
    monkeypatch.setenv("OPENAI_BASE_URL", stray.address)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, stray.address.removesuffix("/v1"))
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    stub = StubEndpoint()
    ready(stub).generate(PROMPT)
    assert stub.bodies
    assert not stray.bodies
    assert not any("secret" in json.dumps(headers) for headers in stub.headers)


def test_a_redirection_is_not_followed(ready: Open, serve: Serve) -> None:
    other = serve(StubEndpoint())
    stub = StubEndpoint()
    model = ready(stub)
    stub.faults = [(307, "", {"Location": f"{other.address}/chat/completions"})]
    with pytest.raises(EndpointError, match=r"redirects to .*--base-url"):
        model.generate(PROMPT)
    assert not other.bodies


# --- faults -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message", "kind", "word", "n_posts"),
    [
        (400, "Invalid value: 'foo'", EndpointError, "refuses the request .400: Invalid", 1),
        (401, "Incorrect API key provided", EndpointError, "variable OPENAI_API_KEY", 1),
        (404, "The model does not exist", EndpointError, "is 'ears-7b' served there", 1),
        (413, "Request Entity Too Large", PromptTooLargeError, "show fewer or shorter", 1),
        (400, "maximum context length is 8192", PromptTooLargeError, "too large", 1),
        (500, "engine died", EndpointError, "fails .500: engine died.*sent 3 times.*billed", 3),
        (500, "audio input is not supported", EndpointError, "takes no recording", 3),
        (429, "slow down", EndpointError, "slow down.*sent 3 times", 3),
    ],
)
def test_a_fault_is_one_line(
    ready: Open, status: int, message: str, kind: type[Exception], word: str, n_posts: int
) -> None:
    stub = StubEndpoint()
    model = ready(stub)
    stub.faults = [(status, error(message), NOW)] * 3
    with pytest.raises(kind, match=word) as found:
        model.generate(PROMPT)
    assert "\n" not in str(found.value)
    assert len(stub.bodies) == n_posts


def test_a_limit_is_waited_for_as_long_as_the_server_says(ready: Open) -> None:
    stub = StubEndpoint(prefers="a dog")
    model = ready(stub)
    stub.faults = [(429, error("wait"), NOW)]
    assert model.generate(PROMPT).text == "a dog"
    report = model.take_report()
    assert (report.n_requests, report.n_posts, len(stub.bodies)) == (1, 2, 2)
    assert report.notes == ("1 request had to be repeated, and each may be billed",)


def test_fewer_recordings_are_learnt_of_a_refusal(ready: Open) -> None:
    stub = StubEndpoint()
    model = ready(stub)
    assert model.capabilities.max_audios == 100
    stub.cap = 5
    shot = (SOUND, Text(kind="exemplar", text="?"), Text(kind="exemplar", text="x", is_answer=True))
    with pytest.raises(PromptTooLargeError, match="takes 5 recordings in one prompt"):
        model.generate(Prompt(parts=(*shot * 6, *PROMPT.parts)))
    assert model.capabilities.max_audios == 5
    assert len(stub.bodies) == 1


def test_a_slow_server_is_given_up(ready: Open) -> None:
    stub = StubEndpoint()
    model = ready(stub, timeout_s=0.15, retries=1)
    stub.slow_s = 0.4
    with pytest.raises(EndpointError, match=r"within 0.15 s; it was sent 2 times.*--request-tim"):
        model.generate(PROMPT)
    assert len(stub.bodies) == 2


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/v1"
    model = EndpointLanguageModel("x", EndpointSettings(base_url=address, retries=0))
    with pytest.raises(EndpointError, match=rf"127.0.0.1:{port} cannot be reached"):
        model.check()


def test_a_page_is_no_answer(ready: Open) -> None:
    stub = StubEndpoint()
    model = ready(stub)
    stub.html = True
    with pytest.raises(EndpointError, match="answers with a page"):
        model.generate(PROMPT)


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{}]}, "{", [1]])
def test_what_is_no_reply_is_an_error_and_no_crash(ready: Open, body: Any) -> None:
    stub = StubEndpoint()
    model = ready(stub, retries=0)
    stub.faults = [(200, body, {})]
    with pytest.raises(EndpointError, match="answers with"):
        model.generate(PROMPT)


# --- models, streams, tokens ------------------------------------------------------------


@pytest.mark.slow
def test_the_only_model_needs_no_name(open_model: Open) -> None:
    stub = StubEndpoint()
    model = open_model(stub, name="")
    assert model.check().model == "ears-7b"
    assert model.capabilities.name == "openai:ears-7b"
    stub.listed = ["a", "b"]
    with pytest.raises(UnknownNameError, match="serves a, b; name one"):
        open_model(stub, name="").check()
    with pytest.raises(UnknownNameError, match="did you mean 'ears-7b'"):
        open_model(StubEndpoint(), name="ears-7").check()
    unlisted = open_model(StubEndpoint(listed=None), name="ears")
    assert unlisted.check().model == "ears"


def test_an_answer_is_streamed_without_thoughts_and_up_to_a_stop(ready: Open) -> None:
    stub = StubEndpoint(writes="<think>let me hear</think>A dog barks in the rain. It goes on.")
    model = ready(stub)
    pieces: list[str] = []
    options = GenerationOptions(stop=(". ",))
    written = model.generate(PROMPT, options, on_text=pieces.append)
    assert written.text == "".join(pieces) == "A dog barks in the rain"
    assert len(pieces) > 1
    assert stub.bodies[0]["stream_options"] == {"include_usage": True}
    assert model.take_report().prompt_tokens > 0


def test_an_answer_behind_a_thought_without_a_beginning_is_streamed_whole(ready: Open) -> None:
    pieces: list[str] = []
    stub = StubEndpoint(writes="Let me hear what this could be.</think>A dog barks.")
    written = ready(stub).generate(PROMPT, on_text=pieces.append)
    assert written.text == "A dog barks."
    assert "".join(pieces).endswith("\nA dog barks.")


def test_a_stream_of_nothing_is_no_answer(ready: Open) -> None:
    stub = StubEndpoint(prefers="a dog", streams=False)
    model = ready(stub)
    pieces: list[str] = []
    assert model.generate(PROMPT, on_text=pieces.append).text == "".join(pieces) == "a dog"
    assert [body.get("stream", False) for body in stub.bodies] == [True, False]
    assert any("streams nothing" in note for note in model.take_report().notes)
    stub.html = True
    with pytest.raises(EndpointError, match="answers with a page"):
        model.generate(PROMPT, on_text=pieces.append)


def test_tokens_and_cost_are_counted(ready: Open) -> None:
    stub = StubEndpoint()
    model = ready(stub, prices=Prices(prompt=1e6, completion=2e6))
    before = model.total.n_requests
    model.generate(PROMPT)
    report = model.take_report()
    assert report.prompt_tokens == 5  # three words, a tenth of a second
    assert report.cost == report.prompt_tokens + 2 * report.completion_tokens
    assert (report.server_model, report.fingerprint) == ("ears-7b", "fp_1")
    assert model.total.n_requests == before + 1
    assert model.take_report().n_requests == 0
    stub.counts = False
    model.generate(PROMPT)
    assert model.take_report().n_uncounted == 1


def test_a_reply_that_was_kept_is_not_asked_for_again(open_model: Open) -> None:
    stub = StubEndpoint(prefers="a dog")
    first = open_model(stub, keep_replies=True)
    first.check()
    stub.bodies.clear()
    assert first.generate(PROMPT).text == "a dog"
    again = EndpointLanguageModel(
        "ears-7b", EndpointSettings(base_url=stub.address, keep_replies=True)
    )
    stub.prefers = "a cat"
    assert again.generate(PROMPT).text == "a dog"
    assert again.generate(PROMPT, on_text=lambda _: None).text == "a dog"
    report = again.take_report()
    assert (report.n_posts, report.n_kept, len(stub.bodies)) == (0, 2, 1)
    # Another question is another request.
    assert again.generate(PROMPT, GenerationOptions(max_new_tokens=3)).text == "a cat"


# --- privacy ----------------------------------------------------------------------------


def test_nothing_is_sent_before_something_is_asked(open_model: Open) -> None:
    stub = StubEndpoint()
    told: list[str] = []
    model = open_model(stub, on_upload=told.append)
    assert model.capabilities.hears == "unverified"
    assert "ears-7b" in repr(model)
    model.measure(PROMPT)
    assert not stub.headers
    assert not told
    model.generate(PROMPT)
    model.generate(PROMPT)
    assert told == [f"recordings are sent to {stub.address[7:-3]}"]


def test_a_key_is_in_no_log_error_or_repr(
    ready: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    caplog.set_level(logging.DEBUG)
    stub = StubEndpoint()
    model = ready(stub)
    stub.faults = [(401, error("Incorrect key: sk-very-secret"), {})]
    with pytest.raises(EndpointError) as found:
        model.generate(PROMPT)
    assert stub.headers[0]["authorization"] == "Bearer sk-very-secret"
    shown = f"{found.value} {model!r} {model.__dict__!r} {caplog.text}"
    assert "very-secret" not in shown
    assert found.value.__cause__ is None


def test_unencrypted_recordings_are_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    # Any other host; nothing is sent, as there is none.
    told: list[str] = []
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    settings = EndpointSettings(base_url="http://ears.invalid/v1", retries=0, on_upload=told.append)
    client = EndpointLanguageModel("x", settings)._client
    from earful.model.endpoint.client import Request

    client._announce(Request(messages=(), fields={}, has_audio=True))
    assert told == ["recordings are sent to ears.invalid, unencrypted"]
