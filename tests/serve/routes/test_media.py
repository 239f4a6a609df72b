"""Routes of audio and pictures."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.serve import exemplar_id
from tests.serve.routes.conftest import SCAN, OpenServer, ids
from tests.support.pictures import read_grey
from tests.support.serve_client import InProcess

FIRST = "night/SITE7_20260503_043000.wav"


def test_a_stretch_is_played(server: InProcess) -> None:
    source = ids(server)[0]
    found = server.get(f"/api/audio/{source}", start_s=5, end_s=6.5)
    assert found.status_code == 200
    assert found.headers["content-type"] == "audio/wav"
    assert found.headers["cache-control"].startswith("private")
    samples, rate = soundfile.read(io.BytesIO(found.content), dtype="int16")
    whole, _ = soundfile.read(FIRST, dtype="int16")
    assert rate == 4000
    np.testing.assert_array_equal(samples, whole[20_000:26_000])


def test_an_exemplar_begins_at_its_own_zero(server: InProcess) -> None:
    found = server.get(f"/api/audio/{exemplar_id('wren/1')}")
    samples, _ = soundfile.read(io.BytesIO(found.content), dtype="int16")
    whole, _ = soundfile.read(FIRST, dtype="int16")
    np.testing.assert_array_equal(samples, whole[20_000:24_000])
    drawn = server.get(f"/api/spectrogram/{exemplar_id('wren/1')}", width=50, height=20)
    assert read_grey(drawn.content).shape == (20, 50)
    whole_of_it = server.get(f"/api/overview/{exemplar_id('wren/1')}")
    assert whole_of_it.headers["x-columns"] == "6"


def test_a_spectrogram_shows_the_call(shared: InProcess) -> None:
    found = shared.get(
        f"/api/spectrogram/{ids(shared)[0]}", start_s=4, end_s=8, width=80, height=20
    )
    assert found.headers["content-type"] == "image/png"
    shades = read_grey(found.content)
    rows = shades[::-1]  # 100 Hz each
    assert rows[4:6, 24:36].max(axis=0).min() > 200
    assert rows[10:].mean() < 60
    assert float(found.headers["x-high-hz"]) == 2000
    assert float(found.headers["x-db-high"]) > float(found.headers["x-db-low"])


def test_what_a_page_has_is_not_sent_again(shared: InProcess) -> None:
    path = f"/api/spectrogram/{ids(shared)[0]}?start_s=4&end_s=8"
    tag = shared.get(path).headers["etag"]
    again = shared.request("GET", path, headers={"if-none-match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = shared.request("GET", f"{path}&width=10", headers={"if-none-match": tag})
    assert other.status_code == 200


def test_an_overview_is_what_the_scan_keeps(server: InProcess) -> None:
    source = ids(server)[0]
    Path(FIRST).unlink()
    found = server.get(f"/api/overview/{source}", column=10, n=100)
    assert found.status_code == 200
    assert found.headers["x-columns"] == "600"
    assert float(found.headers["x-step-s"]) == pytest.approx(0.1)
    assert read_grey(found.content).shape == (96, 100)
    pooled = server.get(f"/api/overview/{source}", pool=6)
    assert read_grey(pooled.content).shape == (96, 100)
    assert float(pooled.headers["x-step-s"]) == pytest.approx(0.6)


@pytest.mark.parametrize("kind", ["audio", "spectrogram", "overview"])
def test_an_unknown_source(shared: InProcess, kind: str) -> None:
    for id in ("r-0000000000000000", "x-0000000000000000", "..%2F..%2Fetc%2Fpasswd", "night"):
        found = shared.get(f"/api/{kind}/{id}")
        assert found.status_code == 404, id


@pytest.mark.parametrize("kind", ["audio", "spectrogram"])
def test_a_recording_that_is_gone(server: InProcess, folder: Path, kind: str) -> None:
    source = ids(server)[0]
    Path(FIRST).unlink()
    found = server.get(f"/api/{kind}/{source}", start_s=1, end_s=2)
    assert found.status_code == 410
    error = found.json()["error"]
    assert error["code"] == "gone"
    assert "SITE7_20260503_043000.wav" in error["message"]
    assert str(folder) not in found.text


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("audio/S?start_s=61", "start_s"),
        ("audio/S?start_s=2&end_s=1", "end_s"),
        ("audio/S?slow=100", "slow"),
        ("audio/S?start_s=abc", "start_s"),
        ("audio/S?start_s=nan", "start_s"),
        ("spectrogram/S?width=5000", "width"),
        ("spectrogram/S?n_fft=300", "n_fft"),
        ("spectrogram/S?fmin=3000", "fmin"),
        ("overview/S?column=600", "column"),
        ("overview/S?n=5000", "n"),
    ],
)
def test_numbers_outside_their_range(shared: InProcess, path: str, field: str) -> None:
    found = shared.get(f"/api/{path.replace('S', ids(shared)[0])}")
    assert found.status_code == 422
    assert found.json()["error"]["field"] == field


def test_a_recording_that_became_something_else(server: InProcess) -> None:
    source = ids(server)[0]
    Path(FIRST).write_text("no audio")
    found = server.get(f"/api/audio/{source}", start_s=1, end_s=2)
    assert found.status_code == 422
    assert found.json()["error"]["code"] == "audio"


def test_reading_only_plays_all_the_same(open_server: OpenServer) -> None:
    server = open_server(read_only=True)
    assert server.get(f"/api/audio/{ids(server)[0]}", end_s=1).status_code == 200


def test_the_review_of_the_index_keeps_no_overview(server: InProcess) -> None:
    assert server.get("/api/queue", scan="index").status_code == 200
    shutil.rmtree(Path(SCAN, "vectors"))
    assert server.get(f"/api/overview/{ids(server)[0]}").status_code == 200  # made of the file
