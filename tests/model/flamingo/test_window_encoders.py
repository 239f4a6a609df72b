from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from earful.model import ClipRef
from earful.model.audio import Clip
from earful.model.encoders import MsClapEncoder
from earful.model.flamingo import MsClapWindows
from earful.model.flamingo.window_encoders import WindowEncoder
from earful.testing import tiny_encoder_config

FILE = ClipRef(audio=Path("/s/a.wav"), start_s=1.5, end_s=4.0, content_sha256="ab12")
MOVED = replace(FILE, audio=Path("/t/b.flac"), start_s=0.0, end_s=None)


@pytest.fixture(scope="module")
def network() -> MsClapEncoder:
    torch.manual_seed(0)
    return MsClapEncoder(tiny_encoder_config()).eval()


def clip(level: float = 0.1, n_samples: int = 4410) -> Clip:
    samples = level * np.random.default_rng(0).normal(size=n_samples)
    return Clip(samples=samples.astype(np.float32), sample_rate=44100)


def test_content_is_told_by_its_digest_wherever_it_lies(network: MsClapEncoder) -> None:
    windows: WindowEncoder = MsClapWindows(network, sha256="0")
    assert windows.content_of(FILE) == windows.content_of(MOVED) == "ab12"
    at_hand = clip()
    assert windows.content_of(ClipRef(audio=at_hand)) == at_hand.content_sha256
    assert windows.content_of(ClipRef(audio=clip(0.2))) != at_hand.content_sha256
    assert windows.content_of(ClipRef(audio=at_hand, content_sha256="cd34")) == "cd34"
    assert windows.content_of(replace(FILE, content_sha256="")) == ""


def test_compat_hears_a_channel_and_a_peak_that_the_digest_does_not_tell(
    network: MsClapEncoder,
) -> None:
    windows = MsClapWindows(network, sha256="0", decoding="compat")
    places = [
        FILE,
        replace(FILE, start_s=1.0),
        replace(FILE, end_s=None),
        replace(FILE, audio=Path("/s/b.wav")),
        replace(FILE, content_sha256="cd34"),
    ]
    told = [windows.content_of(ref) for ref in places]
    assert len(set(told)) == len(places)
    assert all(len(x) == 4 + 16 for x in told)
    assert windows.content_of(replace(FILE, is_exemplar=True)) == told[0]
    assert windows.content_of(replace(FILE, content_sha256="")) == ""
    # What is at hand has one channel, which its digest tells.
    at_hand = clip()
    assert windows.content_of(ClipRef(audio=at_hand)) == at_hand.content_sha256


def test_the_maker_tells_weights_and_decoding_apart(network: MsClapEncoder) -> None:
    make = partial(MsClapWindows, network)
    makers = {
        *(make(sha256="1").maker, make(sha256="1", decoding="compat").maker),
        make(sha256="0").maker,
    }
    assert len(makers) == 3
    assert make(sha256="1").maker == make(sha256="1").maker


def test_windows_are_heard_as_vectors_one_each(network: MsClapEncoder) -> None:
    windows = MsClapWindows(network, sha256="0")
    assert windows.max_seconds == 33.25
    heard = windows.hear(ClipRef(audio=clip(n_samples=9 * 44100)))
    assert heard.shape == (3, 16)
    assert heard.dtype == np.float32
    silent = windows.hear(ClipRef(audio=clip(0.0)))
    np.testing.assert_array_equal(silent, windows.silence())
    assert np.abs(heard[:1] - silent).max() > 1e-4
