"""WAV files that break the rules: what is read all the same, and what is said of the others."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.errors import AudioError
from earful.model.audio import load_audio
from earful.model.audio.clip import probe_audio

SAMPLES = np.arange(-4000, 4000, dtype="<i2")
FORMAT = struct.pack("<HHIIHH", 1, 1, 48_000, 96_000, 2, 16)
GUANO = b"GUANO|Version: 1.0\nSpecies: x"  # of odd length


def chunk(name: bytes, content: bytes, *, pad: bool = True, order: str = "<") -> bytes:
    missing = b"\0" if pad and len(content) % 2 else b""
    return name + struct.pack(f"{order}I", len(content)) + content + missing


def riff(*chunks: bytes) -> bytes:
    content = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


FMT, DATA = chunk(b"fmt ", FORMAT), chunk(b"data", SAMPLES.tobytes())


@pytest.mark.parametrize(
    "data",
    [
        riff(FMT, chunk(b"guan", GUANO, pad=False), DATA),
        riff(FMT, chunk(b"guan", GUANO), DATA),
        riff(chunk(b"guan", GUANO, pad=False), FMT, DATA),
        riff(FMT, chunk(b"guan", GUANO, pad=False), chunk(b"iXML", b"<a>", pad=False), DATA),
        riff(FMT, chunk(b"guan", GUANO, pad=False), chunk(b"xtra", b"abcd"), DATA),
        riff(FMT, chunk(b"LIST", b"INFO" + b"a" * 1201, pad=False), DATA),
        riff(FMT, DATA, chunk(b"guan", GUANO, pad=False)),
        riff(chunk(b"fmt ", FORMAT + b"\0", pad=False), DATA),
        riff(chunk(b"fmt ", FORMAT + b"\0\0\0", pad=False), DATA),
    ],
)
def test_an_odd_chunk_without_its_pad_byte_is_read_exactly(data: bytes, tmp_path: Path) -> None:
    assert len(GUANO) % 2
    path = tmp_path / "bat.wav"
    path.write_bytes(data)
    clip = load_audio(path)
    assert (clip.sample_rate, clip.notes) == (48_000, ())
    np.testing.assert_array_equal(clip.samples * 32_768, SAMPLES)
    part = load_audio(path, start_s=0.1, end_s=0.15)
    np.testing.assert_array_equal(part.samples * 32_768, SAMPLES[4800:7200])
    assert probe_audio(path).duration_s == SAMPLES.size / 48_000


def test_a_big_endian_one_is_read_as_well() -> None:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, 48_000, format="WAV", subtype="PCM_16", endian="BIG")
    data = file.getvalue()
    at = data.index(b"data")
    odd = data[:at] + chunk(b"guan", GUANO, pad=False, order=">") + data[at:]
    assert odd[:4] == b"RIFX"
    np.testing.assert_array_equal(load_audio(odd).samples * 32_768, SAMPLES)


def test_an_unpadded_chunk_hides_no_other_damage() -> None:
    odd = riff(FMT, chunk(b"guan", GUANO, pad=False), DATA)
    with pytest.raises(AudioError, match="8000 of 16000 bytes are missing"):
        load_audio(odd[:-8000])
    unfinished = bytearray(odd)
    unfinished[odd.index(b"data") + 4 : odd.index(b"data") + 8] = bytes(4)
    clip = load_audio(bytes(unfinished))
    assert clip.samples.size == SAMPLES.size
    assert "they were read to the end" in clip.notes[0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bytes(100_000), "holds only zero bytes: the recorder wrote nothing"),
        (b"\xff" * 100_000, r"holds only bytes of one value \(0xFF\): the recorder wrote nothing"),
        (riff(DATA), "no chunk 'fmt '.*; repair its header"),
        (riff(FMT), "no chunk 'data'.*; repair its header"),
        (riff() + bytes(5000), "no chunk 'fmt '.*; repair its header"),
        (riff(chunk(b"fmt ", FORMAT[:10]), DATA), "'fmt ' has 10 bytes, expected 16"),
        (riff(chunk(b"fmt ", bytes(4) + FORMAT[4:]), DATA), "0 channels at 48000 Hz"),
        (riff(FMT, b"LIST\xf0\xff\xff\xff", DATA), "'LIST' claims 4294967280 bytes"),
        (riff(chunk(b"fmt ", b"\x77\x77" + FORMAT[2:]), DATA), "export it as PCM"),
        (bytes(44) + SAMPLES.tobytes(), "does not begin with RIFF .* import them as raw data"),
    ],
)
def test_what_is_wrong_with_a_wav_is_said(data: bytes, says: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = tmp_path / "REC0001.WAV"
    path.write_bytes(data)
    with pytest.raises(AudioError, match=says) as caught:
        load_audio(path)
    assert "convert it to WAV" not in str(caught.value)


def test_other_kinds_keep_their_advice(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(bytes(44) + SAMPLES.tobytes())
    with pytest.raises(AudioError, match="fetch it again, or convert it to WAV"):
        load_audio(path)


def matlab(order: str, version: str) -> bytes:
    """What SciPy writes, or a head of what MATLAB does."""
    if version == "7.3":
        return (
            b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(99)
        )
    io_ = pytest.importorskip("scipy.io")
    file = io.BytesIO()
    kept = (
        {"x": SAMPLES / 32_768, "fs": 96_000}
        if order == "x first"
        else {"fs": 96_000, "x": SAMPLES}
    )
    io_.savemat(file, kept, format=version, do_compression=order == "packed")
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [matlab("x first", "5"), matlab("fs first", "5"), matlab("packed", "5"), matlab("", "7.3")],
)
def test_a_matlab_file_has_no_rate_to_rely_on(data: bytes) -> None:
    with pytest.raises(AudioError, match=r"is a MATLAB file, .*export it as WAV with its rate"):
        load_audio(data)
    with pytest.raises(AudioError, match="is a MATLAB file"):
        probe_audio(data)


@pytest.mark.parametrize(
    ("kind", "coding", "says"),
    [("MAT4", "PCM_16", "MATLAB"), ("MAT5", "PCM_16", "MATLAB"), ("XI", "DPCM_16", "FastTracker")],
)
def test_containers_without_a_rate_are_refused(kind: str, coding: str, says: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, 96_000, format=kind, subtype=coding)
    with pytest.raises(AudioError, match=rf"is .*{says}.*export it as WAV"):
        load_audio(file.getvalue())
