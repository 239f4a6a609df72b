"""The network in NumPy, against the torch network that trains it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.model import GenerationOptions
from earful.model.flamingo import (
    Flamingo,
    FlamingoConfig,
    FlamingoNetwork,
    Mode,
    NumpyFlamingo,
    PromptArrays,
    TorchFlamingo,
    flamingo_shapes,
    pack_answers,
)
from earful.model.runtime import shapes_of
from tests.support.small_flamingos import CONFIG, one_thread

TOLERANCE = 2e-5
"""Of log-probabilities, which reach -10: both compute in float32, in another order."""


@pytest.fixture(autouse=True, scope="module")
def calm() -> Iterator[None]:
    with one_thread():
        yield


@cache
def both(config: FlamingoConfig) -> tuple[TorchFlamingo, NumpyFlamingo]:
    """Make the same network twice, its gates open, no two of them alike."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Flamingo(config).eval().requires_grad_(False)
        for name, parameter in model.named_parameters():
            if name.endswith("gate"):
                parameter.uniform_(0.5, 1.5)
            elif "norm" in name or name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) / 8)
            else:
                parameter.mul_(1.7)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return TorchFlamingo(model), NumpyFlamingo(config, weights)


def prompt(
    config: FlamingoConfig, seed: int, *, length: int, n_audios: int, slots: int
) -> PromptArrays:
    """Draw a prompt; some windows are empty, and now and then all of an audio's."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(3, 37, length)
    ids[rng.choice(length, n_audios, replace=False)] = config.audio_id
    n_windows = slots * config.windows_per_audio
    return PromptArrays(
        ids=ids,
        features=rng.standard_normal((n_windows, config.audio_dim)).astype(np.float32),
        window_mask=rng.random(n_windows) < 0.7,
    )


CONFIGS = st.builds(
    replace,
    st.just(CONFIG),
    audio_layers=st.sampled_from([0, 2]),
    windows_per_audio=st.sampled_from([1, 3]),
    n_layers=st.sampled_from([1, 3]),
    n_heads=st.sampled_from([1, 4]),
    cross_attn_every_n_layers=st.sampled_from([1, 2]),
    latest_audio_layers=st.sampled_from([0, 1, 3]),
    tied_embeddings=st.booleans(),
)
ANSWERS = st.lists(
    st.lists(st.integers(3, 36), min_size=1, max_size=5).map(tuple), min_size=1, max_size=8
)


@st.composite
def prompts(draw: st.DrawFn) -> tuple[FlamingoConfig, PromptArrays]:
    config = draw(CONFIGS)
    n_audios = draw(st.integers(1, 4))
    length = n_audios + draw(st.integers(0, 30))
    slots = n_audios + draw(st.integers(0, 2))
    seed = draw(st.integers(0, 1000))
    return config, prompt(config, seed, length=length, n_audios=n_audios, slots=slots)


def assert_close(
    found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], tolerance: float = TOLERANCE
) -> None:
    assert [len(one) for one in found] == [len(other) for other in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


@settings(max_examples=60)
@given(asked=prompts(), answers=ANSWERS, mode=st.sampled_from(["full", "compat"]))
def test_scores_are_torchs(
    asked: tuple[FlamingoConfig, PromptArrays], answers: list[tuple[int, ...]], mode: Mode
) -> None:
    config, arrays = asked
    torchs, ours = both(config)
    assert_close(ours.score(arrays, answers, mode=mode), torchs.score(arrays, answers, mode=mode))


@pytest.mark.slow
@settings(max_examples=40)
@given(
    asked=prompts(),
    mode=st.sampled_from(["full", "compat"]),
    temperature=st.sampled_from([0.0, 3.0]),
)
def test_what_it_writes_is_what_torch_writes(
    asked: tuple[FlamingoConfig, PromptArrays], mode: Mode, temperature: float
) -> None:
    config, arrays = asked
    options = GenerationOptions(max_new_tokens=6, temperature=temperature, top_k=9, top_p=0.9)
    (torchs, ours) = (
        list(network.decode(arrays, options, stop_ids=[config.bos_id], mode=mode))
        for network in both(config)
    )
    assert [token for token, _ in ours] == [token for token, _ in torchs]
    assert_close([np.array([x for _, x in ours])], [np.array([x for _, x in torchs])])


@given(seed=st.integers(0, 300), answers=ANSWERS, most=st.sampled_from([1, 3, 8]))
def test_passes_and_neighbours_change_no_answers_score(
    seed: int, answers: list[tuple[int, ...]], most: int
) -> None:
    _, ours = both(CONFIG)
    arrays = prompt(CONFIG, seed, length=9, n_audios=2, slots=3)
    together = ours.score(arrays, answers)
    assert_close(ours.score(arrays, answers, most_packed=most), together)
    alone = [ours.score(arrays, [answer])[0] for answer in answers]
    assert_close(alone, together)


def test_what_is_written_has_the_score_of_an_answer() -> None:
    _, ours = both(replace(CONFIG, latest_audio_layers=1))
    arrays = prompt(CONFIG, 5, length=12, n_audios=2, slots=2)
    options = GenerationOptions(max_new_tokens=5)
    modes: tuple[Mode, ...] = ("full", "compat")
    for mode in modes:
        steps = list(ours.decode(arrays, options, stop_ids=[], mode=mode))
        written = tuple(token for token, _ in steps)
        # An audio's token, once written, is heard; in an answer it is a token like others.
        assert CONFIG.audio_id not in written
        assert_close(ours.score(arrays, [written], mode=mode), [np.array([x for _, x in steps])])


def test_answers_that_begin_alike_share_their_beginning() -> None:
    (tree,) = pack_answers([(5, 6, 7), (5, 6), (8,), (5, 9, 7)], n_prompt=4, max_positions=9)
    # The last token of an answer is looked up, and read for none.
    assert (tree.tokens, tree.parents, tree.depths) == ([5, 6, 9], [-1, 0, 0], [0, 1, 1])
    assert tree.lookups == [
        [(0, 5), (1, 6), (2, 7)],
        [(0, 5), (1, 6)],
        [(0, 8)],
        [(0, 5), (1, 9), (3, 7)],
    ]
    assert tree.visible().astype(int).tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    assert [part.tolist() for part in tree.split(np.arange(9.0))] == [
        [0, 1, 2],
        [3, 4],
        [5],
        [6, 7, 8],
    ]
    first, second = pack_answers([(5, 6), (7,), (8, 9)], n_prompt=1, max_positions=9, most=3)
    assert (first.tokens, second.tokens) == ([5], [8])


def test_probabilities_of_all_answers_of_one_token_sum_to_one() -> None:
    _, ours = both(CONFIG)
    arrays = prompt(CONFIG, 1, length=9, n_audios=2, slots=3)
    found = ours.score(arrays, [(token,) for token in range(CONFIG.vocab_size)])
    assert np.exp(np.concatenate(found)).sum() == pytest.approx(1.0, abs=1e-6)


def test_what_cannot_be_read_is_refused() -> None:
    for network in both(CONFIG):
        named: FlamingoNetwork = network
        arrays = prompt(CONFIG, 0, length=60, n_audios=2, slots=2)
        with pytest.raises(ValueError, match="no token"):
            named.score(arrays, [(5,), ()])
        with pytest.raises(ValueError, match=r"prompt of 60 tokens and answer of 6.*64"):
            named.score(arrays, [(5,) * 6])
        full = prompt(CONFIG, 0, length=64, n_audios=2, slots=2)
        with pytest.raises(ValueError, match="64 tokens: expected fewer than 64"):
            next(named.decode(full, GenerationOptions(), stop_ids=[]))
        for ids in (np.array([3, 4]), np.array([37, 37, 37])):
            with pytest.raises(ValueError, match=r"places for audio: expected 1 to 2"):
                named.score(replace(arrays, ids=ids), [(5,)])


@settings(max_examples=20)
@given(config=CONFIGS)
def test_shapes_are_those_of_torchs_module(config: FlamingoConfig) -> None:
    torchs, _ = both(config)
    assert flamingo_shapes(config) == shapes_of(torchs.model.state_dict())
