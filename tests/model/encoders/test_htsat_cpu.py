"""``PackedHtsat`` against ``Htsat``, over sizes, batches and both arithmetics."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.model.encoders import Htsat, HtsatConfig, PackedHtsat, htsat_cpu, pack_for_cpu
from earful.model.runtime import can_pack, has_bfloat16
from tests.support.small_htsat import SMALL, random_htsat, spectrograms

pytestmark = pytest.mark.skipif(
    not can_pack(torch.float32), reason="this build of torch has no packed products"
)
TOLERANCE = 1e-5

CONFIGS = {
    "one window at last": SMALL,
    "shifted to the end": HtsatConfig(
        n_mels=16, spec_size=64, embed_dim=8, depths=(3, 2), n_heads=(2, 2), window_size=2
    ),
    "five windows a side": HtsatConfig(
        n_mels=20, spec_size=80, embed_dim=8, depths=(2,), n_heads=(1,), window_size=4
    ),
    "an image beyond a group": HtsatConfig(
        n_mels=32, spec_size=192, embed_dim=8, depths=(2, 2), n_heads=(2, 4), window_size=8
    ),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_latents_are_those_of_the_plain_model(config: HtsatConfig, n: int) -> None:
    plain = random_htsat(config)
    decibels = spectrograms(config, n, config.max_frames - 3)
    with torch.inference_mode():
        expected = plain(decibels)
        packed = pack_for_cpu(plain, torch.float32)
        assert isinstance(packed, PackedHtsat)
        found = packed(decibels)
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)
    if n > 1:
        assert float((expected[0] - expected[1]).abs().max()) > 100 * TOLERANCE


@pytest.mark.slow
@settings(max_examples=15)
@given(n=st.integers(2, 7), at_once=st.sampled_from([16, 48, 128, 1024]), seed=st.integers(0, 99))
def test_neither_batch_nor_stretch_changes_a_latent(n: int, at_once: int, seed: int) -> None:
    config = CONFIGS["shifted to the end"]
    decibels = spectrograms(config, n, 200, seed)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        alone = pack_for_cpu(random_htsat(config), torch.float32)
        expected = torch.cat([alone(one[None]) for one in decibels])
        patch.setattr(htsat_cpu, "_TOKENS_AT_ONCE", at_once)
        found = pack_for_cpu(random_htsat(config), torch.float32)(decibels)
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.skipif(not has_bfloat16(torch.device("cpu")), reason="this CPU has no bfloat16")
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_bfloat16_is_as_close_as_that_of_the_plain_model(config: HtsatConfig) -> None:
    exact, rough = random_htsat(config), random_htsat(config)
    packed = pack_for_cpu(copy.deepcopy(exact), torch.bfloat16)
    rough.set_precision(torch.bfloat16)
    decibels = spectrograms(config, 4, config.max_frames)
    with torch.inference_mode():
        expected = exact(decibels)
        error = (packed(decibels) - expected).abs().max()
        plain_error = (rough(decibels) - expected).abs().max()
    assert 0 < float(error) < 2 * float(plain_error)


def test_where_products_cannot_be_packed_the_model_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(htsat_cpu, "can_pack", lambda _: False)
    plain = random_htsat(SMALL)
    decibels = spectrograms(SMALL, 2, 200)
    rough = pack_for_cpu(plain, torch.bfloat16)
    assert isinstance(rough, Htsat)
    assert rough is plain
    error = (rough(decibels) - random_htsat(SMALL)(decibels)).abs().max()
    assert float(error) > 0  # in the precision that was asked for
