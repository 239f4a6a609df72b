"""Recordings in blocks: each is the same whichever came first, and equals decoding in one go."""

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio import (
    AudioBlock,
    AudioBlocks,
    load_audio,
    probe_isolated,
    stream_blocks,
)
from earful.model.audio.limits import AudioLimits
from earful.model.audio.sandbox import isolated
from earful.model.audio.sandbox.pool import WorkerPool
from earful.model.audio.sandbox.worker import ProcessLimits

RATE = 44_100


def noise(n: int, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    shape = (n, channels)
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


def write(path: Path, samples: NDArray[np.float32], rate: int = RATE, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def blocks_of(
    path: Path, *, block: int = 30_000, margin: int = 5000, start: int = 0, **options: object
) -> tuple[list[AudioBlock], AudioBlocks]:
    blocks = stream_blocks(
        path,
        sample_rate=RATE,
        block_samples=block,
        margin_samples=margin,
        start_block=start,
        **options,  # type: ignore[arg-type]
    )
    return list(blocks), blocks


def joined(blocks: list[AudioBlock], margin: int = 5000) -> NDArray[np.float32]:
    return np.concatenate([each.samples[margin : margin + each.n_samples] for each in blocks])


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode in this process: most tests are not about the other one."""
    monkeypatch.setenv("EARFUL_DECODE", "here")


def test_blocks_and_margins_by_hand(tmp_path: Path, here: None) -> None:
    """Ten samples in blocks of four: two whole ones and a half, silence around them."""
    path = write(
        tmp_path / "ten.wav",
        np.float32(1 / 16) * np.arange(1, 11, dtype=np.float32),
        subtype="FLOAT",
    )
    found, blocks = blocks_of(path, block=4, margin=2)
    assert [(16 * each.samples).tolist() for each in found] == [
        [0, 0, 1, 2, 3, 4, 5, 6],
        [3, 4, 5, 6, 7, 8, 9, 10],
        [7, 8, 9, 10, 0, 0],
    ]
    assert [(each.number, each.n_samples, each.n_frames) for each in found] == [
        (0, 4, 4),
        (1, 4, 4),
        (2, 2, 2),
    ]
    assert (blocks.info.n_blocks, blocks.info.peak) == (3, 10 / 16)
    assert blocks.info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("rate", "channels"),
    [(RATE, 1), (48_000, 2), (8000, 1), (22_050, 4), (384_000, 1), (44_099, 1)],
)
def test_blocks_are_the_whole_cut_and_resume_bit_by_bit(
    rate: int, channels: int, tmp_path: Path, here: None
) -> None:
    path = write(tmp_path / "a.wav", noise(3 * rate + 77, channels), rate)
    found, blocks = blocks_of(path)
    whole = load_audio(path, sample_rate=RATE).samples
    assert joined(found).size == whole.size
    np.testing.assert_allclose(joined(found), whole, atol=1e-4)
    around = np.pad(joined(found), 5000)
    for each in found:
        place = each.number * 30_000
        np.testing.assert_allclose(
            each.samples, around[place : place + each.samples.size], atol=1e-5
        )
    assert sum(each.n_frames for each in found) == 3 * rate + 77
    assert blocks.info.duration_s == (3 * rate + 77) / rate
    assert (blocks.start.sample_rate, blocks.start.channels) == (rate, channels)
    again, _ = blocks_of(path, start=3)
    assert [each.number for each in again] == [each.number for each in found[3:]]
    for one, other in zip(again, found[3:], strict=True):
        assert one.samples.tobytes() == other.samples.tobytes()
        assert (one.n_frames, one.power) == (other.n_frames, other.power)


@pytest.mark.parametrize("ending", ["flac", "ogg", "mp3"])
def test_coded_recordings_resume_bit_by_bit_too(ending: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a.{ending}", noise(120_000), 48_000)
    found, blocks = blocks_of(path)
    np.testing.assert_allclose(joined(found), load_audio(path, sample_rate=RATE).samples, atol=1e-4)
    assert blocks.info.cut_short_at_s is None
    again, _ = blocks_of(path, start=2)
    assert [one.samples.tobytes() for one in again] == [
        other.samples.tobytes() for other in found[2:]
    ]


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 9000),
    rate=st.sampled_from([RATE, 16_000, 48_000]),
    block=st.integers(1000, 6000),
    margin=st.integers(0, 3000),
)
def test_any_cut_gives_every_sample_once(n: int, rate: int, block: int, margin: int) -> None:
    with pytest.MonkeyPatch.context() as patch, _file(noise(n), rate) as path:
        patch.setenv("EARFUL_DECODE", "here")
        found, blocks = blocks_of(path, block=block, margin=margin)
        size = max(1, int(n * RATE / rate + 0.5))
        assert joined(found, margin).size == size
        assert [each.number for each in found] == list(range(blocks.info.n_blocks))
        if rate == RATE:
            np.testing.assert_allclose(joined(found, margin), noise(n)[:, 0], atol=1e-4)


class _file:  # noqa: N801
    """A file for as long as it is looked at: hypothesis shares a test's folder."""

    def __init__(self, samples: NDArray[np.float32], rate: int) -> None:
        self._descriptor = os.memfd_create("noise")
        self._path = Path(f"/proc/self/fd/{self._descriptor}")
        soundfile.write(f"/proc/self/fd/{self._descriptor}", samples, rate, format="WAV")

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def test_channels(tmp_path: Path, here: None) -> None:
    samples = noise(20_000, 4)
    path = write(tmp_path / "four.wav", samples, subtype="FLOAT")
    for channel, wanted in (
        ("mean", samples.mean(axis=1)),
        ("first", samples[:, 0]),
        (3, samples[:, 2]),
    ):
        found, _ = blocks_of(path, channel=channel)
        np.testing.assert_allclose(joined(found), wanted, atol=1e-6)
    with pytest.raises(AudioError, match=r"four.wav: has 4 channels, expected 5 or more"):
        blocks_of(path, channel=5)


def test_what_is_no_number_becomes_silence_and_is_counted(tmp_path: Path, here: None) -> None:
    samples = noise(100_000)
    samples[10], samples[50_000], samples[50_001] = np.nan, np.inf, -np.inf
    samples[70_000:80_000] = 1.0
    found, blocks = blocks_of(write(tmp_path / "a.wav", samples, subtype="FLOAT"))
    wanted = np.where(np.isfinite(samples), samples, 0)[:, 0]
    np.testing.assert_array_equal(joined(found), wanted)
    assert [each.n_not_finite for each in found] == [1, 2, 0, 0]
    assert (blocks.info.n_not_finite, blocks.info.clipped_share) == (3, 0.1)
    assert blocks.info.power == pytest.approx(np.square(wanted, dtype=np.float64).mean())


def test_silence_has_no_peak(tmp_path: Path, here: None) -> None:
    _, blocks = blocks_of(write(tmp_path / "a.wav", np.zeros((50_000, 1), np.float32)))
    assert (blocks.info.peak, blocks.info.power) == (0.0, 0.0)


@pytest.mark.parametrize("claim", [0, 0xFFFF_FFFF])
def test_a_recorder_that_lost_power_is_read_to_the_end(
    claim: int, tmp_path: Path, here: None
) -> None:
    path = write(tmp_path / "a.wav", noise(100_000))
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", claim)
    path.write_bytes(data)
    found, blocks = blocks_of(path)
    assert joined(found).size == 100_000
    assert blocks.info.cut_short_at_s is None


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_a_recording_that_breaks_off_gives_what_there_is(
    ending: str, tmp_path: Path, here: None
) -> None:
    whole = write(tmp_path / f"whole.{ending}", noise(300_000))
    data = whole.read_bytes()
    path = tmp_path / f"cut.{ending}"
    path.write_bytes(data[: len(data) * 2 // 3])
    found, blocks = blocks_of(path)
    n = joined(found).size
    assert 150_000 < n < 210_000
    np.testing.assert_allclose(joined(found)[:n], joined(blocks_of(whole)[0])[:n], atol=1e-4)
    assert blocks.info.cut_short_at_s == n / RATE
    assert blocks.info.cut_short_reason
    again, resumed = blocks_of(path, start=3)
    assert [each.samples.tobytes() for each in again] == [
        each.samples.tobytes() for each in found[3:]
    ]
    assert resumed.info.cut_short_at_s == n / RATE


def test_a_recording_beyond_4_gib_is_read_to_its_end(tmp_path: Path) -> None:
    """Its counter has begun again; the file is a hole on the disk but for its two ends."""
    path = write(tmp_path / "a.wav", noise(1000), 384_000)
    head = bytearray(path.read_bytes()[:44])
    n_bytes = (1 << 32) + 2_000_000
    head[40:44] = struct.pack("<I", n_bytes - (1 << 32))
    with path.open("wb") as file:
        file.write(head)
        file.truncate(44 + n_bytes)
        file.seek(0, 2)
        file.write(b"guan\x04\0\0\0abcd")
    start = (1 << 31) * RATE // 384_000 // 30_000
    blocks = stream_blocks(path, sample_rate=RATE, block_samples=30_000, start_block=start)
    assert blocks.start.duration_s == n_bytes / 2 / 384_000
    blocks.close()
    told = probe_isolated(path, limits=AudioLimits(max_file_bytes=1 << 40))
    assert told.duration_s == n_bytes / 2 / 384_000


def test_what_cannot_be_streamed_is_told(tmp_path: Path, here: None) -> None:
    for path, says in (
        (tmp_path / "none.wav", "no such file"),
        (write(tmp_path / "empty.wav", noise(0)), "holds no samples"),
        (write(tmp_path / "low.wav", noise(900), 900), "sample rate of 900 Hz"),
    ):
        with pytest.raises(AudioError, match=says):
            blocks_of(path)
    for options in ({"block": 0}, {"margin": -1}, {"start": -1}, {"channel": 0}):
        with pytest.raises(ValueError, match=r"expected"):
            blocks_of(tmp_path / "low.wav", **options)


# The real worker, except that a decoder crashes or spins when it comes to the third block.
HOSTILE = """
import os, signal, sys
from earful.model.audio.sandbox import worker_process

read_blocks = worker_process.read_blocks


def read(path, plan, limits):
    name = os.path.basename(path)
    for found in read_blocks(path, plan, limits):
        if getattr(found, "number", 0) == 2:
            if "crash" in name or ("once" in name and not os.path.exists(path + ".seen")):
                open(path + ".seen", "w").close()
                os.kill(os.getpid(), signal.SIGSEGV)
            while "spin" in name:
                pass
        yield found


worker_process.read_blocks = read
if __name__ == "__main__":
    worker_process.main(sys.argv[1:])
"""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make decoders do harm to some file names; return a folder for these."""
    script = tmp_path / "hostile.py"
    script.write_text(HOSTILE, encoding="utf-8")
    limits = ProcessLimits(cpu_s=1.0, wall_s=60.0, memory_bytes=1 << 30)
    pool = WorkerPool(limits, [str(script)])
    monkeypatch.setattr(isolated, "_pool", pool)
    monkeypatch.delenv("EARFUL_DECODE", raising=False)
    yield tmp_path
    pool.stop()


@pytest.mark.slow
@pytest.mark.parametrize(("does", "says"), [("crash", "SIGSEGV"), ("spin", "processor time")])
def test_a_decoder_that_dies_half_way_costs_that_file_alone(
    does: str, says: str, hostile: Path
) -> None:
    path = write(hostile / f"{does}.wav", noise(100_000))
    taken: list[int] = []
    with pytest.raises(AudioError, match=says):
        taken.extend(
            each.number for each in stream_blocks(path, sample_rate=RATE, block_samples=30_000)
        )
    assert taken == [0, 1]
    other, _ = blocks_of(write(hostile / "good.wav", noise(50_000)))
    assert joined(other).size == 50_000


@pytest.mark.slow
def test_a_crash_in_a_worker_that_read_other_files_is_tried_again(hostile: Path) -> None:
    blocks_of(write(hostile / "good.wav", noise(50_000)))
    found, _ = blocks_of(write(hostile / "once.wav", noise(100_000)))
    assert [each.number for each in found] == [0, 1, 2, 3]


def test_a_stream_may_be_left_early(hostile: Path) -> None:
    path = write(hostile / "good.wav", noise(300_000))
    with stream_blocks(path, sample_rate=RATE, block_samples=30_000) as blocks:
        assert next(blocks).number == 0
        with pytest.raises(ValueError, match="blocks left"):
            _ = blocks.info
    assert joined(blocks_of(path)[0]).size == 300_000
