"""Audio of stretches: the samples of the file, slower, and what is refused."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earful.errors import AudioError
from earful.model.audio import Clip
from earful.serve.media import (
    Media,
    MediaRangeError,
    PlayedSource,
    RecordingGoneError,
    encode_wav,
)
from tests.serve.media.conftest import MakeSource, tone

RATE = 8000
SECONDS = 90
SAMPLES = np.random.default_rng(0).integers(-32768, 32768, SECONDS * RATE, dtype=np.int16)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PlayedSource]:
    folder = tmp_path_factory.mktemp("nights")
    found = {}
    for ending in (".wav", ".flac"):
        path = folder / f"night{ending}"
        soundfile.write(path, SAMPLES, RATE)
        found[ending] = PlayedSource(
            id="r-0123456789abcdef",
            name=path.name,
            path=path,
            start_s=0.0,
            duration_s=float(SECONDS),
            sample_rate=RATE,
        )
    return found


@pytest.mark.parametrize("ending", [".wav", ".flac"])
@given(start=st.floats(0, SECONDS - 0.01), length=st.floats(0.001, 60))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_stretch_is_the_samples_of_the_file(
    nights: dict[str, PlayedSource], ending: str, start: float, length: float
) -> None:
    end = start + length
    made = Media().audio(nights[ending], start, end).make()
    found, rate = soundfile.read(io.BytesIO(made.body), dtype="int16")
    assert rate == RATE
    expected = SAMPLES[round(start * RATE) : round(min(end, SECONDS) * RATE)]
    np.testing.assert_array_equal(found, expected)
    assert float(made.headers["X-End-S"]) == pytest.approx(min(end, SECONDS), abs=1e-6)


def test_a_part_of_a_file_begins_at_its_own_zero(make_source: MakeSource) -> None:
    source = make_source(SAMPLES, RATE, start_s=10.0, duration_s=5.0)
    made = Media().audio(source, 1.0).make()
    found, _ = soundfile.read(io.BytesIO(made.body), dtype="int16")
    np.testing.assert_array_equal(found, SAMPLES[11 * RATE : 15 * RATE])


@pytest.mark.parametrize(
    ("rate", "slow", "played_rate", "n"),
    [
        (384_000, 10, 38_400, 384_000),  # the samples as they are, and 40 kHz becomes 4
        (8_000, 2, 4_000, 8_000),
        (8_000, 16, 3_000, 48_000),  # 500 Hz is what no browser plays
        (384_000, 1, 96_000, 96_000),
        (48_000, 1 / 16, 96_000, 6_000),
    ],
)
def test_slower_is_another_rate(rate: int, slow: float, played_rate: int, n: int) -> None:
    clip = Clip(samples=tone(1000, 1, rate).astype(np.float32), sample_rate=rate)
    found, heard = soundfile.read(io.BytesIO(encode_wav(clip, slow)))
    assert (heard, len(found)) == (played_rate, n)
    spectrum = np.abs(np.fft.rfft(found))
    assert spectrum.argmax() * heard / n == pytest.approx(1000 / slow, rel=0.01)


def test_what_is_over_full_scale_is_cut() -> None:
    clip = Clip(samples=np.array([2, -2, 0.5], np.float32), sample_rate=RATE)
    found, _ = soundfile.read(io.BytesIO(encode_wav(clip)), dtype="int16")
    assert found.tolist() == [32767, -32768, 16384]


@pytest.mark.parametrize(
    ("times", "field"),
    [
        ((-0.1, 1.0, 1.0), "start_s"),
        ((90.0, None, 1.0), "start_s"),
        ((float("nan"), None, 1.0), "start_s"),
        ((5.0, 5.0, 1.0), "end_s"),
        ((5.0, float("inf"), 1.0), "end_s"),
        ((5.0, 65.1, 1.0), "end_s"),
        ((5.0, 5.00001, 1.0), "end_s"),
        ((5.0, 6.0, 17.0), "slow"),
        ((5.0, 6.0, 0.0), "slow"),
        ((5.0, 6.0, float("nan")), "slow"),
    ],
)
def test_a_stretch_refuses(
    make_source: MakeSource, times: tuple[float, float | None, float], field: str
) -> None:
    source = make_source(SAMPLES, RATE)
    with pytest.raises(MediaRangeError) as caught:
        Media().audio(source, *times)
    assert caught.value.field == field


def test_a_recording_that_is_gone(make_source: MakeSource) -> None:
    source = make_source(SAMPLES, RATE)
    source.path.unlink()
    with pytest.raises(RecordingGoneError, match=r"night\.wav") as caught:
        Media().audio(source, 0, 1)
    assert str(source.path.parent) not in str(caught.value)
    source.path.mkdir()
    with pytest.raises(RecordingGoneError):
        Media().audio(source, 0, 1)


def test_a_recording_that_became_something_else(make_source: MakeSource) -> None:
    source = make_source(SAMPLES, RATE)
    source.path.write_text("no audio at all")
    with pytest.raises(AudioError, match=r"night\.wav"):
        Media().audio(source, 0, 1).make()


def test_what_was_made_is_kept(make_source: MakeSource, monkeypatch: pytest.MonkeyPatch) -> None:
    source, media = make_source(SAMPLES, RATE), Media()
    made = media.audio(source, 0, 1).make()
    monkeypatch.setattr("earful.serve.media.media.read_stretch", None)
    assert media.audio(source, 0, 1).make() is made
    small = Media(most_bytes=10)
    with pytest.raises(TypeError):
        small.audio(source, 0, 1).make()


def test_a_stretch_is_decoded_in_the_sandbox(
    nights: dict[str, PlayedSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EARFUL_DECODE")
    source = nights[".flac"]
    found, _ = soundfile.read(io.BytesIO(Media().audio(source, 80, 81).make().body), dtype="int16")
    np.testing.assert_array_equal(found, SAMPLES[80 * RATE : 81 * RATE])
