"""Decoding and packed scoring, against whole prompts read again and again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.model import GenerationOptions
from earful.model.flamingo import (
    Flamingo,
    FlamingoBatch,
    FlamingoConfig,
    Mode,
    decode,
    score_packed,
)
from tests.support.small_flamingos import CONFIG

# A written `<audio>` stands for nothing that could be read again.
STOP = [CONFIG.bos_id, CONFIG.audio_id]
ANSWERS = st.lists(
    st.lists(st.integers(3, 36), min_size=1, max_size=5).map(tuple),
    min_size=1,
    max_size=8,
    unique=True,
)


def make_model(config: FlamingoConfig = CONFIG) -> Flamingo:
    torch.manual_seed(3)
    model = Flamingo(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Wide enough apart for greedy choices to be stable, gates open.
            parameter.mul_(0).add_(1.0) if name.endswith("gate") else parameter.mul_(1.7)
    return model


@pytest.fixture(scope="module", params=[0, 1], ids=["all audios", "the latest first"])
def model(request: pytest.FixtureRequest) -> Flamingo:
    return make_model(replace(CONFIG, latest_audio_layers=request.param))


def prompt(
    seed: int, length: int = 9, n_audios: int = 2, slots: int = 3, vocabulary: int = 37
) -> FlamingoBatch:
    rng = np.random.default_rng(seed)
    ids = torch.from_numpy(rng.integers(3, vocabulary, (1, length)))
    ids[0, torch.from_numpy(rng.choice(length, n_audios, replace=False))] = CONFIG.audio_id
    n_windows = slots * CONFIG.windows_per_audio
    mask = torch.zeros(1, n_windows)
    mask[0, : n_audios * CONFIG.windows_per_audio] = 1
    return FlamingoBatch(
        ids=ids,
        attention_mask=torch.ones_like(ids),
        features=torch.from_numpy(rng.standard_normal((1, n_windows, 16))).float(),
        window_mask=mask,
    )


def stack(batches: list[FlamingoBatch]) -> FlamingoBatch:
    longest = max(batch.ids.shape[1] for batch in batches)
    ids = torch.full((len(batches), longest), CONFIG.pad_id)
    for row, batch in enumerate(batches):
        ids[row, : batch.ids.shape[1]] = batch.ids[0]
    return FlamingoBatch(
        ids=ids,
        attention_mask=(ids != CONFIG.pad_id).int(),
        features=torch.cat([batch.features for batch in batches]),
        window_mask=torch.cat([batch.window_mask for batch in batches]),
    )


def read_whole(model: Flamingo, batch: FlamingoBatch, more: list[int]) -> torch.Tensor:
    """Return the logits of a prompt and what follows, read at once without a cache."""
    ids = torch.cat([batch.ids, torch.tensor([more], dtype=torch.long)], dim=1)
    with torch.inference_mode():
        logits: torch.Tensor = model(ids, torch.ones_like(ids), batch.features, batch.window_mask)
    return logits[0]


def score_alone(
    model: Flamingo, batch: FlamingoBatch, answer: tuple[int, ...]
) -> NDArray[np.float64]:
    logits = read_whole(model, batch, list(answer)).double().log_softmax(dim=-1)
    start = batch.ids.shape[1] - 1
    return np.array([float(logits[start + i, token]) for i, token in enumerate(answer)])


def greedy(model: Flamingo, batch: FlamingoBatch, n: int, mode: Mode = "full") -> list[list[int]]:
    options = GenerationOptions(max_new_tokens=n)
    steps = [s.ids.tolist() for s in decode(model, batch, options, stop_ids=STOP, mode=mode)]
    return [list(row) for row in zip(*steps, strict=True)]


@given(seed=st.integers(0, 300))
def test_full_decoding_equals_reading_everything_again(model: Flamingo, seed: int) -> None:
    batch = prompt(seed)
    written: list[int] = []
    for _ in range(6):
        written.append(int(read_whole(model, batch, written)[-1].argmax()))
        if written[-1] in STOP:
            break
    assert greedy(model, batch, 6)[0] == written


@pytest.mark.slow
def test_compat_looks_at_the_first_slot_after_the_first_token(model: Flamingo) -> None:
    differing = 0
    for seed in range(20):
        batch = prompt(seed)
        full, compat = (greedy(model, batch, 5, mode)[0] for mode in ("full", "compat"))
        assert full[0] == compat[0]
        differing += full != compat
        alone = prompt(seed, n_audios=1)
        assert greedy(model, alone, 5, "full") == greedy(model, alone, 5, "compat")
    assert differing


@pytest.mark.slow
@settings(max_examples=25)
@given(seeds=st.lists(st.integers(0, 300), min_size=2, max_size=4))
def test_a_batch_writes_what_each_row_writes_alone(model: Flamingo, seeds: list[int]) -> None:
    batches = [prompt(seed, length=6 + seed % 7, n_audios=1 + seed % 3) for seed in seeds]
    for mode in ("full", "compat"):
        together = greedy(model, stack(batches), 5, mode)
        for batch, row in zip(batches, together, strict=True):
            alone = greedy(model, batch, 5, mode)[0]
            assert row[: len(alone)] == alone
            assert set(row[len(alone) :]) <= {CONFIG.pad_id}


@pytest.mark.parametrize("mode", ["full", "compat"])
@settings(max_examples=40)
@given(seed=st.integers(0, 300), answers=ANSWERS, most=st.sampled_from([3, 8, 1000]))
def test_packed_scores_equal_each_alone(
    model: Flamingo, mode: Mode, seed: int, answers: list[tuple[int, ...]], most: int
) -> None:
    batch = prompt(seed, n_audios=2 if mode == "full" else 1)
    found = score_packed(model, batch, answers, mode=mode, most_packed=most)
    for answer, scores in zip(answers, found, strict=True):
        np.testing.assert_allclose(scores, score_alone(model, batch, answer), atol=1e-4)


def test_compat_scores_are_those_of_its_own_decoding(model: Flamingo) -> None:
    batch = prompt(5)
    options = GenerationOptions(max_new_tokens=4)
    steps = list(decode(model, batch, options, stop_ids=[], mode="compat"))
    written = tuple(int(step.ids[0]) for step in steps)
    wanted = [float(s.logits.double().log_softmax(-1)[0, int(s.ids[0])]) for s in steps]
    (scores,) = score_packed(model, batch, [written], mode="compat")
    np.testing.assert_allclose(scores, wanted, atol=1e-5)
    (others,) = score_packed(model, batch, [written], mode="full")
    assert not np.allclose(scores, others, atol=1e-3)


def test_probabilities_of_all_answers_of_one_token_sum_to_one(model: Flamingo) -> None:
    found = score_packed(model, prompt(1), [(token,) for token in range(CONFIG.vocab_size)])
    assert np.exp(np.concatenate(found)).sum() == pytest.approx(1.0, abs=1e-5)


def test_packed_scores_in_bfloat16_are_near(model: Flamingo) -> None:
    half = make_model(model.config).to(torch.bfloat16)
    answers = [(5, 6, 7), (5, 6), (8,)]
    exact = score_packed(model, prompt(2), answers)
    found = score_packed(half, prompt(2), answers)
    alone = [score_packed(half, prompt(2), [answer])[0] for answer in answers]
    for one, other, by_itself in zip(exact, found, alone, strict=True):
        np.testing.assert_allclose(other, one, atol=0.25)
        np.testing.assert_allclose(other, by_itself, atol=0.15)


@pytest.mark.gpu
def test_packed_scores_on_a_gpu_equal_the_cpu(model: Flamingo) -> None:
    gpu = make_model(model.config).to("cuda")
    batch = prompt(2)
    there = FlamingoBatch(
        ids=batch.ids.cuda(),
        attention_mask=batch.attention_mask.cuda(),
        features=batch.features.cuda(),
        window_mask=batch.window_mask.cuda(),
    )
    answers = [(5, 6, 7), (5, 6), (8,)]
    pairs = zip(score_packed(model, batch, answers), score_packed(gpu, there, answers), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_what_cannot_be_scored_is_refused(model: Flamingo) -> None:
    with pytest.raises(ValueError, match="no token"):
        score_packed(model, prompt(0), [(5,), ()])
    with pytest.raises(ValueError, match="2 prompts"):
        score_packed(model, stack([prompt(0), prompt(1)]), [(5,)])
    with pytest.raises(ValueError, match=r"prompt of 60 tokens and answer of 6.*64"):
        score_packed(model, prompt(0, length=60), [(5,) * 6])
    score_packed(model, prompt(0, length=60), [(5,) * 5])


def test_decoding_ends_at_a_stop_the_limit_or_the_last_position(model: Flamingo) -> None:
    batch = prompt(0)
    (first,) = greedy(model, batch, 1)[0]
    options = GenerationOptions(max_new_tokens=9)
    assert len(list(decode(model, batch, options, stop_ids=[first]))) == 1
    assert len(list(decode(model, batch, options, stop_ids=[]))) == 9
    assert len(list(decode(model, prompt(0, length=61), options, stop_ids=[]))) == 3
    with pytest.raises(ValueError, match="64 tokens: expected fewer than 64"):
        next(decode(model, prompt(0, length=64), options, stop_ids=[]))


def test_draws_depend_on_the_seed_and_on_no_neighbour(model: Flamingo) -> None:
    def draw(batch: FlamingoBatch, seed: int) -> list[list[int]]:
        options = GenerationOptions(max_new_tokens=8, temperature=20.0, seed=seed)
        steps = [step.ids.tolist() for step in decode(model, batch, options, stop_ids=[])]
        return [list(row) for row in zip(*steps, strict=True)]

    one, other = prompt(0), prompt(1)
    assert draw(one, 7) == draw(one, 7)
    assert draw(one, 7) != draw(one, 8)
    assert draw(stack([one, other]), 7) == [*draw(one, 7), *draw(other, 7)]


@pytest.mark.slow
def test_top_k_and_top_p_cut_the_tail(model: Flamingo) -> None:
    batch = prompt(4)
    ranked = (read_whole(model, batch, [])[-1] / 3.0).softmax(dim=-1).sort(descending=True)
    nucleus = int((ranked.values.cumsum(0) - ranked.values < 0.5).sum())

    def first_tokens(**kwargs: float) -> set[int]:
        return {
            int(
                next(
                    decode(
                        model,
                        batch,
                        GenerationOptions(temperature=3.0, seed=seed, **kwargs),  # type: ignore[arg-type]
                        stop_ids=[],
                    )
                ).ids[0]
            )
            for seed in range(120)
        }

    assert first_tokens(top_k=1) == {int(ranked.indices[0])}
    assert first_tokens(top_k=3) <= set(ranked.indices[:3].tolist())
    assert first_tokens(top_p=0.5) <= set(ranked.indices[:nucleus].tolist())
    assert len(first_tokens()) > nucleus


@pytest.mark.parametrize(
    "wrong",
    [{"max_new_tokens": 0}, {"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.1}],
)
def test_wrong_options_are_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        GenerationOptions(**wrong)  # type: ignore[arg-type]


def test_blocks_of_the_latest_audio_do_not_see_the_others() -> None:
    # Without an audio transformer, no audio knows of another before the text looks.
    config = replace(CONFIG, audio_layers=0, latest_audio_layers=CONFIG.n_layers)
    batch = prompt(5, length=8)
    ids = batch.ids.clone()
    ids[0] = torch.tensor([37, 4, 5, 37, 6, 7, 8, 9])
    other = batch.features.clone()
    other[:, : config.windows_per_audio] += 1.0

    def last(config: FlamingoConfig, features: torch.Tensor) -> torch.Tensor:
        model = make_model(config)
        with torch.no_grad():
            for name, parameter in model.decoder.layers.named_parameters():
                # Words must not carry the first audio on either.
                if name.endswith("self_attention.out.weight"):
                    parameter.zero_()
        with torch.inference_mode():
            logits: torch.Tensor = model(ids, torch.ones_like(ids), features, batch.window_mask)
        return logits[0, -1]

    assert torch.equal(last(config, batch.features), last(config, other))
    everything = replace(config, latest_audio_layers=config.n_layers - 1)
    assert not torch.equal(last(everything, batch.features), last(everything, other))
