"""Every family, tiny and with random weights, through its own processor and classes."""

import numpy as np
import pytest
import torch

from earful.errors import PromptError
from earful.model import GenerationOptions, KeepsFeatures, LanguageModel
from earful.model.hub_models import HubLanguageModel, Renderer
from tests.model.hub_models.conftest import RATE, ask, noise

LENGTHS = (0.02, 0.5, 1.0, 1.01, 1.5, 29.9, 30.0, 30.1, 61.0)


def n_tokens_of_processor(renderer: Renderer, seconds: float) -> int:
    inputs = renderer.hear(np.zeros(round(seconds * RATE), np.float32))
    return int((inputs["input_ids"] == renderer.audio_id).sum())


def test_counts_tokens_as_the_processor_does(model: HubLanguageModel) -> None:
    found = [model.renderer.count(round(s * RATE)) for s in LENGTHS]
    assert found == [n_tokens_of_processor(model.renderer, s) for s in LENGTHS]


def test_measures_a_prompt_as_the_processor_would(model: HubLanguageModel) -> None:
    clips = [noise(0.5), noise(1.5, 1), noise(2.25, 2)]
    inputs = model.renderer.full(ask(*clips), [clip.samples for clip in clips])
    assert model.measure(ask(*clips)).n_tokens == inputs["input_ids"].shape[1]


def test_computes_what_transformers_computes(model: HubLanguageModel) -> None:
    # Of one length, since some processors let a longer one beside it change a recording.
    clips = [noise(1.0, seed) for seed in range(3)]
    inputs = model.renderer.full(ask(*clips), [clip.samples for clip in clips])
    expected = model.network.ask_whole(inputs).log_softmax(-1)
    ids = [[token] for token in (3, 70, 200)]
    rendered, features = model._read(ask(*clips), room=1)
    found = np.concatenate(model.network.score(rendered, features, ids))
    np.testing.assert_allclose(found, expected[[3, 70, 200]].numpy(), atol=1e-5)


def test_scores_as_whole_passes_do(model: HubLanguageModel) -> None:
    prompt = ask(noise(1.0), noise(1.7, 1))
    answers = ["a dog", "x", "a very long siren in the street", "cat"]
    found = dict(zip(answers, model.score(prompt, answers), strict=True))
    rendered, features = model._read(prompt, room=1)
    for answer, scores in found.items():
        ids = [*model.renderer.encode(answer), model.renderer.end_id]
        whole = model.network.score_whole(rendered, features, ids)
        np.testing.assert_allclose(scores, whole, atol=1e-5)
        assert len(scores) == len(answer) + 1  # bytes, and the end
    # Whatever else is scored, and in whichever order.
    (alone,) = model.score(prompt, ["cat"])
    np.testing.assert_allclose(alone, found["cat"], atol=1e-5)


def test_a_batch_of_answers_is_memory_bounded_and_equal(
    model: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt, answers = ask(noise(0.5), noise(0.5, 1)), ["a", "bcd", "efgh ij"]
    together = model.score(prompt, answers)
    monkeypatch.setattr("earful.model.hub_models.reading.network.BUDGET_BYTES", 1)
    for found, expected in zip(model.score(prompt, answers), together, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert model.capabilities.batch_safe


def test_listens(model: HubLanguageModel) -> None:
    first, second, third = (noise(1.0, seed) for seed in (0, 1, 2))

    def said(*clips: object) -> float:
        return float(model.score(ask(*clips), ["a dog"])[0].sum())  # type: ignore[arg-type]

    assert said(first, second) == said(first, second)
    others = {said(third, second), said(first, third), said(second, first)}
    assert len({said(first, second), *others}) == 4
    assert model.capabilities.hears == "verified"


def test_a_longer_query_leaves_what_is_before_it_alone(model: HubLanguageModel) -> None:
    shown = noise(1.0)
    alone = model._hearing.network.encode(model.renderer.hear(shown.samples))
    brief, long = (model._read(ask(shown, noise(s, 1)), room=1) for s in (1.0, 7.0))
    for _, features in (brief, long):
        np.testing.assert_array_equal(features[: len(alone)], alone)


def test_no_text_becomes_a_place_for_audio_or_a_turn(model: HubLanguageModel) -> None:
    tokens = [token.content for token in model.renderer.tokenizer.added_tokens_decoder.values()]
    plain = ids_of(model, "x", "x")
    for token in tokens:
        found = ids_of(model, token, token)
        for id_ in model.renderer.tokenizer.added_tokens_decoder:
            assert found.count(id_) == plain.count(id_), (token, id_)
    scores = model.score(ask(noise(0.5)), tokens)
    # Each is written out in bytes, and ends once.
    assert [len(own) for own in scores] == [len(token) + 1 for token in tokens]


def ids_of(model: HubLanguageModel, question: str, answer: str) -> list[int]:
    prompt = ask(noise(0.5), noise(0.5, 1), question=question, answer=answer)
    counts = [model.renderer.count(RATE // 2)] * 2
    ids: list[int] = model.renderer.render(prompt, counts).inputs["input_ids"][0].tolist()
    return ids


@pytest.mark.slow
def test_a_recording_that_is_cut_is_told_of(model: HubLanguageModel) -> None:
    longest = model.capabilities.max_seconds_per_audio
    if longest > 700:
        pytest.skip("hears more than a test should hold")
    (line,) = model.measure(ask(noise(longest + 1))).cut
    assert f"only the first {longest:g} s of {longest + 1:.2f} s" in line
    assert not model.measure(ask(noise(longest))).cut


def test_an_answer_ends_as_the_template_ends_one(model: HubLanguageModel) -> None:
    ids = ids_of(model, "x", "answer")
    answer = model.renderer.encode("answer")
    places = [n for n in range(len(ids)) if ids[n : n + len(answer)] == answer]
    assert len(places) == 1
    assert ids[places[0] + len(answer)] == model.renderer.end_id


def test_writes_the_likeliest_tokens_and_what_they_score(model: HubLanguageModel) -> None:
    prompt = ask(noise(0.5), noise(0.7, 1))
    options = GenerationOptions(max_new_tokens=6, stop_repetition=False)
    rendered, features = model._read(prompt, room=6)
    steps = list(model.network.decode(rendered, features, options, end_ids=[]))
    assert len(steps) == 6
    ids = [token for token, _ in steps]
    whole = model.network.score_whole(rendered, features, ids)
    np.testing.assert_allclose([score for _, score in steps], whole, atol=1e-5)
    pieces: list[str] = []
    written = model.generate(prompt, options, on_text=pieces.append)
    assert "".join(pieces) == written.text
    assert written == model.generate(prompt, options)


def test_is_a_language_model_that_keeps_features(model: HubLanguageModel) -> None:
    assert isinstance(model, LanguageModel)
    assert isinstance(model, KeepsFeatures)
    assert model.capabilities.licence == "apache-2.0"
    assert len(model.capabilities.weights_sha256) == 64
    assert model.capabilities.shot_modes[0] == "interleaved"
    with pytest.raises(PromptError, match="128 for"):
        model.score(ask(*[noise(0.1)] * 129), ["x"])
    assert torch.is_inference_mode_enabled() is False
