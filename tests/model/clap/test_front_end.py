"""The front end against the published feature extractor, and its windows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import ModelError
from earful.model.clap.front_end import (
    published_front_end,
    read_front_end,
    repeat_pad,
    window_starts,
)
from earful.model.encoders import LogMel
from tests.support.clap_folders import RATE, byte_tokenizer, noise

transformers: Any = pytest.importorskip("transformers")
# Importing transformers takes longer than most tests.
pytestmark = pytest.mark.slow


def test_a_processor_file_of_newer_transformers_is_read(unfused: Path, tmp_path: Path) -> None:
    extractor = transformers.ClapFeatureExtractor.from_pretrained(unfused)
    transformers.ClapProcessor(extractor, byte_tokenizer()).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink(missing_ok=True)
    assert (tmp_path / "processor_config.json").is_file()
    assert read_front_end(tmp_path, fused=False) == published_front_end(fused=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truncation": "fusion"}, "'fusion' and 'repeatpad', expected 'rand_trunc'"),
        ({"padding": "pad"}, "'rand_trunc' and 'pad', expected"),
        ({"hop_length": None}, "expected the parameters of a ClapFeatureExtractor"),
    ],
)
def test_a_front_end_the_towers_were_not_made_for_is_refused(
    unfused: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    found = json.loads((unfused / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(found | change))
    with pytest.raises(ModelError, match=message):
        read_front_end(tmp_path, fused=False)


@given(n=st.integers(1, 10_000), window=st.integers(1, 400), stride=st.integers(1, 400))
def test_windows_cover_every_sample_and_end_with_the_recording(
    n: int, window: int, stride: int
) -> None:
    stride = min(stride, window)
    starts = window_starts(n, window, stride)
    covered = np.zeros(n, bool)
    for start in starts:
        covered[start : start + window] = True
    assert covered.all()
    assert starts == sorted(set(starts))
    assert n <= window or starts[-1] + window == n


@given(n=st.integers(1, 300), window=st.integers(1, 300))
def test_repeat_padding_repeats_whole_copies_only(n: int, window: int) -> None:
    samples = np.arange(1, min(n, window) + 1, dtype=np.float32)
    filled = repeat_pad(samples, window)
    copies = window // len(samples)
    assert len(filled) == window
    assert filled.sum() == pytest.approx(copies * samples.sum())
    assert (filled[copies * len(samples) :] == 0).all()


@pytest.mark.parametrize("fused", [False, True], ids=["slaney", "htk"])
def test_log_mels_equal_the_published_extractors(fused: bool) -> None:
    extractor = transformers.ClapFeatureExtractor(
        frequency_min=50, truncation="fusion" if fused else "rand_trunc"
    )
    clip = noise(10, seed=4)
    reference = extractor(clip.samples, sampling_rate=RATE)["input_features"][0][0]
    log_mel = LogMel(published_front_end(fused=fused).mel)
    ours = log_mel(torch.from_numpy(clip.samples)[None])[0].numpy()
    assert ours.shape == (1001, 64)
    np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-3)


def test_a_tone_lights_its_own_band_and_silence_none() -> None:
    log_mel = LogMel(published_front_end(fused=False).mel)
    time_s = torch.arange(RATE) / RATE
    tone = torch.sin(2 * torch.pi * 1000 * time_s)
    bands = log_mel(torch.stack([tone, torch.zeros(RATE)]))
    # Slaney's scale is linear to 1 kHz, which is its mel 15; 50 Hz is 0.75, 14 kHz 53.4.
    edges = np.linspace(0.75, 15 + np.log(14) / (np.log(6.4) / 27), 66)
    assert bands[0, 50].argmax() == np.abs(edges[1:-1] - 15).argmin()
    assert (bands[1] == -100).all()
