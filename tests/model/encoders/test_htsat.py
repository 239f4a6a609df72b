"""HTSAT by hand on small images, and against ``transformers``' audio tower."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import ModelError
from earful.model.encoders import Htsat, HtsatConfig
from tests.support.small_htsat import SMALL, random_htsat, spectrograms

TOLERANCE = 1e-4


def test_a_spectrogram_is_folded_chunk_over_chunk_with_low_bands_on_top() -> None:
    config = HtsatConfig(
        n_mels=4, spec_size=8, patch_size=1, embed_dim=2, depths=(1,), n_heads=(1,), window_size=8
    )
    model = Htsat(config).eval()  # its batch norm does nothing yet, save for epsilon
    decibels = torch.arange(16.0)[:, None] + 100 * torch.arange(4)
    image = model.image(decibels[None])[0].round().int()
    assert image[:, 0].tolist() == [0, 100, 200, 300, 8, 108, 208, 308]
    assert image[5].tolist() == [108, 109, 110, 111, 112, 113, 114, 115]


def test_a_short_spectrogram_is_stretched_from_its_first_frame_to_its_last() -> None:
    model = Htsat(SMALL).eval().requires_grad_(False)
    ramp = torch.linspace(0, 255, 100)[None, :, None].expand(1, 100, 16)
    rows = model.image(ramp)[0].view(4, 16, 64)
    # The curve through the frames leaves a straight line by a twentieth of their distance.
    frame = 255 / 99
    torch.testing.assert_close(
        rows[:, 3].flatten()[8:-8], torch.arange(256.0)[8:-8], rtol=0, atol=frame / 20
    )
    assert rows[0, 0, 0] == pytest.approx(0, abs=0.01)
    assert rows[-1, 0, -1] == pytest.approx(255, abs=0.01)


@pytest.mark.parametrize(("depth", "reach"), [(1, 4), (2, 6)], ids=["in place", "and shifted"])
def test_a_token_is_seen_as_far_as_its_windows_reach(depth: int, reach: int) -> None:
    config = HtsatConfig(
        n_mels=16, spec_size=64, embed_dim=8, depths=(depth,), n_heads=(2,), window_size=4
    )
    model = random_htsat(config)
    model.mel_norm.reset_running_stats()
    quiet = torch.zeros(1, 256, 16)
    click = quiet.clone()
    click[0, 0, 0] = 9.0  # the corner of the image, in the first patch of sixteen by sixteen
    changed = (model.tokens(click) - model.tokens(quiet)).abs().amax(dim=2) > 1e-6
    # Windows of 4 by 4, then those that begin at 2 and 6; nothing comes around the edge.
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[:reach, :reach] = True
    assert torch.equal(changed.view(16, 16), expected)


@pytest.mark.parametrize(
    "sizes",
    [
        {"depths": [2, 2], "num_attention_heads": [2, 4], "patch_embeds_hidden_size": 16},
        {"depths": [2, 2, 6, 2], "patch_embeds_hidden_size": 32, "layer_norm_eps": 1e-3},
        {"depths": [2, 2, 12, 2], "patch_embeds_hidden_size": 32},
    ],
    ids=["two stages", "tiny", "base"],
)
@pytest.mark.slow
@pytest.mark.parametrize("n_frames", [1001, 1024])
def test_latents_are_those_of_transformers(sizes: dict[str, Any], n_frames: int) -> None:
    transformers: Any = pytest.importorskip("transformers")
    from earful.model.clap import from_hub_names, htsat_config

    n_stages = len(sizes["depths"])
    hidden = sizes["patch_embeds_hidden_size"] << (n_stages - 1)
    config = transformers.ClapAudioConfig(**sizes, hidden_size=hidden)
    ours = random_htsat(htsat_config(config))
    theirs = transformers.ClapAudioModel(config).eval()
    state = theirs.state_dict()
    generator = torch.Generator().manual_seed(4)
    for name, tensor in state.items():
        if tensor.dim() and tensor.is_floating_point():
            wide = tensor.dim() > 1
            tensor.normal_(
                float(not wide and name.endswith("weight")),
                tensor[0].numel() ** -0.5 if wide else 0.1,
                generator=generator,
            )
        if name.endswith("running_var"):
            tensor.uniform_(100, 400, generator=generator)
    hub = {f"audio_model.{name}": tensor for name, tensor in state.items()}
    ours.load_state_dict(from_hub_names(hub, ours))
    decibels = spectrograms(ours.config, 3, n_frames)
    with torch.inference_mode():
        expected = theirs(decibels[:, None]).pooler_output
        latents = ours(decibels)
    torch.testing.assert_close(latents, expected, rtol=0, atol=TOLERANCE)
    assert float((expected[0] - expected[1]).abs().max()) > 100 * TOLERANCE


@settings(max_examples=15)
@given(n=st.integers(1, 5), n_frames=st.integers(2, 256), seed=st.integers(0, 2**32 - 1))
def test_a_batch_gives_what_single_spectrograms_give(n: int, n_frames: int, seed: int) -> None:
    model = random_htsat(SMALL)
    decibels = spectrograms(SMALL, n, n_frames, seed)
    alone = torch.cat([model(one[None]) for one in decibels])
    torch.testing.assert_close(model(decibels), alone, rtol=0, atol=1e-5)
    assert model(decibels).shape == (n, 16)


def test_bfloat16_stays_close_and_never_rounds_decibels() -> None:
    exact, rough = random_htsat(SMALL), random_htsat(SMALL)
    rough.set_precision(torch.bfloat16)
    decibels = spectrograms(SMALL, 4, 200)
    latents, expected = rough(decibels), exact(decibels)
    assert latents.dtype == torch.float32
    assert float(torch.cosine_similarity(latents, expected).min()) > 0.999
    assert float((latents - expected).abs().max()) > 0  # it did compute otherwise
    assert torch.equal(rough.image(decibels), exact.image(decibels))


def test_scores_kept_from_earlier_calls_never_outlive_their_table() -> None:
    model, other = random_htsat(SMALL, 0), random_htsat(SMALL, 1)
    decibels = spectrograms(SMALL, 1, 100)
    with torch.inference_mode():
        first, second = model(decibels), other(decibels)
    model.load_state_dict(other.state_dict())
    torch.testing.assert_close(model(decibels), second, rtol=0, atol=1e-6)
    model.load_state_dict(random_htsat(SMALL, 0).state_dict(), assign=True)
    torch.testing.assert_close(model(decibels), first, rtol=0, atol=1e-6)
    tables = [t for name, t in model.named_parameters() if name.endswith("bias_table")]
    for grad_mode in (torch.no_grad, torch.inference_mode):
        with grad_mode():
            before = model(decibels)
            for table in tables:
                table.mul_(3)
            assert float((model(decibels) - before).abs().max()) > TOLERANCE


def test_it_learns_after_it_was_used() -> None:
    model = random_htsat(SMALL)
    with torch.inference_mode():
        model(spectrograms(SMALL, 1, 100))
    model.requires_grad_(True)
    model(spectrograms(SMALL, 1, 100)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_built_without_weights_it_takes_them_as_they_are() -> None:
    full = random_htsat(SMALL)
    with torch.device("meta"):
        empty = Htsat(SMALL)
    empty.load_state_dict(full.state_dict(), assign=True)
    empty.requires_grad_(False)
    decibels = spectrograms(SMALL, 2, 100)
    assert torch.equal(empty.eval()(decibels), full(decibels))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"depths": (2,)}, "expected one of each per stage"),
        ({"n_mels": 60}, "spec_size=256 does not divide by n_mels=60"),
        ({"window_size": 7}, "stage 0 has 64 by 64 tokens, .* windows of 7"),
        ({"depths": (2,) * 5, "n_heads": (4,) * 5}, "stage 4 has 4 by 4 tokens"),
        ({"n_heads": (5, 8, 16, 32)}, "96 channels, which do not divide into 5 heads"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        HtsatConfig(**sizes)


@pytest.mark.parametrize("shape", [(1, 257, 16), (1, 100, 17), (1, 1, 16)])
def test_spectrograms_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected 2 to 256 frames of 16"):
        Htsat(SMALL)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_stride": [2, 2]}, "patch_stride=2, expected 4"),
        ({"qkv_bias": False}, "qkv_bias=False, expected True"),
        ({"hidden_act": "relu"}, "hidden_act='relu', expected 'gelu'"),
        ({"hidden_size": 512}, "hidden_size=512, expected 768"),
    ],
)
@pytest.mark.slow
def test_what_no_published_checkpoint_needs_is_refused(
    change: dict[str, Any], message: str
) -> None:
    transformers: Any = pytest.importorskip("transformers")
    from earful.model.clap import htsat_config

    assert htsat_config(transformers.ClapAudioConfig()) == HtsatConfig()
    with pytest.raises(ModelError, match=message):
        htsat_config(transformers.ClapAudioConfig(**change))
