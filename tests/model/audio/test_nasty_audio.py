from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio import AudioLimits, file_sha256, load_audio, open_source
from earful.model.audio.clip import probe_audio
from earful.model.audio.segment import open_within, read_segment
from tests.support.audio_formats import CannotWriteError, every_format
from tests.support.audio_verdicts import Accepted, Case, decode, fault
from tests.support.nasty_audio import coded_cases, ffmpeg_cases, number_cases, pcm, riff, wav_cases
from tests.support.nasty_files import kinds_of_file, odd_names, other_formats

pytest.importorskip("av")  # what has the extra reads more, and is tempted by more

QUICK = [
    *wav_cases(), *number_cases(), *coded_cases(), *ffmpeg_cases(),
    *other_formats(), *odd_names(), *kinds_of_file(),
]  # fmt: skip


@pytest.mark.parametrize("nasty", QUICK, ids=lambda nasty: nasty.name)
def test_the_verdict(nasty: Case, tmp_path: Path) -> None:
    try:
        path = nasty.place(tmp_path)
    except CannotWriteError as error:
        pytest.skip(str(error))
    probed, loaded = decode(path)
    assert fault(nasty.verdict, probed, loaded) == ""
    for line in (probed, loaded):
        assert isinstance(line, Accepted) or (line.isprintable() and line.encode())


@pytest.mark.parametrize("nasty", kinds_of_file(), ids=lambda nasty: nasty.name)
def test_what_cannot_be_heard_cannot_be_hashed(nasty: Case, tmp_path: Path) -> None:
    try:
        path = nasty.place(tmp_path)
    except CannotWriteError as error:
        pytest.skip(str(error))
    with pytest.raises(AudioError) as caught:
        file_sha256(path)
    assert str(caught.value) == decode(path)[1]


def read_after(change: Callable[[Path], object], path: Path) -> NDArray[np.float32]:
    """Read a recording that is changed once it has been opened."""
    path.write_bytes(riff(1, 1, 8000, 16, pcm(8000)))
    limits = AudioLimits()
    with open_source(path, max_bytes=limits.max_file_bytes) as opened:
        decoder = open_within(opened, limits)
        change(path)
        return read_segment(opened.name, decoder, 0, None, limits)[0]


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"breaks off after 0\.\d+ s \(its header says 8000"):
        read_after(lambda path: os.truncate(path, 8044), tmp_path / "a.wav")


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    def grow(path: Path) -> None:
        with path.open("ab") as file:
            file.write(pcm(8000))

    samples = read_after(grow, tmp_path / "a.wav")
    np.testing.assert_array_equal(samples, np.arange(1, 8001) / np.float32(32768))


# ---- any bytes at all ------------------------------------------------------------------


def is_survived(data: bytes) -> None:
    """Nothing but one line leaves for bad data, and nothing but finite numbers for good."""
    limits = AudioLimits(max_duration_s=5)
    for start_s, end_s in ((0.0, None), (0.1, 0.2)):
        try:
            clip = load_audio(data, limits=limits, start_s=start_s, end_s=end_s)
        except AudioError as error:
            assert str(error).isprintable()  # noqa: PT017 - whether it raises is not asked
        else:
            assert np.isfinite(clip.samples).all()
            assert 0 < clip.duration_s <= 5
    try:
        assert probe_audio(data, limits=limits).duration_s > 0
    except AudioError as error:
        assert str(error).isprintable()  # noqa: PT017


MAGIC = [
    b"", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", b"fLaC\0\0\0\x22", b"OggS\0\2", b"FORM\0\0\0\0AIFFCOMM",
    b"caff\0\1\0\0desc", b".snd", b"ID3\4\0\0", b"\xff\xfb\x90\0", b"\0\0\0\x18ftypM4A ",
    bytes.fromhex("1a45dfa3"), b"G" + bytes(187) + b"G", b"wvpk", b"TTA1", b"#!AMR\n", b"\x0b\x77",
]  # fmt: skip


@settings(max_examples=100)
@given(st.sampled_from(MAGIC), st.binary(max_size=600))
def test_any_bytes_are_survived(magic: bytes, data: bytes) -> None:
    is_survived(magic + data)


def _seeds() -> list[bytes]:
    seeds = []
    for make in every_format(0.3).values():
        try:
            seeds.append(make())
        except CannotWriteError:
            continue
    return seeds


SEEDS = _seeds()


@settings(max_examples=100)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 199), st.binary(min_size=1, max_size=8)), max_size=4),
)
def test_any_edit_of_a_header_is_survived(seed: bytes, edits: list[tuple[int, bytes]]) -> None:
    data = bytearray(seed)
    for at, value in edits:
        data[at : at + len(value)] = value
    is_survived(bytes(data))
