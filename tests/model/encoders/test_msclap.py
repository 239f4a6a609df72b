"""MS-CLAP's encoder against arrays of the original, and its checkpoint's names."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from earful.errors import ModelError
from earful.model.encoders import (
    Htsat,
    HtsatConfig,
    LogMel,
    MsClapConfig,
    MsClapEncoder,
    from_published_names,
    published_names,
    read_config,
)

TINY = MsClapConfig(
    htsat=HtsatConfig(patch_size=8, embed_dim=8, depths=(2, 2), n_heads=(2, 4), window_size=8),
    projection_dim=12,
    window_samples=8000,
)


def published_state(config: MsClapConfig, seed: int = 0) -> dict[str, Tensor]:
    """Draw every tensor of a published file."""
    generator = torch.Generator().manual_seed(seed)
    state = {
        name: torch.randn(shape, generator=generator) * (0.3 if len(shape) > 1 else 1)
        for name, shape in published_names(config, n_classes=7).items()
    }
    state["base.htsat.bn0.num_batches_tracked"] = torch.tensor(3)
    state["base.htsat.bn0.running_var"] = state["base.htsat.bn0.running_var"].abs() + 100
    return state


def encoder_of(state: dict[str, Tensor], config: MsClapConfig) -> MsClapEncoder:
    encoder = MsClapEncoder(config)
    encoder.load_state_dict(from_published_names(state, config))
    return encoder.eval().requires_grad_(False)


def noise(n: int, config: MsClapConfig = TINY) -> Tensor:
    generator = torch.Generator().manual_seed(n)
    return torch.randn(n, config.window_samples, generator=generator) * 0.1


# --- the original's arrays --------------------------------------------------------------


def assert_near(ours: Tensor, golden: Tensor, limit: float, what: str, share: float = 1) -> None:
    """Compare a share of the numbers with a limit relative to the golden array's spread."""
    assert ours.numel() == golden.numel(), what
    far = (ours.double().reshape(golden.shape) - golden).abs().flatten() / golden.std()
    worst = float(far.quantile(share))
    assert worst <= limit, f"{what}: {worst:.1e} of its standard deviation, expected {limit:.0e}"


@pytest.fixture(scope="module")
def original(goldens: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(goldens / "htsat_cases.safetensors")


@pytest.fixture(scope="module")
def restored(goldens: Path) -> MsClapEncoder:
    from safetensors.torch import load_file

    state = load_file(goldens / "htsat_model.safetensors")
    encoder = encoder_of(state, read_config(state))
    about = json.loads((goldens / "htsat.json").read_text())
    htsat, mel = about["htsat"], about["effective_mel"]
    config = encoder.config
    assert config.htsat.embed_dim == htsat["embed_dim"]
    assert list(config.htsat.depths) == htsat["depths"]
    assert list(config.htsat.n_heads) == htsat["num_heads"]
    assert config.projection_dim == about["projection_dim"]
    assert mel == {
        "sample_rate": config.filter_sample_rate,
        "n_fft": config.fft_samples,
        "hop": config.hop_samples,
        "n_mels": config.htsat.n_mels,
        "fmin": config.low_hz,
        "fmax": config.high_hz,
    }
    everything = published_names(config, n_classes=htsat["num_classes"])
    left_out = {name: tuple(shape) for name, shape in about["derived_buffers_omitted"].items()}
    stored = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert everything == stored | left_out
    return encoder


def thinned(whole: Tensor, array: str) -> Tensor:
    """Take the rows that an array's name tells: ``_every8`` or ``_first64``."""
    if found := re.search(r"_every(\d+)(rows)?$", array):
        return whole[:: int(found[1])]
    if found := re.search(r"_first(\d+)$", array):
        return whole[: int(found[1])]
    return whole


def test_filters_are_the_originals(original: dict[str, Tensor], restored: MsClapEncoder) -> None:
    (array,) = (name for name in original if name.startswith("mel_filterbank"))
    ours = thinned(restored.log_mel.filters, array)
    assert_near(ours, original[array], 1e-4, array)


def test_every_array_of_every_clip_is_the_originals(
    goldens: Path, original: dict[str, Tensor], restored: MsClapEncoder
) -> None:
    htsat = restored.htsat
    assert isinstance(htsat, Htsat)
    grid, window = htsat.config.grids[0], htsat.config.window_size
    windows = (1, grid // window, grid // window, window, window, htsat.config.embed_dim)
    cases = json.loads((goldens / "htsat.json").read_text())["cases"]
    assert cases
    for case in cases:
        name = case["name"]
        wave = original[f"{name}.wave_int16"].float()[None] / 32767
        with torch.inference_mode():
            decibels = restored.log_mel(wave)
            image = htsat.image(decibels)
            wholes = {
                "logmel": decibels[0],
                "after_bn0": htsat.mel_norm(decibels[0]),
                "image": image[0],
                "patch_embed": htsat.patches(image).view(windows).transpose(2, 3).flatten(0, 4),
                "stage3_out": htsat.tokens(decibels)[0],
                "latent": htsat(decibels)[0],
                "projected": restored(wave)[0],
            }
        assert case["frames"] == decibels.shape[1]
        left = {key.removeprefix(f"{name}.") for key in original if key.startswith(f"{name}.")}
        for part, whole in wholes.items():
            (array,) = (found for found in left if found.startswith(part))
            left.remove(array)
            ours, golden = thinned(whole, array), original[f"{name}.{array}"]
            if part in ("logmel", "after_bn0", "image"):
                # The original's spectra are in single precision, and in the quietest bands
                # of a tone its noise shows.
                assert_near(ours, golden, 1e-3, array, share=0.99)
                assert_near(ours, golden, 1e-2, array)
            else:
                assert_near(ours, golden, 1e-3 if part == "patch_embed" else 1e-4, array)
        assert left == {"wave_int16", "clipwise"}  # the audio, and scores we do not compute


def test_silence_gives_the_originals_constant(
    original: dict[str, Tensor], restored: MsClapEncoder
) -> None:
    silence = torch.zeros(2, restored.config.window_samples)
    decibels = restored.log_mel(silence[:1])
    assert original["silence.logmel_value"].tolist() == [-100.0]
    assert bool((decibels == -100).all())
    with torch.inference_mode():
        assert_near(restored.htsat(decibels)[0], original["silence.latent"], 1e-4, "latent")
    first, second = restored.encode(silence)
    assert_near(first, original["silence.projected"], 1e-4, "projected")
    assert torch.equal(first, second)


# --- features ---------------------------------------------------------------------------


def test_filters_stand_at_their_edges_times_the_ratio_of_the_rates() -> None:
    # Made for 32 kHz and used at 44.1 kHz, so what is called 1 kHz is heard at 1378 Hz.
    config = MsClapConfig()
    time_s = torch.arange(config.window_samples) / config.sample_rate
    tone = torch.sin(2 * torch.pi * 1000 * 44_100 / 32_000 * time_s)[None]
    # Slaney's scale is linear to 1 kHz, which is its mel 15; 50 Hz is 0.75, 14 kHz 53.39.
    middles = torch.linspace(0.75, 53.39, 66)[1:-1]
    bands = LogMel(config.mel)(tone)[0, 400]
    assert int(bands.argmax()) == int((middles - 15).abs().argmin())


def test_many_windows_get_what_each_gets_alone_and_silence_is_computed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    encoder = encoder_of(published_state(TINY), TINY)
    windows = noise(7)
    windows[[1, 4, 6]] = 0
    seen: list[int] = []
    encoder.htsat.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    together = encoder.encode(windows, batch_windows=2)
    assert seen == [1, 1, 1, 2]
    alone = torch.cat([encoder(window[None]) for window in windows])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert together.shape == (7, 12)
    assert together.dtype == torch.float32
    assert not together.requires_grad
    assert encoder.encode(windows[:0]).shape == (0, 12)


def test_bfloat16_stays_close() -> None:
    state = published_state(TINY)
    exact, rough = encoder_of(state, TINY), encoder_of(state, TINY)
    assert isinstance(rough.htsat, Htsat)
    rough.htsat.set_precision(torch.bfloat16)
    near = torch.cosine_similarity(rough.encode(noise(4)), exact.encode(noise(4)))
    assert float(near.min()) > 0.999


@pytest.mark.parametrize("shape", [(2, 7999), (8000,), (1, 1, 8000)])
def test_windows_of_another_length_are_refused(shape: tuple[int, ...]) -> None:
    encoder = MsClapEncoder(TINY).eval()
    for encode in (encoder, encoder.encode):
        with pytest.raises(ValueError, match=r"windows have shape .*, expected \(n, 8000\)"):
            encode(torch.zeros(shape))


# --- names ------------------------------------------------------------------------------


def test_the_published_file_has_204_tensors_and_33_million_parameters() -> None:
    names = published_names(MsClapConfig())
    assert len(names) == 204
    buffers = ("attn_mask", "position_index", "running", "tracked")
    parameters = [s for n, s in names.items() if not any(part in n for part in buffers)]
    assert round(sum(map(math.prod, parameters)) / 1e6, 1) == 33.2
    assert names["base.htsat.tscam_conv.weight"] == (527, 768, 2, 3)
    assert names["base.htsat.layers.2.blocks.5.attn_mask"] == (4, 64, 64)
    assert "base.htsat.layers.3.blocks.1.attn_mask" not in names


def test_sizes_are_read_off_the_shapes() -> None:
    state = published_state(TINY)
    config = read_config(state)
    assert config.htsat == TINY.htsat
    assert config.projection_dim == TINY.projection_dim
    ours = from_published_names(state)
    assert ours.keys() == MsClapEncoder(TINY).state_dict().keys()
    full = {name: torch.empty(s, device="meta") for name, s in published_names(config).items()}
    assert read_config(full) == config


def test_what_follows_from_the_sizes_may_be_absent_and_half_precision_is_widened() -> None:
    state = published_state(TINY)
    derived = ("stft.conv", "melW", "relative_position_index", "attn_mask", "batches_tracked")
    kept = {n: t for n, t in state.items() if not any(part in n for part in derived)}
    assert len(kept) < len(state)
    sparse = from_published_names(kept)
    for name, tensor in from_published_names(state).items():
        assert name.endswith("num_batches_tracked") or torch.equal(tensor, sparse[name]), name
    half = {n: t.half() if t.is_floating_point() else t for n, t in kept.items()}
    assert {t.dtype for t in from_published_names(half).values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("base.htsat.norm.bias", None, r"1 tensors do not fit .*: missing base\.htsat\.norm\.bias"),
        ("projection.linear3.weight", (2,), r"unexpected projection\.linear3\.weight"),
        ("base.htsat.norm.bias", (9,), r"norm\.bias has shape \(9,\), expected \(16,\)"),
        ("base.htsat.bn0.weight", None, r"not MS-CLAP's audio encoder: KeyError.*bn0\.weight"),
    ],
    ids=["missing", "unexpected", "shape", "not to be told"],
)
def test_a_file_must_fit_exactly(name: str, shape: tuple[int, ...] | None, message: str) -> None:
    state = published_state(TINY)
    if shape is None:
        del state[name]
    else:
        state[name] = torch.zeros(shape)
    with pytest.raises(ModelError, match=message):
        from_published_names(state)


def test_a_foreign_file_is_named_as_such() -> None:
    with pytest.raises(ModelError, match=r"its 1 tensors begin with gpt\.wte\.weight"):
        from_published_names({"gpt.wte.weight": torch.zeros(2)})
    with pytest.raises(ModelError, match="begin with nothing"):
        from_published_names({})
    every = len([n for n in published_names(TINY) if "attn_mask" not in n])
    with pytest.raises(ModelError, match=r"^\d+ tensors do not fit") as caught:
        from_published_names({"gpt.wte.weight": torch.zeros(2)}, TINY)
    assert str(caught.value).count("missing") > every // 2


def test_built_without_weights_it_takes_them_as_they_are() -> None:
    state = published_state(TINY)
    with torch.device("meta"):
        empty = MsClapEncoder(TINY)
    empty.load_state_dict(from_published_names(state), assign=True)
    empty.requires_grad_(False)
    windows = noise(2)
    assert torch.equal(empty.eval()(windows), encoder_of(state, TINY)(windows))


# --- the record -------------------------------------------------------------------------


@given(
    projection_dim=st.integers(1, 4096),
    low_hz=st.floats(0, 1000),
    depths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
)
def test_a_config_survives_being_written(
    projection_dim: int, low_hz: float, depths: list[int]
) -> None:
    htsat = HtsatConfig(depths=tuple(depths), n_heads=(1,) * len(depths))
    config = MsClapConfig(htsat=htsat, projection_dim=projection_dim, low_hz=low_hz)
    assert MsClapConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, r"unknown \['colour'\]"),
        ({"hop_samples": 320.0}, "hop_samples is 320.0, expected int"),
        ({"projection_dim": True}, "projection_dim is True, expected int"),
        ({"htsat": 3}, "htsat: expected a table, got int"),
        ({"window_samples": 10**6}, "are 3126 frames, expected at most 1024"),
    ],
)
def test_a_config_that_is_none_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        MsClapConfig.from_dict(MsClapConfig().to_dict() | change)


def test_a_config_names_the_field_of_its_transformer() -> None:
    values: Any = MsClapConfig().to_dict()
    values["htsat"]["depths"] = [2, "2", 6, 2]
    with pytest.raises(
        ModelError, match=r"htsat: depths is \[2, '2', 6, 2\], expected a list of int"
    ):
        MsClapConfig.from_dict(values)
    with pytest.raises(ModelError, match="expected a table, got list"):
        MsClapConfig.from_dict([])
