"""The long recording that the demo mixes: its truth, and that it is always the same."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.demo import DemoCorpus, LongRecording, mix_long_recording

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> LongRecording:
    return mix_long_recording(DemoCorpus.find(), tmp_path_factory.mktemp("mixed"))


def marks(path: Path) -> list[tuple[float, float]]:
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    assert {label for _, _, label in lines} == {"laughter"}
    return [(float(start_s), float(end_s)) for start_s, end_s, _ in lines]


def test_every_mark_is_louder_than_what_lies_before_it(mixed: LongRecording) -> None:
    samples, rate = soundfile.read(mixed.audio)
    assert (samples.ndim, rate, samples.size / rate) == (1, 44_100, 300.0)
    for start_s, end_s in marks(mixed.reference):
        event = samples[round(start_s * rate) : round(end_s * rate)]
        before = samples[max(round((start_s - 0.2) * rate), 0) : round(start_s * rate)]
        assert event.std() > 1.2 * before.std()


def test_the_examples_are_the_first_five(mixed: LongRecording) -> None:
    every = marks(mixed.reference)
    assert marks(mixed.examples) == every[:5]
    assert len(every) == 20
    # None overlaps another.
    assert np.all(np.diff(np.ravel(every)) > 0)


def test_it_is_the_same_every_time(mixed: LongRecording, tmp_path: Path) -> None:
    again = mix_long_recording(DemoCorpus.find(), tmp_path)
    one, other = (hashlib.sha256(each.audio.read_bytes()) for each in (mixed, again))
    assert one.hexdigest() == other.hexdigest()
