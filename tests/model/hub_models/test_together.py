"""Prompts of different lengths, read together."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from earful.errors import AudioError, PromptError
from earful.model import AsksAhead, ClipRef, Prompt, Text
from earful.model.hub_models import HubLanguageModel, run_self_test
from tests.model.hub_models.conftest import LABELS, anew, ask, assert_close, noise, read_parts

SHOTS = [noise(1.0, 11), noise(1.4, 12)]
OTHERS = [noise(1.2, 13), noise(0.8, 14)]
RAGGED = [
    ask(SHOTS[0], noise(1.7, 91)),
    ask(OTHERS[1], noise(1.4, 92), question="which one?"),
    ask(OTHERS[0], noise(0.9, 93)),
]


def together(model: HubLanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a model read several prompts at once, as on a GPU."""
    monkeypatch.setattr(model, "_capabilities", replace(model.capabilities, max_prompts=4))


def test_ragged_prompts_score_as_single_ones(
    fresh: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [LABELS, ["x"], ["siren", "a"]]
    expected = [anew(fresh, *own) for own in zip(RAGGED, labels, strict=True)]
    fresh.network.kept.clear()
    together(fresh, monkeypatch)
    parts = read_parts(fresh, monkeypatch)
    fresh.ask_ahead(list(zip(RAGGED, labels, strict=True)))
    assert max(rows for rows, _ in parts) == 3
    parts.clear()
    for prompt, own, scores in zip(RAGGED, labels, expected, strict=True):
        assert_close(fresh.score(prompt, own), scores)
    assert not parts
    # Each is given once, so nothing stale is ever said.
    fresh.score(RAGGED[0], LABELS)
    assert parts


def test_a_failing_prompt_costs_itself_alone(
    empty: HubLanguageModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    assert isinstance(empty, AsksAhead)
    together(empty, monkeypatch)
    lost = Prompt(parts=(ClipRef(audio=tmp_path / "lost.wav"), Text(kind="user", text="which?")))
    asked = [(RAGGED[0], LABELS), (lost, LABELS), (RAGGED[1], ["same", "same"]), (RAGGED[2], ["a"])]
    empty.ask_ahead(asked)
    assert len(empty._ahead) == 2
    with pytest.raises(AudioError, match=r"lost\.wav"):
        empty.score(*asked[1])
    with pytest.raises(PromptError, match="are the same"):
        empty.score(*asked[2])
    assert_close(empty.score(*asked[3]), anew(empty, *asked[3]))


def test_memory_for_several_prompts_is_bounded(
    empty: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    together(empty, monkeypatch)
    parts = read_parts(empty, monkeypatch)
    expected = [anew(empty, prompt) for prompt in RAGGED]
    longest = max(empty.measure(prompt).n_tokens for prompt in RAGGED)
    for most, rows in ((2 * longest - 1, 2), (3 * longest, 3), (10, 0)):
        monkeypatch.setattr("earful.model.hub_models.reading.together.MOST_TOKENS", most)
        parts.clear()
        empty.network.kept.clear()
        empty._ahead.clear()
        empty.ask_ahead([(prompt, LABELS) for prompt in RAGGED])
        assert max((n for n, _ in parts), default=0) == rows
        assert all(n * size <= most for n, size in parts)
        for prompt, scores in zip(RAGGED, expected, strict=True):
            assert_close(empty.score(prompt, LABELS), scores)
    # And copies for answers: one at a time, where no more fit.
    empty.network.kept.clear()
    monkeypatch.setattr("earful.model.hub_models.reading.together.MOST_TOKENS", 10_000)
    monkeypatch.setattr(empty.network, "batches_answers", False)
    empty.ask_ahead([(prompt, LABELS) for prompt in RAGGED])
    assert len(empty._ahead) == 3
    assert_close(empty.score(RAGGED[0], LABELS), expected[0])
    empty._ahead.clear()


def test_prompts_that_begin_alike_go_one_by_one(
    empty: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    together(empty, monkeypatch)
    alike = [ask(*SHOTS, noise(1.0, seed)) for seed in (95, 96)]
    empty.ask_ahead([(prompt, ["x"]) for prompt in (*alike, RAGGED[1])])
    assert not empty._ahead
    assert [len(empty.score(prompt, ["x"])) for prompt in alike] == [1, 1]


def test_without_memory_prompts_are_read_one_at_a_time(
    empty: HubLanguageModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    together(empty, monkeypatch)

    def no_room(*_given: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("earful.model.hub_models.language_model.score_together", no_room)
    empty.ask_ahead([(prompt, LABELS) for prompt in RAGGED])
    assert "one at a time from now on" in caplog.text
    assert empty.capabilities.max_prompts == 1
    assert len(empty.score(RAGGED[0], LABELS)) == 3


def test_on_a_cpu_prompts_are_read_one_at_a_time(empty: HubLanguageModel) -> None:
    assert empty.capabilities.max_prompts == 1
    empty.ask_ahead([(prompt, LABELS) for prompt in RAGGED])
    assert not empty._ahead


@pytest.mark.slow
def test_the_self_test_finds_what_several_prompts_change(
    empty: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, part = empty.network, empty.network._read_part

    def off(before: Any, *given: Any) -> Any:
        found = part(before, *given)
        return found if before is None else replace(found, logits=found.logits.roll(1))

    monkeypatch.setattr(network, "_read_part", off)
    found = run_self_test(empty.renderer, network)
    assert (found.keeps_prefixes, found.asks_together) == (False, True)
    monkeypatch.undo()

    def refuses(*_given: Any) -> Any:
        raise ValueError("this model takes one prompt")

    monkeypatch.setattr("earful.model.hub_models.self_test.score_batch", refuses)
    found = run_self_test(empty.renderer, network)
    assert (found.keeps_prefixes, found.asks_together) == (True, False)
    assert not len(network.kept)
