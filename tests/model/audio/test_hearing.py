"""What an encoder is said to hear little of, and what it hears well."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from earful.model.audio import (
    Clip,
    check_hearing,
    hearing_faults,
    load_audio,
    load_isolated,
    resample,
)

RATE = 16_000
_drawn = np.random.default_rng(0)
HISS = (0.1 * _drawn.standard_normal(2 * RATE)).astype(np.float32)
OTHER = (0.1 * _drawn.standard_normal(2 * RATE)).astype(np.float32)
T = np.arange(384_000) / 384_000
BAT = 0.3 * np.sin(2 * np.pi * 50_000 * T)


def wav(samples: NDArray[np.floating], rate: int = RATE, subtype: str = "FLOAT") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def stereo(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([left, right], axis=1)


def found(data: bytes, rate: int = 44_100) -> list[tuple[str, bool]]:
    return [(f.kind, f.unusable) for f in check_hearing(load_audio(data, sample_rate=rate))]


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (HISS, RATE), (stereo(HISS, OTHER), RATE), (stereo(HISS, 0 * HISS), RATE),
        (HISS * 20, RATE),  # over full scale, as floats may be
        (_drawn.standard_normal((4000, 64)) / 10, RATE),
        (np.r_[np.zeros(RATE), 0.5, np.zeros(RATE)], RATE),  # one click
        (HISS + np.float32(0.5), RATE),  # an offset is no sound
        (BAT + 0.3 * np.sin(2 * np.pi * 1000 * T), 384_000),
    ],
)  # fmt: skip
def test_a_recording_that_is_heard(samples: NDArray[np.floating], rate: int) -> None:
    assert found(wav(samples, rate)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("samples", "rate", "expected"),
    [
        (0 * HISS, RATE, ("silent", True)),
        (0 * HISS + np.float32(0.3), RATE, ("silent", True)),
        (HISS * np.float32(1e-6), RATE, ("quiet", True)),
        (HISS * np.float32(1e-3), RATE, ("quiet", False)),
        (stereo(HISS, -HISS), RATE, ("cancelling", True)),
        (stereo(HISS, np.float32(-0.9) * HISS), RATE, ("cancelling", False)),
        (np.stack([HISS, -HISS / 2, -HISS / 2], axis=1), RATE, ("cancelling", True)),
        (BAT, 384_000, ("out-of-band", True)),
        (BAT + 0.03 * np.sin(2 * np.pi * 1000 * T), 384_000, ("out-of-band", False)),
        (BAT + 1e-3 * _drawn.standard_normal(T.size), 384_000, ("out-of-band", True)),
        (HISS * 32_768, RATE, ("loud", False)),
        (HISS * np.float32(1e36), RATE, ("loud", False)),
        (HISS[:1], RATE, ("short", True)),
        (HISS[:200], RATE, ("short", True)),
        (HISS[:800], RATE, ("short", False)),
        (np.tile(HISS, 75), RATE, ("long", False)),
        (np.tile(HISS, 600), RATE, ("long", True)),
    ],
)  # fmt: skip
def test_what_is_hardly_heard(
    samples: NDArray[np.floating], rate: int, expected: tuple[str, bool]
) -> None:
    assert found(wav(samples, rate))[0] == expected
    if samples.ndim == 1 and samples.size > 2 and expected[0] != "loud":
        assert found(wav(samples, rate, "PCM_24"))[0] == expected


@pytest.mark.parametrize(
    ("samples", "rate", "kinds", "says"),
    [
        (
            0.8 + HISS * 2e-3,
            RATE,
            ["offset", "quiet"],
            "dB of full scale without its offset of 0.8",
        ),
        (0.8 + HISS * 2e-4, RATE, ["quiet", "offset"], "offset of 0.8"),
        (-0.9 + HISS * 0.05, RATE, ["offset"], "constant offset of -0.9 of full scale"),
        (stereo(HISS, OTHER) * 2e-3 + 0.5, RATE, ["offset", "quiet"], "offset of 0.5"),
        (0.7 + BAT / 3, 384_000, ["out-of-band", "offset"], "offset of 0.7"),
        (HISS * 0.01 + 0.005, RATE, [], ""),  # as every cheap converter has it
    ],
)
def test_a_constant_offset_hides_nothing(
    samples: NDArray[np.floating], rate: int, kinds: list[str], says: str
) -> None:
    faults = check_hearing(load_audio(wav(samples, rate), sample_rate=44_100))
    assert [fault.kind for fault in faults] == kinds
    assert says in " ".join(fault.text for fault in faults)
    if "quiet" in kinds:
        quiet = next(fault for fault in faults if fault.kind == "quiet")
        assert quiet.unusable == (kinds[0] == "quiet")


def test_24_bits_in_the_lower_part_of_32_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    loud = HISS / np.abs(HISS).max()
    for samples, note in (
        ((loud * 8_388_607).astype(np.int32), "if they are 24-bit values, divide by 2**23"),
        ((loud * 32_767).astype(np.int32), "if they are 16-bit values, divide by 2**15"),
        (stereo(loud, -loud / 2) * 8_388_607, "if they are 24-bit values, divide by 2**23"),
        # As it should be, however quiet.
        ((loud * 32_767).astype(np.int32) << 8, ""),
        ((loud * 2**30).astype(np.int32), ""),
    ):
        soundfile.write(path, samples.astype(np.int32), RATE, subtype="PCM_32")
        told = " ".join(fault.text for fault in check_hearing(load_audio(path)))
        assert note in told if note else "divide" not in told
        assert load_isolated(path).notes == load_audio(path).notes


def test_a_clip_in_memory_keeps_what_resampling_loses() -> None:
    clip = Clip(samples=BAT.astype(np.float32), sample_rate=384_000)
    (fault,) = check_hearing(resample(resample(clip, 96_000), 44_100))
    assert (fault.kind, fault.unusable) == ("out-of-band", True)
    assert check_hearing(clip) == ()  # at its own rate all of it is there


def test_the_band_of_an_encoder_counts() -> None:
    high = Clip(samples=np.sin(np.arange(RATE) * 3.05).astype(np.float32), sample_rate=RATE)

    class Listener:
        band_hz = (125.0, 7500.0)

    (fault,) = hearing_faults(high, Listener())
    assert fault.kind == "out-of-band"
    assert "outside 125 to 7500 Hz" in fault.text
    assert hearing_faults(high, object()) == ()


def test_a_higher_rate_loses_nothing_above_a_band() -> None:
    edge = Clip(samples=np.tile(np.array([0.1, -0.1], np.float32), RATE), sample_rate=RATE)
    assert "out-of-band" not in {fault.kind for fault in check_hearing(resample(edge, 44_100))}


def test_a_segment_is_judged_by_itself() -> None:
    data = wav(np.concatenate([stereo(HISS, -HISS), stereo(HISS, OTHER)]))
    first = load_audio(data, end_s=2, sample_rate=44_100)
    second = load_audio(data, start_s=2, sample_rate=44_100)
    assert [fault.kind for fault in check_hearing(first)] == ["cancelling"]
    assert check_hearing(second) == ()
    assert check_hearing(load_audio(data, end_s=2, channels="first")) == ()


def test_the_sandbox_measures_as_the_loader_does(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    data = bytearray(wav(stereo(HISS, -HISS), subtype="PCM_16"))
    at = data.find(b"data") + 4
    data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    here, there = load_audio(path, sample_rate=44_100), load_isolated(path, sample_rate=44_100)
    assert (here.levels, here.notes) == (there.levels, there.notes)
    assert {fault.kind for fault in check_hearing(there)} == {"cancelling", "header"}
