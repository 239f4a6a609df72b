"""The canary: what it finds of servers that hear, drop, cap, cut and ignore."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from earful.errors import EndpointError
from earful.model import ClipRef, Prompt, Text
from earful.model.endpoint import CheckReport, EndpointLanguageModel, EndpointSettings
from earful.model.endpoint.canary import noise
from earful.model.endpoint.kept import DAY_S
from earful.testing.stub_endpoint import StubEndpoint, audio_of

Open = Callable[..., EndpointLanguageModel]

PROMPT = Prompt(parts=(ClipRef(audio=noise(0.5, seed=3)), Text(kind="user", text="What is it?")))


CHECKS: list[tuple[StubEndpoint, dict[str, Any]]] = [
    (StubEndpoint(), {"hears": "verified", "max_audios": 100, "scoring": "exact"}),
    (StubEndpoint(owner="sglang"), {"server": "SGLang", "scoring": "first-token"}),
    (StubEndpoint(logprobs=False, constrains=False), {"scoring": "text"}),
    (StubEndpoint(cap=1), {"hears": "verified", "max_audios": 1}),
    (StubEndpoint(form="audio_url"), {"hears": "verified", "form": "audio_url"}),
    (StubEndpoint(needs_audio=True), {"hears": "verified", "max_audios": 100}),
    (StubEndpoint(hears=0), {"hears": "no"}),
    # Nothing is counted, but what is heard changes the probabilities.
    (StubEndpoint(counts=False), {"hears": "verified"}),
]
MORE_CHECKS: list[tuple[StubEndpoint, dict[str, Any]]] = [
    (StubEndpoint(), {"tokens_per_second": 25.0, "max_seconds": 300.0, "max_tokens": 32_768}),
    (StubEndpoint(owner="llamacpp"), {"server": "llama.cpp", "scoring": "first-token"}),
    (StubEndpoint(owner="llamacpp", logprobs=False), {"scoring": "choice"}),
    (StubEndpoint(owner="openai", logprobs=False), {"scoring": "choice"}),
    (StubEndpoint(owner="sglang", cap=2), {"hears": "verified", "max_audios": 2}),
    (StubEndpoint(hears=1), {"hears": "verified", "max_audios": 1}),
    (StubEndpoint(cut_s=30.0), {"max_seconds": 30.0, "tokens_per_second": 25.0}),
    (StubEndpoint(form="input_audio"), {"form": "input_audio"}),
    (StubEndpoint(system=False), {"hears": "verified", "system_text": False}),
    (StubEndpoint(needs_audio=True, system=False), {"hears": "verified"}),
    (StubEndpoint(needs_audio=True, hears=1), {"hears": "verified", "max_audios": 1}),
    (StubEndpoint(needs_audio=True, hears=0, logprobs=False), {"hears": "unverified"}),
    (StubEndpoint(cap=0), {"hears": "no"}),
    (StubEndpoint(form="neither"), {"hears": "no"}),
    (StubEndpoint(counts=False, hears=0), {"hears": "unverified"}),
    (StubEndpoint(counts=False, logprobs=False), {"hears": "unverified"}),
]


@pytest.mark.parametrize(
    ("stub", "found"),
    [*CHECKS, *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE_CHECKS)],
)
def test_what_a_check_finds(open_model: Open, stub: StubEndpoint, found: dict[str, Any]) -> None:
    report = open_model(stub).check().to_dict()
    assert {name: report[name] for name in found} == found, report["reason"]
    assert report["reason"]
    assert len(stub.bodies) <= 18


def test_llama_cpp_without_ears_is_deaf_and_no_fault(open_model: Open) -> None:
    stub = StubEndpoint(owner="llamacpp", cap=0)
    report = open_model(stub, retries=0).check()
    assert report.hears == "no"
    assert "audio input is not supported" in report.reason


def test_who_drops_recordings_is_not_asked(open_model: Open) -> None:
    stub = StubEndpoint(hears=0)
    model = open_model(stub)
    with pytest.raises(EndpointError, match=r"hears no recording: .*27 -> 27.*without a word"):
        model.generate(PROMPT)
    assert not stub.asked


def test_the_same_words_are_sent_with_more_and_more_recordings(open_model: Open) -> None:
    stub = StubEndpoint()
    open_model(stub).check()
    by_number = {}
    for body in stub.bodies[:6]:
        n = len(audio_of(body))
        words = [
            [part for part in message["content"] if part["type"] == "text"]
            if isinstance(message["content"], list)
            else message["content"]
            for message in body["messages"]
        ]
        by_number[n] = json.dumps(words)
        roles = [message["role"] for message in body["messages"]]
        assert roles == ["system", *["user", "assistant"] * 2, "user"]
        assert body["max_completion_tokens"] == 1
    assert sorted(by_number) == [0, 1, 2, 3]
    assert len(set(by_number.values())) == 1


def test_a_check_is_believed_for_a_day(open_model: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = StubEndpoint()
    first = open_model(stub).check()
    n = len(stub.bodies)

    def again(**how: bool) -> CheckReport:
        settings = EndpointSettings(base_url=stub.address)
        return EndpointLanguageModel("ears-7b", settings).check(**how)

    assert again() == first
    assert len(stub.bodies) == n
    assert again(anew=True).hears == "verified"
    assert len(stub.bodies) == 2 * n
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + DAY_S)
    again()
    assert len(stub.bodies) == 3 * n


def test_a_way_to_score_that_is_not_there_is_refused(open_model: Open) -> None:
    with pytest.raises(EndpointError, match="cannot score by 'exact': expected choice or text"):
        open_model(StubEndpoint(logprobs=False), scoring="exact").check()
    model = open_model(StubEndpoint(), scoring="text")
    model.check()
    assert model.capabilities.scoring == "text"
