"""Players and spectrograms: what a page embeds of a recording."""

import base64
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from earful import Clip
from earful.html import Players
from earful.html.spectrogram import draw_spectrogram

RATE = 16_000


def shades(uri: str) -> NDArray[np.uint8]:
    """Decode a PNG of one byte a pixel whose rows are not filtered."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    place, chunks = 8, {}
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        (digest,) = struct.unpack(">I", data[place + 8 + size : place + 12 + size])
        assert digest == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert len(chunks[b"PLTE"]) == 3 * 256
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def tone(hz: float, seconds: float = 1.0) -> Clip:
    time_s = np.arange(round(seconds * RATE)) / RATE
    samples = (0.5 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)
    return Clip(samples=samples, sample_rate=RATE)


@pytest.mark.parametrize("seconds", [0.001, 0.1, 1.0, 6.0])
def test_a_spectrogram_is_small_whatever_the_length(seconds: float) -> None:
    uri = draw_spectrogram(tone(440.0, seconds))
    height, width = shades(uri).shape
    assert height == 48
    assert 1 < width <= 162
    assert len(uri) < 12_000


def test_high_tones_are_drawn_above_low_ones() -> None:
    low, high = (shades(draw_spectrogram(tone(hz))).mean(axis=1).argmax() for hz in (200, 5000))
    assert high < low


def test_silence_is_dark() -> None:
    silence = Clip(samples=np.zeros(RATE, np.float32), sample_rate=RATE)
    assert shades(draw_spectrogram(silence)).max() == 0


def test_another_image_library_reads_the_picture(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    uri = draw_spectrogram(tone(440.0))
    path = tmp_path / "a.png"
    path.write_bytes(base64.b64decode(uri.partition(",")[2]))
    with image.open(path) as opened:
        assert np.array_equal(np.asarray(opened), shades(uri))


def test_a_picture_needs_no_torch() -> None:
    """A default installation has none, and its notebooks shall show pictures."""
    program = (
        "import sys; sys.modules['torch'] = sys.modules['torchaudio'] = None\n"
        "import numpy as np\n"
        "from earful import Clip\n"
        "from earful.html.spectrogram import draw_spectrogram\n"
        "draw_spectrogram(Clip(samples=np.zeros(9, np.float32), sample_rate=8000))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_players_stop_at_their_budget(tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 2))
    soundfile.write(path, noise, RATE)
    players = Players(60_000)
    first, second, third = (players.show(path) for _ in range(3))
    assert first.source.startswith("data:audio/flac;base64,")
    assert first.picture == second.picture
    assert (third.source, third.picture) == ("", "")
    assert "not embedded" in third.fault
    assert players.n_left_out == 1


def test_a_recording_that_cannot_be_played_says_why(tmp_path: Path) -> None:
    shown = Players(1000).show(tmp_path / "gone.wav")
    assert "gone.wav" in shown.fault
    assert not shown.source


def test_samples_are_cut_and_resampled() -> None:
    clip = Clip(samples=np.full(44_100 * 9, 0.5, np.float32), sample_rate=44_100)
    shown = Players(1_000_000).show(clip)
    data = base64.b64decode(shown.source.partition(",")[2])
    samples, rate = soundfile.read(io.BytesIO(data))
    assert rate == RATE
    assert len(samples) == 6 * RATE


def test_a_stretch_of_a_recording_beyond_what_a_wav_can_say_is_played(tmp_path: Path) -> None:
    rate, n_bytes = 96_000, 5 << 30
    sizes = struct.pack("<IQQQI", 28, n_bytes + 72, n_bytes, n_bytes // 2, 0)
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    rest = b"\xff" * 4
    header = b"RF64" + rest + b"WAVE" + b"ds64" + sizes + b"fmt " + form + b"data" + rest
    with open(tmp_path / "week.wav", "wb") as file:
        file.write(header)
        file.truncate(len(header) + n_bytes)
    shown = Players(1_000_000).show(tmp_path / "week.wav", 20_000.0, 20_001.0)
    assert (shown.fault, shown.source[:15]) == ("", "data:audio/flac")
