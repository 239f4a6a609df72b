"""Files that are surely not audio are called what they are, whatever their names."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import AudioError
from earful.model.audio import load_audio
from earful.model.audio.clip import probe_audio
from earful.model.audio.not_audio import HEAD_BYTES, not_audio


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as inside:
        inside.writestr("a.txt", "a")
    return file.getvalue()


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(9))
    return file.getvalue()


@pytest.mark.parametrize("name", ["night.wav", "night.mp3", "night.flac", "night"])
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"these are my notes\n", "is text, expected audio; fetch it again"),
        ("Käuzchen um 4:30 Uhr\r\n".encode(), "is text, expected audio"),
        ("Käuzchen".encode("utf-16"), "is text, expected audio"),
        (b'{"label": "owl"}', "is text, expected audio"),
        (("ö" * HEAD_BYTES).encode(), "is text, expected audio"),
        (
            b"\xef\xbb\xbf\n<!DOCTYPE html><html>404</html>",
            r"is a web page \(HTML\), expected audio",
        ),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), r"is a picture \(PNG\), expected audio"),
        (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(99), r"is a picture \(WebP\), expected audio"),
        (archive(), "is a ZIP archive, expected audio; unpack it"),
        (array(), "is an array of NumPy, expected audio; in a program"),
        (b"\x7fELF\2\1\1" + bytes(99), "is a program, expected audio"),
        (b"SQLite format 3\0" + bytes(99), r"a database \(SQLite\), as projects of Audacity are"),
        (b"MThd\0\0\0\6\0\1" + bytes(99), "MIDI, which is notes and no sound"),
    ],
)
def test_what_is_not_audio_is_called_what_it_is(
    data: bytes, says: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    for read in (load_audio, probe_audio):
        with pytest.raises(AudioError, match=says) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "header" not in str(caught.value)
        assert "FFmpeg" not in str(caught.value)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"OggS\0\2",
        b"fLaC\0\0\0\x22",
        b"ID3\4\0",
        b"NIST_1A\n   1024\n",
        b"#!AMR\n",
        b"\xff\xfb\x90\x64",
    ],
)
def test_what_may_be_audio_is_left_to_the_decoders(head: bytes) -> None:
    assert not_audio(head) == ""


@given(st.binary(max_size=64).filter(lambda data: data[:2] not in (b"\xff\xfe", b"\xfe\xff")))
def test_bytes_with_a_control_of_no_text_are_not_called_text(data: bytes) -> None:
    assert "is text" not in not_audio(data + b"\0\1\x02")


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=64))
def test_a_cut_letter_at_the_end_is_no_doubt(text: str) -> None:
    head = ("a" + text).encode()
    told = not_audio(head)
    assert told != "" or head.startswith(b"NIST_1A")
    assert not_audio(head[:-1]) != "" or len(head) == 1
