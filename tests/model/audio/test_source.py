"""What leads to a recording: names, links, sizes and things that are no files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from earful.errors import AudioError
from earful.model.audio import AudioLimits, file_sha256, load_audio
from earful.model.audio.clip import probe_audio
from tests.support.audio_formats import by_libsndfile, noise


def refusal(source: str | os.PathLike[str] | bytes, **options: object) -> str:
    with pytest.raises(AudioError) as caught:
        load_audio(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_things_that_are_not_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to("gone.wav")
    (tmp_path / "file").write_bytes(b"x")
    assert "is a directory" in refusal(tmp_path)
    assert "is a named pipe" in refusal(tmp_path / "pipe")
    assert "is a device" in refusal("/dev/zero")
    assert "leads back to itself" in refusal(tmp_path / "loop")
    assert "is a link to gone.wav, which does not exist" in refusal(tmp_path / "dangling")
    assert "no such file" in refusal(tmp_path / "nothing.wav")
    assert "no such file" in refusal(tmp_path / "file" / "below")
    assert "is an address, expected a file" in refusal("https://example.org/a.wav")
    assert "no file can have this name" in refusal("a\0b.wav")
    assert "no file can have this name" in refusal("\ud800.wav")
    assert "cannot be opened" in refusal("x" * 5000)
    with pytest.raises(AudioError, match="is a directory"):
        file_sha256(tmp_path)
    with pytest.raises(TypeError):
        load_audio(3)  # type: ignore[arg-type]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    assert "may not be read by this user" in refusal(path)


@pytest.mark.parametrize(
    "name", ["日本 语.wav", "e\u0301.wav", "a\nb\t.wav", "\udcff.wav", "-", ".wav"]
)
def test_names_of_every_kind(name: str, tmp_path: Path) -> None:
    data = by_libsndfile(noise(0.1, 8000), 8000, "WAV", "PCM_16")
    path = tmp_path / name
    path.write_bytes(data)
    assert load_audio(str(path)).source == str(path)
    assert file_sha256(path) == hashlib.sha256(data).hexdigest()
    assert "\n" not in refusal(path, start_s=9)
    refusal(path, start_s=9).encode()  # no lone surrogate, which no terminal takes


def test_a_path_longer_than_libsndfile_takes(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d" * 200] * 7)
    folder.mkdir(parents=True)
    flac = by_libsndfile(noise(0.5, 16000, 2), 16000, "FLAC", "PCM_24")
    whole = load_audio(flac)
    (folder / "a.flac").write_bytes(flac)
    np.testing.assert_array_equal(load_audio(folder / "a.flac").samples, whole.samples)
    (tmp_path / "link").symlink_to(folder / "a.flac")
    assert load_audio(tmp_path / "link").content_sha256 == whole.content_sha256


def test_a_file_is_weighed_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF")
    os.truncate(path, 5 << 30)  # a hole: it takes no room
    for read in (load_audio, probe_audio, file_sha256):
        with pytest.raises(AudioError, match=r"has 5368709120 bytes, over .*4294967296"):
            read(path)
    limits = AudioLimits(max_file_bytes=100)
    with pytest.raises(AudioError, match=r"<bytes>: has 101 bytes, over .*max_file_bytes=100"):
        load_audio(bytes(101), limits=limits)
    assert "holds only zero bytes" in refusal(bytes(100), limits=limits)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux's /proc")
def test_a_file_that_says_nothing_of_its_size() -> None:
    assert len(file_sha256("/proc/self/cmdline")) == 64
    with pytest.raises(AudioError, match="does not end within max_file_bytes=100"):
        file_sha256("/proc/self/maps", limits=AudioLimits(max_file_bytes=100))
    with pytest.raises(AudioError, match=r"/proc/self/mem: cannot be read \(Input/output error\)"):
        file_sha256("/proc/self/mem")  # a stand-in for a disk that fails
