"""Uploads: what a page sends is checked, kept for a while, and named as it likes."""

import time
from pathlib import Path

import pytest

from earful.errors import UnknownSourceError
from earful.serve import ServeSettings, Uploads
from earful.serve.uploads import clean_name
from tests.support.audio_bombs import claiming
from tests.support.page_servers import OWN, TOKEN, PageServer, open_server, wav_bytes


def keep(uploads: Uploads, data: bytes, name: str = "a.wav") -> str:
    with uploads.receive() as incoming:
        incoming.write(data)
        return uploads.keep(incoming, name).source.id


def test_an_upload_is_described_and_found_by_its_content(server: PageServer) -> None:
    data = wav_bytes(seconds=0.5)
    first = server.upload(data, "C:\\night\\owl 1.wav")
    assert first.status_code == 201
    found = first.json()
    assert found | {"id": "", "source": ""} == {
        "id": "",
        "source": "",
        "name": "owl 1.wav",
        "duration_s": 0.5,
        "sample_rate": 16_000,
        "channels": 1,
    }
    again = server.upload(data, "other.wav").json()
    assert again["id"] == found["id"]
    listed = server.send("GET", "/api/uploads").json()["uploads"]
    assert [upload["name"] for upload in listed if upload["id"] == found["id"]] == ["other.wav"]
    assert server.send("DELETE", f"/api/uploads/{found['id']}").status_code == 200
    gone = server.send("DELETE", f"/api/uploads/{found['id']}")
    assert server.error(gone) == (404, "unknown_source")


@pytest.mark.parametrize(
    ("data", "status", "code", "words"),
    [
        (b"", 422, "silent", "song.wav: is empty"),
        (wav_bytes(level=0), 422, "silent", "song.wav: is silent"),
        (b"no audio at all, but a text", 415, "audio", "song.wav: "),
        (wav_bytes()[:300] + b"", 415, "audio", "song.wav: "),
        (b"\0" * 4000, 415, "audio", "song.wav: holds only zero bytes"),
    ],
)
def test_what_is_no_sound_is_refused(
    server: PageServer, data: bytes, status: int, code: str, words: str
) -> None:
    response = server.upload(data, "song.wav")
    if response.status_code == 201:  # a file that was cut short has something to hear
        assert len(data) == 300
        return
    assert server.error(response) == (status, code)
    assert words in response.json()["error"]["message"]
    assert str(server.state.uploads.folder) not in response.text
    assert not list(server.state.uploads.folder.glob("incoming-*"))


def test_a_bomb_is_decoded_where_it_can_do_no_harm(server: PageServer) -> None:
    # Some kilobytes that unpack to half an hour and more, and do not say so.
    response = server.upload(claiming(0, 1900, 8_000, 1), "bomb.flac")
    assert server.error(response) == (415, "audio")
    assert "bomb.flac: " in response.json()["error"]["message"]


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", "%2e%2e%2fetc", "a%00b.wav", "%0d%0a"])
def test_a_name_is_a_caption_and_no_path(server: PageServer, name: str) -> None:
    before = {path.name for path in server.state.uploads.folder.iterdir()}
    response = server.send(
        "PUT",
        f"/api/uploads/x/{name}",
        headers={**OWN, "content-type": "audio/wav"},
        content=wav_bytes(seconds=0.2),
    )
    if response.status_code == 201:
        caption = response.json()["name"]
        assert caption
        assert caption.isprintable()
        assert "/" not in caption
    new = {path.name for path in server.state.uploads.folder.iterdir()} - before
    assert all(each.startswith("u-") for each in new)


def test_the_oldest_make_room_and_say_so() -> None:
    uploads = Uploads(ServeSettings(token=TOKEN, max_uploads=2))
    try:
        ids = [keep(uploads, wav_bytes(seed=n, seconds=0.2)) for n in range(3)]
        with pytest.raises(UnknownSourceError, match="the newest 2 are, for 24 h"):
            uploads.find(ids[0])
        assert [source.id for source in uploads.sources()] == ids[1:]
        assert len(list(uploads.folder.glob("u-*"))) == 2
    finally:
        uploads.close()
    assert not uploads.folder.exists()


def test_uploads_are_dropped_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads(ServeSettings(token=TOKEN))
    try:
        id = keep(uploads, wav_bytes(seconds=0.2))
        now_s = time.monotonic()
        monkeypatch.setattr("time.monotonic", lambda: now_s + 25 * 3600)
        with pytest.raises(UnknownSourceError):
            uploads.find(id)
    finally:
        uploads.close()


def test_a_megabyte_limit_counts_all_uploads() -> None:
    one = wav_bytes(seconds=0.5)
    room = 2.5 * len(one) / (1 << 20)
    uploads = Uploads(ServeSettings(token=TOKEN, max_upload_mib=room, max_uploads_mib=room))
    try:
        for n in range(4):
            keep(uploads, wav_bytes(seconds=0.5, seed=n))
        assert len(uploads.sources()) == 2
    finally:
        uploads.close()


def test_a_server_removes_what_was_uploaded(index: Path) -> None:
    server = open_server(index)
    server.upload(wav_bytes(seconds=0.2))
    folder = server.state.uploads.folder
    assert folder.stat().st_mode & 0o077 == 0
    server.state.close()
    assert not folder.exists()


def test_names_without_anything_get_one() -> None:
    assert [clean_name(name) for name in ("", "/", " ", "a/")] == [
        "upload",
        "upload",
        "upload",
        "a",
    ]
