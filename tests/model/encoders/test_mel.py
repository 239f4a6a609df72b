from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.model.encoders import LogMel, LogMelConfig

HTK = LogMelConfig(
    sample_rate=48_000,
    fft_samples=1024,
    hop_samples=480,
    n_mels=64,
    low_hz=0.0,
    high_hz=14_000.0,
    filters="htk",
)
SLANEY = LogMelConfig(
    sample_rate=48_000, fft_samples=1024, hop_samples=480, n_mels=64, low_hz=50.0, high_hz=14_000.0
)


def noise(n_samples: int, seed: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy((0.1 * rng.standard_normal(n_samples)).astype(np.float32))


def test_a_tone_on_a_bin_has_the_level_worked_out_by_hand() -> None:
    # A sine of amplitude 1 on bin 64 (3000 Hz): a Hann window of 1024 sums to 512, so the bin
    # holds (512 / 2)^2, its two neighbours a quarter of that in power, the others nothing.
    # HTK's filters sum to 1 over the bands at any frequency that lies between two middles.
    time_s = torch.arange(48_000, dtype=torch.float64) / 48_000
    tone = torch.sin(2 * torch.pi * 3000 * time_s).float()[None]
    bands = LogMel(HTK)(tone)[0, 50]
    total = 10 * torch.log10((10 ** (bands.double() / 10)).sum())
    assert float(total) == pytest.approx(10 * np.log10(256**2 * 1.5), abs=0.01)


@pytest.mark.parametrize("config", [HTK, SLANEY], ids=["htk", "slaney"])
def test_silence_is_at_the_floor(config: LogMelConfig) -> None:
    bands = LogMel(config)(torch.zeros(2, 4800))
    assert bands.shape == (2, 11, 64)
    assert torch.all(bands == -100)


@pytest.mark.parametrize("config", [HTK, SLANEY], ids=["htk", "slaney"])
@settings(max_examples=20, deadline=None)
@given(n_samples=st.integers(513, 6000), seed=st.integers(0, 2**32 - 1))
def test_gain_is_an_offset_and_rows_keep_to_themselves(
    config: LogMelConfig, n_samples: int, seed: int
) -> None:
    log_mel = LogMel(config)
    wave = noise(n_samples, seed)
    both = log_mel(torch.stack([wave, 0.1 * wave]))
    assert both.shape == (2, 1 + n_samples // 480, 64)
    torch.testing.assert_close(both[:1], log_mel(wave[None]))
    # A band that is nearly empty by chance reaches the floor when it is turned down.
    quieter = (both[0] - 20).clamp(min=-100)
    torch.testing.assert_close(quieter, both[1], atol=2e-3, rtol=0)


def test_slaneys_filters_have_equal_area_and_htks_equal_height() -> None:
    # White noise therefore rises with the width of the band in the one and not in the other.
    wave = noise(480_000, 0)[None]
    htk, slaney = (10 ** (LogMel(config)(wave)[0].double() / 10) for config in (HTK, SLANEY))
    wide, narrow = htk.mean(dim=0)[-1], htk.mean(dim=0)[20]
    assert float(wide / narrow) > 3
    flat = slaney.mean(dim=0)[20:]
    assert float(flat.max() / flat.min()) < 1.5


def test_filters_made_for_another_rate_are_moved_not_reshaped() -> None:
    moved = LogMel(replace(SLANEY, sample_rate=44_100, filter_sample_rate=32_000))
    made = LogMel(replace(SLANEY, sample_rate=32_000))
    plain = LogMel(replace(SLANEY, sample_rate=44_100))
    assert torch.equal(moved.filters, made.filters)
    assert moved.filters.shape == (513, 64)
    # By hand: the highest filter ends at 14 kHz, which is bin 448 of 512 at 32 kHz.
    assert int(moved.filters[:, -1].nonzero().max()) == 14_000 * 1024 // 32_000 - 1
    assert int(plain.filters[:, -1].nonzero().max()) == 14_000 * 1024 // 44_100
    wave = noise(4800, 0)[None]
    assert torch.equal(moved(wave), made(wave))


def test_within_a_module_built_without_weights_it_still_computes() -> None:
    wave = noise(4800, 0)[None]
    with torch.device("meta"):
        log_mel = LogMel(SLANEY)
    assert torch.equal(log_mel(wave), LogMel(SLANEY)(wave))


@pytest.mark.gpu
def test_waves_elsewhere_take_window_and_filters_along() -> None:
    log_mel, wave = LogMel(SLANEY), noise(4800, 0)[None]
    expected = log_mel(wave)
    torch.testing.assert_close(log_mel(wave.cuda()).cpu(), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(log_mel(wave), expected, rtol=0, atol=1e-4)
