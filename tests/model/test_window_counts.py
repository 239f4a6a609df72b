"""How many windows an embedder says that a vector averages, against those it makes."""

import numpy as np
import pytest

from earful.model import load_embedder
from earful.model.audio import FIND_WHERE, Clip, CountsWindows, hearing_faults
from earful.model.clap import ClapEmbedder
from earful.model.small.frames import window_groups
from earful.model.tiny import FrontEnd, frame_count
from earful.model.yamnet.front_end import PATCH_HOP_SAMPLES, PATCH_SAMPLES

_FRONT_END = FrontEnd()


@pytest.mark.parametrize("n_samples", [1, 5_000, 101_376, 101_377, 203_776, 500_000])
def test_windows_of_the_shipped_encoders(n_samples: int) -> None:
    samples = np.zeros(n_samples, np.float32)
    tiny, small = load_embedder("earful-tiny"), load_embedder("earful-small")
    assert isinstance(tiny, CountsWindows)
    assert isinstance(small, CountsWindows)
    assert tiny.n_windows(n_samples) == len(list(_FRONT_END.windows(samples)))
    assert small.n_windows(n_samples) == sum(map(len, window_groups(_FRONT_END, samples)))
    long_enough = np.resize(samples, max(n_samples, 101_376))
    assert frame_count(n_samples) == len(_FRONT_END.frames(long_enough))


def test_patches_of_yamnet() -> None:
    yamnet = load_embedder("yamnet")
    assert isinstance(yamnet, CountsWindows)
    n = PATCH_SAMPLES + 3 * PATCH_HOP_SAMPLES
    assert [yamnet.n_windows(x) for x in (1, n, n + 1)] == [1, 4, 5]
    assert issubclass(ClapEmbedder, CountsWindows)


class OneWindow:
    """An encoder that hears any recording whole."""

    def n_windows(self, n_samples: int) -> int:
        return 1


@pytest.mark.parametrize("seconds", [60, 61])
def test_only_an_average_over_a_minute_is_noted(seconds: int) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(seconds * 44_100).astype(np.float32)
    clip = Clip(samples=samples.astype(np.float32), sample_rate=44_100)
    tiny = load_embedder("earful-tiny")
    found = [fault.text for fault in hearing_faults(clip, tiny)]
    says = "it lasts 61 s and its vector is the average of 52 windows: a short sound in it is not "
    assert found == ([f"{says}heard; {FIND_WHERE}"] if seconds > 60 else [])
    assert len(hearing_faults(clip, None)) == (seconds > 60)
    assert hearing_faults(clip, OneWindow()) == ()
