from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio import AudioLimits, load_audio
from earful.model.audio.clip import probe_audio
from earful.model.audio.decoders.pyav_decoder import PyavDecoder

av = pytest.importorskip("av")

Samples = NDArray[np.float32]


def sweep(seconds: float, rate: int) -> Samples:
    """A rising tone and noise: no two moments sound alike."""
    t = np.arange(round(seconds * rate)) / rate
    hiss = np.random.default_rng(0).standard_normal(t.size)
    return (0.3 * np.sin(2 * np.pi * (200 + 40 * t) * t) + 0.1 * hiss).astype(np.float32)


def write(
    path: Path,
    codec: str,
    rate: int,
    *,
    kind: str | None = None,
    seconds: float = 4,
    channels: int = 1,
    bit_rate: int | None = 96_000,
    codec_options: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    samples: Samples | None = None,
) -> Path:
    layout = "mono" if channels == 1 else "stereo"
    wave = sweep(seconds, rate) if samples is None else samples
    with av.open(str(path), "w", format=kind, options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=codec_options or {})
        stream.layout = layout
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        regroup = av.AudioResampler(
            format=stream.format.name,
            layout=layout,
            rate=rate,
            frame_size=stream.frame_size or 1024,
        )
        frame = av.AudioFrame.from_ndarray(np.stack([wave] * channels), "fltp", layout)
        frame.sample_rate, frame.pts = rate, 0
        for piece in [*regroup.resample(frame), *regroup.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def decoded_by_av(path: Path) -> Samples:
    with av.open(str(path)) as container:
        floats = av.AudioResampler(format="fltp")
        frames = [f for frame in container.decode(audio=0) for f in floats.resample(frame)]
        blocks = [frame.to_ndarray() for frame in frames]
    mono: Samples = np.concatenate(blocks, axis=1).mean(axis=0, dtype=np.float32)
    return mono


# The encoder's noise substitution has the decoder draw random numbers, other ones after a
# seek; without it AAC decodes to the same samples from wherever it is entered.
EXACT_AAC = {"aac_pns": "0"}


@pytest.mark.parametrize(
    ("name", "codec", "rate", "kind", "coding"),
    [
        ("a.m4a", "aac", 44_100, None, "aac"),
        ("a.mp4", "aac", 8_000, None, "aac"),
        ("a.aac", "aac", 44_100, "adts", "aac"),
        ("a.mkv", "aac", 44_100, None, "aac"),
        ("a.ts", "aac", 44_100, "mpegts", "aac"),
        ("a.webm", "libopus", 48_000, None, "opus"),
        ("vorbis.webm", "vorbis", 44_100, None, "vorbis"),
        ("alac.m4a", "alac", 44_100, None, "alac"),
        ("flac.mka", "flac", 44_100, "matroska", "flac"),
        ("mp3.mka", "libmp3lame", 44_100, "matroska", "mp3float"),
        ("a.wma", "wmav2", 44_100, "asf", "wmav2"),
        ("pcm.avi", "pcm_s16le", 44_100, None, "pcm_s16le"),
        ("a.wv", "wavpack", 44_100, None, "wavpack"),
        ("a.mov", "pcm_u8", 44_100, None, "pcm_u8"),
    ],
)
def test_the_whole_and_its_segments_agree(
    name: str, codec: str, rate: int, kind: str | None, coding: str, tmp_path: Path
) -> None:
    channels = 2 if codec == "vorbis" else 1  # FFmpeg's own Vorbis encoder does no other
    codec_options = {"strict": "experimental"} if codec == "vorbis" else {}
    path = write(
        tmp_path / name, codec, rate, kind=kind, channels=channels,
        codec_options=EXACT_AAC if codec == "aac" else codec_options,
    )  # fmt: skip
    whole = load_audio(path)
    np.testing.assert_allclose(whole.samples, decoded_by_av(path), rtol=0, atol=1e-6)
    assert whole.duration_s == pytest.approx(4, abs=0.15)
    info = probe_audio(path)
    assert (info.sample_rate, info.channels, info.subtype) == (rate, channels, coding)
    assert info.duration_s == pytest.approx(whole.duration_s, abs=0.15)
    starts = np.random.default_rng(1).uniform(0, whole.duration_s - 0.2, 8)
    for start_s in [*starts, whole.duration_s - 0.05]:
        end_s = min(start_s + 0.2, whole.duration_s)
        part = load_audio(path, start_s=start_s, end_s=end_s)
        first = round(start_s * rate)
        expected = whole.samples[first : round(end_s * rate)]
        np.testing.assert_allclose(part.samples, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_late_segment_is_reached_by_seeking(tmp_path: Path) -> None:
    path = write(tmp_path / "a.m4a", "aac", 8_000, seconds=100, bit_rate=64_000)
    data = path.read_bytes()

    def bytes_read(start_s: float) -> int:
        class Counting(io.BytesIO):
            n = 0

            def read(self, size: int | None = -1, /) -> bytes:
                piece = super().read(size)
                Counting.n += len(piece)
                return piece

        from earful.model.audio.decoders.pyav_decoder import PyavDecoder

        decoder = PyavDecoder(Counting(data), "a.m4a", because="test")
        start = round(start_s * 8_000)
        assert sum(map(len, decoder.blocks(start, start + 8_000))) == 8_000
        return Counting.n

    assert len(data) > 400_000
    assert bytes_read(90) < len(data) / 4


def test_a_segment_outside_the_file(tmp_path: Path) -> None:
    for name, codec in (("a.m4a", "aac"), ("a.webm", "libopus")):
        path = write(tmp_path / name, codec, 48_000, seconds=2)
        length_s = load_audio(path).duration_s
        with pytest.raises(AudioError, match=r"(lasts 2\.0\d+|ends before 3\.000) s, .*a segment"):
            load_audio(path, start_s=3)
        with pytest.raises(AudioError, match=r"lasts 2\.0\d+ s, .*a segment"):
            load_audio(path, start_s=1, end_s=length_s + 0.06)
        assert load_audio(path, end_s=length_s + 0.04).duration_s == length_s


def test_length_is_counted_while_decoding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.aac", "aac", 8_000, kind="adts", seconds=3)
    with pytest.raises(AudioError, match=r"longer than the 1\.50 s that max_duration_s=1\.5"):
        load_audio(path, limits=AudioLimits(max_duration_s=1.5))


@pytest.mark.parametrize(
    ("name", "codec", "options", "cut"),
    [
        ("a.m4a", "aac", {}, 0.5),
        ("fast.m4a", "aac", {"movflags": "faststart"}, 0.5),
        ("a.webm", "libopus", {}, 0.5),
        ("a.mkv", "flac", {}, 0.5),
    ],
)
def test_files_that_were_cut_short(
    name: str, codec: str, options: dict[str, str], cut: float, tmp_path: Path
) -> None:
    path = write(tmp_path / name, codec, 48_000, options=options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    with pytest.raises(AudioError, match=r"damaged after|breaks off after|nor can FFmpeg"):
        load_audio(path)


def with_a_late_track(folder: Path) -> bytes:
    """Return a stream for which FFmpeg adds a track, at which PyAV may fail with an IndexError."""
    stream = bytearray(write(folder / "a.ts", "mp2", 44_100, kind="mpegts").read_bytes())
    packet = stream.index(b"\x00\x00\x01\xc0", len(stream) // 2) // 188 * 188
    stream[packet + 1 : packet + 3] = b"\x41\x80"  # another number than the table of tracks gives
    return bytes(stream)


def test_a_track_that_begins_midway(tmp_path: Path) -> None:
    stream = with_a_late_track(tmp_path)
    for read in (probe_audio, load_audio):
        with pytest.raises(
            AudioError, match=r"damaged after [23]\.\d+ s \(a track begins midway\)"
        ):
            read(stream)
    assert load_audio(stream, end_s=1).duration_s == 1


@pytest.mark.parametrize("kind", ["mpegts", "mpeg", "flv"])
def test_a_track_that_ffmpeg_alone_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    data = write(tmp_path / "a", "mp3" if kind == "flv" else "mp2", 44_100, kind=kind).read_bytes()
    whole = load_audio(data)
    monkeypatch.setattr(PyavDecoder, "_n_tracks", lambda _: 2)
    with pytest.raises(AudioError, match=rf"damaged after {whole.duration_s:.1f}.*begins midway"):
        load_audio(data)
    assert load_audio(data, end_s=1).duration_s == 1


def test_a_new_track_is_noticed_where_pyav_drops_its_packets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frames(self: PyavDecoder, start: int) -> Iterator[tuple[int, Any]]:
        with suppress(IndexError):
            yield from loud(self, start)

    stream = with_a_late_track(tmp_path)
    loud = PyavDecoder._frames
    monkeypatch.setattr(PyavDecoder, "_frames", frames)
    with pytest.raises(AudioError, match="a track begins midway"):
        load_audio(stream)
    assert av.logging.get_level() is None


def test_what_is_decoded_before_a_segment_counts() -> None:
    # Time stamps of chained streams lead nowhere, so there is no seeking.
    data, limits = chained_ogg(), AudioLimits(max_values=3 * 44_100)
    assert load_audio(data, start_s=2.5, end_s=2.9, limits=limits).duration_s == 0.4
    with pytest.raises(AudioError, match=r"does not end within the 3\.00 s .* max_values=132300"):
        load_audio(data, start_s=3.5, end_s=3.6, limits=limits)
    with pytest.raises(AudioError, match=r"does not end within the 3\.00 s"):
        probe_audio(data, limits=limits)


def test_video_without_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match="has no audio track"):
        load_audio(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{0}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {0}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ],
)
def test_a_file_that_points_elsewhere_is_refused(text: str, tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.aac", "aac", 8_000, kind="adts", seconds=1)
    data = text.format(secret).encode()
    with pytest.raises(AudioError, match="nor can FFmpeg"):
        PyavDecoder(io.BytesIO(data), "a.m3u", because="test")
    with pytest.raises(AudioError, match="is text, expected audio"):
        load_audio(data)


# ---- what libsndfile would cut short ---------------------------------------------------


def uncounted_mp3(path: Path) -> Path:
    """A loud second and five quiet ones at a varying bit rate, without a frame count."""
    samples = sweep(6, 44_100)
    samples[44_100:] *= 0.002
    options = {"write_xing": "0", "id3v2_version": "0"}
    quality = {"flags": "+qscale", "global_quality": str(2 * 118)}
    return write(
        path, "libmp3lame", 44_100, kind="mp3", samples=samples, bit_rate=None, options=options,
        codec_options=quality,
    )  # fmt: skip


def chained_ogg() -> bytes:
    links = []
    for part in np.split(sweep(4, 44_100), 2):
        buffer = io.BytesIO()
        soundfile.write(buffer, part, 44_100, format="OGG", subtype="VORBIS")
        links.append(buffer.getvalue())
    return b"".join(links)


def test_a_varying_mp3_without_a_frame_count_is_read_whole(tmp_path: Path) -> None:
    path = uncounted_mp3(tmp_path / "a.mp3")
    assert soundfile.info(str(path)).duration < 4  # the fault this guards against
    whole = load_audio(path)
    assert whole.duration_s == pytest.approx(6, abs=0.06)
    assert probe_audio(path).duration_s == pytest.approx(6, abs=0.06)
    part = load_audio(path, start_s=4.5, end_s=5)
    first = round(4.5 * 44_100)
    expected = whole.samples[first : first + part.samples.size]
    np.testing.assert_allclose(part.samples, expected, rtol=0, atol=1e-6)


def test_a_chained_ogg_is_read_whole() -> None:
    data = chained_ogg()
    assert soundfile.info(io.BytesIO(data)).duration == 2
    whole = load_audio(data)
    assert whole.duration_s == pytest.approx(4, abs=0.02)
    part = load_audio(data, start_s=3, end_s=3.5)
    first = 3 * 44_100
    np.testing.assert_array_equal(part.samples, whole.samples[first : first + part.samples.size])


@pytest.mark.parametrize(("rate", "bit_rate"), [(44_100, 32_000), (22_050, 32_000)])
def test_a_segment_of_an_mp3_of_low_bit_rate(
    rate: int, bit_rate: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Its frames lean on more earlier ones than libmpg123 goes back for; at the lower rate
    # libmpg123 also writes to standard error when it is sent into the middle.
    path = write(tmp_path / "a.mp3", "libmp3lame", rate, bit_rate=bit_rate)
    whole = load_audio(path)
    assert whole.duration_s == pytest.approx(4, abs=0.001)
    for start_s in np.linspace(0.5, 3.7, 12):
        part = load_audio(path, start_s=start_s, end_s=start_s + 0.2)
        first = round(start_s * rate)
        expected = whole.samples[first : first + part.samples.size]
        np.testing.assert_allclose(part.samples, expected, rtol=0, atol=1e-6)
    assert capfd.readouterr() == ("", "")


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    m4a = write(tmp_path / "a.m4a", "aac", 44_100, seconds=1)
    mp3 = uncounted_mp3(tmp_path / "b.mp3")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match=r"a\.m4a: libsndfile cannot .*'earful\[media\]'"):
        load_audio(m4a)
    with pytest.raises(AudioError, match=r"hold 6\.0\d s, of which .*'earful\[media\]'"):
        load_audio(mp3)
    with pytest.raises(AudioError, match=r"chained OGG streams.*'earful\[media\]'"):
        probe_audio(chained_ogg())
