"""Whatever a file holds: an answer or an ``AudioError``, of a bounded part of it."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import AudioError
from earful.model.audio.recorders import RecorderMetadata, reading
from earful.model.audio.recorders.audiomoth import read_audiomoth, read_info
from earful.model.audio.recorders.bext import read_bext
from earful.model.audio.recorders.comments import read_comments
from earful.model.audio.recorders.guano import read_guano
from earful.model.audio.recorders.reading import MOST_BYTES, MOST_CHUNKS
from earful.model.audio.recorders.wamd import read_wamd
from earful.model.audio.source import OpenSource
from tests.support.recorder_files import (
    bext,
    chunk,
    comments,
    flac,
    guano,
    info,
    moth,
    ogg,
    w64,
    wamd,
    wav,
)

WHOLE = [
    wav(guano("Timestamp: 2026-05-03T04:30:12\nTE: 10"), wamd((5, b"2026-05-03 04:30:12"))),
    wav(before=moth("Recorded at 04:30:12 03/05/2026 (UTC) by AudioMoth 24F3190361DA3578")),
    wav(bext("2026-05-03", "04:30:12"), kind=b"RF64"),
    w64((b"guan", b"Make: a"), (b"bext", bytes(700))),
    flac("DATE=2026-05-03T04:30:12", chunks=(guano("Make: a"), info(ICMT="b"))),
    ogg("DATE=2026-05-03T04:30:12"),
]


class Counted(io.BytesIO):
    """A file that counts what is read of it."""

    n_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.n_read += len(content)
        return content


def read(monkeypatch: pytest.MonkeyPatch, content: bytes) -> tuple[RecorderMetadata, int]:
    """Read metadata of bytes, and count how many were read."""
    file = Counted(content)

    @contextmanager
    def opened(path: object, *, max_bytes: int) -> Iterator[OpenSource]:
        yield OpenSource(file=file, name="x.wav", size_bytes=len(content))

    monkeypatch.setattr(reading, "open_source", opened)
    found = reading.read_recorder_metadata("x.wav")
    return found, file.n_read


@settings(max_examples=200)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(WHOLE)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(content), 2200) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=8))
    with pytest.MonkeyPatch.context() as patch:
        try:
            found, n_read = read(patch, bytes(content))
        except AudioError:
            return
    assert found.starts_at is None or 1900 <= found.starts_at.year <= 2100
    assert found.site.isprintable()
    assert found.device.isprintable()
    assert n_read <= 3 * len(content) + 64 * 32


@settings(max_examples=100)
@given(st.sampled_from([b"", b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS", b"ID3\4"]), st.binary())
def test_anything_is_read_or_refused(start: bytes, rest: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        read(patch, start + rest)


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_any_content_of_a_chunk_is_read(content: bytes) -> None:
    read_guano(content), read_wamd(content), read_bext(content), read_comments(content)
    read_audiomoth(read_info(b"INFO" + content))


def test_a_wave_of_metadata_is_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 2 MiB, in hundreds, and one wanted behind them."""
    big = chunk(b"guan", b"Make: a\n" + bytes(2 * MOST_BYTES))
    lists = b"".join(chunk(b"LIST", b"adtl" + bytes(MOST_BYTES)) for _ in range(8))
    found, n_read = read(monkeypatch, wav(big, lists, wamd((4, b"FAR"))))
    assert (found.device, found.site) == ("a", "FAR")
    assert n_read < MOST_BYTES + 10_000
    many = chunk(b"JUNK", b"") * MOST_CHUNKS
    found, n_read = read(monkeypatch, wav(many, wamd((4, b"FAR"))))
    assert found.site != "FAR"
    assert n_read < 10_000


def test_flac_and_ogg_are_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = tuple(chunk(b"JUNK", bytes(1 << 20)) for _ in range(8))
    found, n_read = read(monkeypatch, flac("LOCATION=pond", chunks=pictures))
    assert found.site == "pond"
    assert n_read < 10_000
    found, n_read = read(monkeypatch, flac("LOCATION=pond", chunks=pictures[:1] * 70))
    assert found.site != "pond"
    found, n_read = read(monkeypatch, ogg("X=" + 6_000_000 * "x", "LOCATION=pond"))
    assert found.site != "pond"
    assert n_read < 2 * MOST_BYTES


def test_sizes_are_checked_against_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    content = wav(b"guan\xff\xff\xff\x7fMake: a")
    assert read(monkeypatch, content)[0].device == ""
    assert read_comments(b"\xff\xff\xff\xff")[1].starts_at is None
    assert read_comments(comments("A=b")[:-1])[0] == {}


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "SITE7_20260503_043012.wav"
    os.mkfifo(path) if kind == "fifo" else path.mkdir()
    with pytest.raises(AudioError):
        reading.read_recorder_metadata(path)
    assert reading.read_recorder_site(path) == "SITE7"
