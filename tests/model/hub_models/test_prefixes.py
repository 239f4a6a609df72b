"""Beginnings that prompts share: read once, kept, and the same to the last bit."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earful.model import ClipRef, GenerationOptions, Prompt, Text
from earful.model.hub_models import HubLanguageModel
from earful.model.hub_models.reading import KeptPrefixes, Reading, cut_points, prefix_keys
from earful.model.hub_models.reading.network import _most_alike
from tests.model.hub_models.conftest import (
    LABELS,
    Scores,
    anew,
    ask,
    assert_close,
    noise,
    read_parts,
)

SHOTS = [noise(1.0, 11), noise(1.4, 12)]
OTHERS = [noise(1.2, 13), noise(0.8, 14)]


def in_one_pass(model: HubLanguageModel, prompt: Prompt) -> Scores:
    model.network.keeps_prefixes = False
    try:
        return model.score(prompt, LABELS)
    finally:
        model.network.keeps_prefixes = True


def test_a_kept_beginning_scores_to_the_bit_as_a_fresh_prompt(fresh: HubLanguageModel) -> None:
    prompts = [ask(*SHOTS, noise(1.0, seed)) for seed in (21, 22)]
    expected = [anew(fresh, prompt) for prompt in prompts]
    fresh.network.kept.clear()
    for prompt, scores in zip(prompts, expected, strict=True):
        assert_close(fresh.score(prompt, LABELS), scores, atol=0)
        assert_close(in_one_pass(fresh, prompt), scores)
    assert fresh.self_test.keeps_prefixes
    assert fresh.self_test.asks_together


@pytest.mark.slow
def test_interleaved_queries_of_two_tasks_are_right(fresh: HubLanguageModel) -> None:
    prompts = [
        ask(*shots, noise(0.7, seed), question=question)
        for seed in (31, 32)
        for shots, question in ((SHOTS, "what is it?"), (OTHERS, "which?"))
    ]
    expected = [anew(fresh, prompt) for prompt in prompts]
    fresh.network.kept.clear()
    for prompt, scores in zip(prompts, expected, strict=True):
        assert_close(fresh.score(prompt, LABELS), scores, atol=0)


def test_only_what_follows_the_exemplars_is_read_again(
    empty: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = read_parts(empty, monkeypatch)
    queries = [noise(1.0, seed) for seed in (41, 42)]
    for query in queries:
        empty._hearing.features(ClipRef(audio=query))
    n_tokens = [empty.measure(ask(*SHOTS, query)).n_tokens for query in queries]
    empty.score(ask(*SHOTS, queries[0]), ["x"])
    assert sum(n for _, n in parts) == n_tokens[0]
    shared = parts[0][1]
    parts.clear()
    empty.score(ask(*SHOTS, queries[1]), ["x"])
    assert sum(n for _, n in parts) == n_tokens[1] - shared
    # Another exemplar, or another order, is another beginning.
    for shots in ([SHOTS[0], OTHERS[1]], SHOTS[::-1]):
        parts.clear()
        found = empty.score(ask(*shots, queries[1]), LABELS)
        assert sum(n for _, n in parts) >= shared
        assert_close(found, anew(empty, ask(*shots, queries[1])), atol=0)


def test_another_question_about_a_recording_reads_the_question(
    empty: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [SHOTS[0], noise(2.0, 51)]
    shown = ask(*clips)
    parts = read_parts(empty, monkeypatch)
    empty.score(shown, ["x"])
    parts.clear()
    other = Prompt(parts=(*shown.parts[:-1], Text(kind="user", text="is it loud?")))
    found = empty.score(other, LABELS)
    assert len(parts) == 1
    assert_close(found, anew(empty, other), atol=0)


@pytest.mark.slow
def test_a_dialogue_goes_on_from_its_last_turn(
    fresh: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = GenerationOptions(max_new_tokens=4, stop_repetition=False)
    said: list[Text] = [Text(kind="user", text="what is it, and where?")]
    opening = (Text(kind="system", text="S"), ClipRef(audio=noise(1.0, 61)))
    parts = read_parts(fresh, monkeypatch)
    sizes: list[tuple[int, int]] = []
    for question in ("is it near?", "is it loud?", ""):
        prompt = Prompt(parts=(*opening, *said), is_dialogue=True)
        answer = fresh.generate(prompt, options)
        sizes.append((fresh.measure(prompt).n_tokens, sum(n for _, n in parts)))
        kept = fresh.score(prompt, LABELS)
        assert_close(kept, anew(fresh, prompt), atol=0)
        said += [Text(kind="assistant", text=answer.text or "x"), Text(kind="user", text=question)]
        parts.clear()
    # Each turn but the first reads what was added.
    for (before, _), (after, read_now) in pairwise(sizes):
        assert read_now <= after - before


@pytest.mark.slow
def test_memory_for_beginnings_is_bounded(
    empty: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [ask(noise(1.0, seed), SHOTS[0]) for seed in range(70, 76)]
    expected = [anew(empty, prompt) for prompt in prompts]
    most = 3 * empty.network.kept.n_bytes
    kept = KeptPrefixes(most)
    monkeypatch.setattr(empty.network, "kept", kept)
    for prompt, scores in zip(prompts, expected, strict=True):
        assert_close(empty.score(prompt, LABELS), scores, atol=0)
        assert 0 < kept.n_bytes <= most
    monkeypatch.setattr(empty.network, "kept", KeptPrefixes(10))
    assert_close(empty.score(prompts[0], LABELS), expected[0], atol=0)
    assert not len(empty.network.kept)


def test_the_longest_beginning_of_a_prompt_goes_first() -> None:
    def reading(n: int) -> Reading:
        layer = SimpleNamespace(keys=torch.zeros(n), values=None)
        logits = torch.zeros(0)
        return Reading(cache=SimpleNamespace(layers=[layer]), logits=logits, n_tokens=n)

    kept = KeptPrefixes(40 * 4)
    kept.keep([("exemplars", reading(20)), ("first", reading(21))])
    assert [key in kept for key in ("exemplars", "first")] == [True, False]
    # What a query goes on from outlives the query.
    for query in ("second", "third"):
        found = kept.longest(["exemplars", query])
        assert found is not None
        assert found[0] == 0
        kept.keep([(query, reading(15))], behind="exemplars")
    assert [key in kept for key in ("exemplars", "second", "third")] == [True, False, True]
    # Another task's exemplars go once they are the oldest.
    kept.keep([("others", reading(30))])
    assert [key in kept for key in ("exemplars", "third", "others")] == [False, False, True]
    kept.keep([("too long", reading(41))])
    assert [key in kept for key in ("others", "too long")] == [True, False]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.lists(st.integers(0, 3), min_size=5, max_size=5),
    st.booleans(),
)
def test_cuts_rise_and_split_no_recording(
    sizes: list[int], gaps: list[int], is_dialogue: bool
) -> None:
    between = [np.zeros(1 + gap, dtype=bool) for gap in gaps]
    runs = [np.ones(size, dtype=bool) for size in sizes]
    pieces = [piece for pair in zip(between, runs, strict=False) for piece in pair]
    is_audio = np.concatenate([*pieces, between[-1]])
    ids = np.arange(is_audio.size) % 3
    cuts = cut_points(ids, is_audio, sizes, end_id=2, is_dialogue=is_dialogue)
    assert list(cuts) == sorted(set(cuts))
    assert all(0 < cut <= ids.size for cut in cuts)
    for cut in cuts:
        # A cut has audio on one side at most.
        assert cut == ids.size or not (is_audio[cut - 1] and is_audio[cut])


def test_digests_know_ids_features_and_cuts() -> None:
    ids, is_audio = np.arange(6), np.array([0, 1, 1, 0, 0, 0], dtype=bool)
    features = np.ones((2, 3), dtype=np.float32)
    keys = prefix_keys(ids, is_audio, features, [3, 6])
    assert prefix_keys(ids, is_audio, features, [3])[0] == keys[0]
    others = [
        prefix_keys(ids, is_audio, features, [6])[0],
        prefix_keys(ids + 1, is_audio, features, [3, 6])[1],
        prefix_keys(ids, is_audio, 2 * features, [3, 6])[1],
    ]
    assert len({keys[1], *others}) == 4


def test_a_prompt_whose_length_changes_its_beginning_is_read_in_one_pass(
    empty: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def config(rope: dict[str, Any]) -> Any:
        text = SimpleNamespace(
            to_dict=lambda: {"rope_parameters": rope}, original_max_position_embeddings=4096
        )
        return SimpleNamespace(get_text_config=lambda: text)

    assert _most_alike(config({"rope_type": "default"})) == np.inf
    assert _most_alike(config({"rope_type": "longrope"})) == 4096
    own = {"rope_type": "longrope", "original_max_position_embeddings": 64}
    assert _most_alike(config({"full_attention": own})) == 64
    monkeypatch.setattr(empty.network, "most_alike", 64)
    parts = read_parts(empty, monkeypatch)
    empty._read(ask(*SHOTS, SHOTS[0]), room=1)
    parts.clear()
    empty.score(ask(*SHOTS, SHOTS[0]), ["x"])
    assert len(parts) == 1
    assert not len(empty.network.kept)


def test_beginnings_make_room_for_a_prompt(
    empty: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = empty.score(ask(*SHOTS, noise(1.0, 81)), LABELS)
    network, full = empty.network, empty.network._read_part

    def no_room(*given: Any) -> Any:
        if len(network.kept):
            raise torch.OutOfMemoryError
        return full(*given)

    monkeypatch.setattr(network, "_read_part", no_room)
    other = ask(*SHOTS, noise(0.5, 82))
    found = empty.score(other, LABELS)
    monkeypatch.undo()
    assert_close(found, anew(empty, other), atol=0)
    assert_close(empty.score(ask(*SHOTS, noise(1.0, 81)), LABELS), expected, atol=0)
