"""Masks, the decoder and the configuration on a small random model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import ModelError
from earful.model.flamingo import (
    Flamingo,
    FlamingoBatch,
    FlamingoConfig,
    causal_bias,
    cross_mask,
    mask_of,
    positions_of,
)
from tests.support.small_flamingos import CONFIG

SMALL = replace(CONFIG, audio_layers=2)


@pytest.fixture(scope="module")
def small() -> Flamingo:
    torch.manual_seed(0)
    model = Flamingo(SMALL).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("gate"):
                parameter.fill_(1.0)
    return model


def random_batch(seed: int, lengths: list[int], slots: int, n_audios: list[int]) -> FlamingoBatch:
    rng = np.random.default_rng(seed)
    ids = torch.full((len(lengths), max(lengths)), SMALL.pad_id)
    for row, (length, audios) in enumerate(zip(lengths, n_audios, strict=True)):
        ids[row, :length] = torch.from_numpy(rng.integers(3, 37, length))
        places = rng.choice(length, audios, replace=False)
        ids[row, torch.from_numpy(places)] = SMALL.audio_id
    n_windows = slots * SMALL.windows_per_audio
    features = torch.from_numpy(rng.standard_normal((len(lengths), n_windows, 16))).float()
    mask = torch.zeros(len(lengths), n_windows)
    for row, audios in enumerate(n_audios):
        mask[row, : audios * SMALL.windows_per_audio] = 1
    return FlamingoBatch(
        ids=ids, attention_mask=(ids != SMALL.pad_id).int(), features=features, window_mask=mask
    )


def test_masks_worked_by_hand() -> None:
    is_audio = torch.tensor([[False, True, False, True]])
    mask = cross_mask(
        is_audio, torch.tensor([[1, 0, 1, 1]]), windows_per_audio=2, dtype=torch.float32
    )
    assert mask.sees_any is None
    assert (mask.bias[0, 0] == 0).int().tolist() == [
        [1, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 1, 1],
    ]
    causal = causal_bias(torch.tensor([[1, 1, 0]]), torch.float32)
    assert (causal[0, 0] == 0).int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 0]]
    assert positions_of(torch.tensor([[1, 1, 0]])).tolist() == [[0, 1, -1]]


@pytest.mark.parametrize("n_places", [0, 3])
def test_a_text_whose_audios_do_not_fit_the_slots_is_refused(n_places: int) -> None:
    is_audio = torch.arange(5)[None] < n_places
    with pytest.raises(ValueError, match=rf"text 0 has {n_places} places.*expected 1 to 2"):
        cross_mask(is_audio, torch.ones(1, 4), windows_per_audio=2, dtype=torch.float32)


def test_who_sees_nothing_looks_everywhere_alike(small: Flamingo) -> None:
    batch = random_batch(0, [6], slots=2, n_audios=[1])
    attention = small.decoder.cross_layers["0"].get_submodule("attention")
    nothing = mask_of(torch.ones(1, 6, 4, dtype=torch.bool), torch.zeros(1, 4), torch.float32)
    media = small.read_audio(batch.features)[0]
    weights = attention.weights(torch.randn(1, 6, 32), media, nothing)  # type: ignore[operator]
    assert torch.allclose(weights, torch.full_like(weights, 0.25), atol=1e-6)


@given(seed=st.integers(0, 1000))
def test_padding_and_neighbours_in_a_batch_change_nothing(small: Flamingo, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = [int(n) for n in rng.integers(4, 14, 3)]
    n_audios = [int(n) for n in rng.integers(1, 4, 3)]
    batch = random_batch(seed, lengths, 3, n_audios)
    with torch.inference_mode():
        together = small(batch.ids, batch.attention_mask, batch.features, batch.window_mask)
        for row, length in enumerate(lengths):
            alone = small(
                batch.ids[row : row + 1, :length],
                batch.attention_mask[row : row + 1, :length],
                batch.features[row : row + 1],
                batch.window_mask[row : row + 1],
            )
            assert (alone[0] - together[row, :length]).abs().max() <= 1e-4


def test_later_audio_is_invisible_and_empty_slots_are_not(small: Flamingo) -> None:
    batch = random_batch(1, [9], slots=2, n_audios=[2])
    places = (batch.ids[0] == SMALL.audio_id).nonzero()[:, 0]
    read = small.read_audio(batch.features)
    changed = [(k.clone(), v.clone()) for k, v in read]
    for keys, values in changed:
        keys[:, :, 2:] += 1.0
        values[:, :, 2:] += 1.0
    mask = cross_mask(
        batch.ids == SMALL.audio_id, batch.window_mask, windows_per_audio=2, dtype=torch.float32
    )
    hidden = [
        small.decoder(
            batch.ids,
            positions_of(batch.attention_mask),
            causal_bias(batch.attention_mask, torch.float32),
            media,
            mask,
        )
        for media in (read, changed)
    ]
    second = int(places[1])
    assert torch.allclose(hidden[0][:, :second], hidden[1][:, :second], atol=1e-5)
    assert not torch.allclose(hidden[0][:, second:], hidden[1][:, second:], atol=1e-3)
    more = torch.cat([batch.features, torch.zeros(1, 2, 16)], dim=1)
    assert not torch.allclose(
        small.audio_transformer(batch.features), small.audio_transformer(more)[:, :4], atol=1e-3
    )


@pytest.mark.slow
def test_the_decoder_is_opt(small: Flamingo) -> None:
    """With closed gates, what is left is transformers' own OPT."""
    transformers = pytest.importorskip("transformers")
    config = transformers.OPTConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=2,
        ffn_dim=48,
        num_attention_heads=4,
        max_position_embeddings=64,
        word_embed_proj_dim=32,
        dropout=0.0,
    )
    oracle = transformers.OPTForCausalLM(config).eval()
    names = {
        "self_attention.q": "self_attn.q_proj",
        "self_attention.k": "self_attn.k_proj",
        "self_attention.v": "self_attn.v_proj",
        "self_attention.out": "self_attn.out_proj",
        "self_attention_norm": "self_attn_layer_norm",
        "feed_forward_norm": "final_layer_norm",
        "feed_forward.0": "fc1",
        "feed_forward.2": "fc2",
    }
    state = {}
    for name, tensor in small.decoder.state_dict().items():
        if name.startswith("cross_layers"):
            continue
        if name.startswith("layers."):
            _, number, rest = name.split(".", 2)
            part, _, kind = rest.rpartition(".")
            state[f"model.decoder.layers.{number}.{names[part]}.{kind}"] = tensor
        else:
            state[f"model.decoder.{name.replace('norm.', 'final_layer_norm.')}"] = tensor
    state["lm_head.weight"] = small.decoder.embed_tokens.weight
    oracle.load_state_dict(state)
    closed = Flamingo(SMALL).eval()
    closed.load_state_dict(small.state_dict())
    with torch.no_grad():
        for name, parameter in closed.named_parameters():
            if name.endswith("gate"):
                parameter.zero_()
    batch = random_batch(2, [11, 7], slots=2, n_audios=[1, 2])
    with torch.inference_mode():
        ours = closed(batch.ids, batch.attention_mask, batch.features, batch.window_mask)
        theirs = oracle(batch.ids, attention_mask=batch.attention_mask).logits
    real = batch.attention_mask.bool()
    assert (ours - theirs)[real].abs().max() <= 1e-5


def test_a_config_survives_its_own_json_and_refuses_another() -> None:
    assert FlamingoConfig.from_dict(json.loads(json.dumps(SMALL.to_dict()))) == SMALL
    values = SMALL.to_dict()
    values["heads"] = values.pop("n_heads")
    with pytest.raises(ModelError, match=r"missing \['n_heads'\], unknown \['heads'\]"):
        FlamingoConfig.from_dict(values)
    with pytest.raises(ModelError, match="n_layers is '2', expected int"):
        FlamingoConfig.from_dict({**SMALL.to_dict(), "n_layers": "2"})
    with pytest.raises(ModelError, match="does not divide into 3 heads"):
        FlamingoConfig(hidden_dim=32, n_heads=3)
    with pytest.raises(ModelError, match="audio_id=50265: expected 0 to 39"):
        FlamingoConfig(vocab_size=40)


def test_sparse_gated_blocks_stand_before_every_second_layer() -> None:
    config = FlamingoConfig.from_dict({**SMALL.to_dict(), "cross_attn_every_n_layers": 2})
    assert config.cross_layers == (1,)
    assert list(Flamingo(config).decoder.cross_layers) == ["1"]


def test_untied_tables_have_an_output_of_their_own(small: Flamingo) -> None:
    config = FlamingoConfig.from_dict({**SMALL.to_dict(), "tied_embeddings": False})
    model = Flamingo(config).eval()
    model.load_state_dict({**small.state_dict(), "lm_head.weight": torch.zeros(40, 32)})
    assert not model.logits(torch.randn(3, 32)).any()
