"""Names that look like places: nothing that a client sends is a path, and links lead nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.serve.test_guards import filled, routes
from tests.support.page_servers import PageServer, make_index, open_server, wav_bytes

SECRET = "the secret beside the index"
TRICKS = (
    "../secret.html",
    "..%2fsecret.html",
    "....//secret.html",
    "/etc/passwd",
    "//etc/passwd",
    "\\..\\secret.html",
    "%2e%2e%2fsecret.html",
    "secret.html%00.wav",
    "file:///etc/passwd",
    "C:\\secret.html",
    "link.html",
    "~root/.profile",
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """A server, beside whose index a secret lies, and links that lead to it."""
    folder = tmp_path_factory.mktemp("beside")
    (folder / "elsewhere").mkdir()
    secret = folder / "elsewhere" / "secret.html"
    secret.write_text(f'<meta name="generator" content="earful">{SECRET}', encoding="utf-8")
    index = make_index(folder)
    (folder / "link.html").symlink_to(secret)
    (folder / "sounds" / "link.wav").symlink_to(secret)
    (folder / "sounds" / "hum" / "linked").symlink_to(folder / "elsewhere")
    os.mkfifo(folder / "pipe.html")
    server = open_server(index, recordings=(folder / "sounds",))
    yield server
    server.state.close()


def tells_nothing(server: PageServer, text: str) -> None:
    assert SECRET not in text
    assert str(server.state.index_path.parent) not in text
    assert "root:" not in text


def test_no_place_in_an_address_is_one_of_this_machine(opened: PageServer) -> None:
    for method, path in routes(opened):
        if "{" not in path or "/jobs/" in path:
            continue
        for trick in TRICKS:
            for name in (trick, quote(trick, safe="")):
                address = path.partition("{")[0] + name
                response = opened.send(method.upper(), address)
                assert response.status_code in (404, 405, 409, 415, 422), (method, address)
                tells_nothing(opened, response.text)


def test_no_text_parameter_is_a_place(opened: PageServer) -> None:
    for path, methods in opened.app.openapi()["paths"].items():
        about = methods.get("get")
        if about is None or path in ("/api/changes", "/api/index/health"):
            continue
        names = [one["name"] for one in about.get("parameters", ()) if one["in"] == "query"]
        for name in names:
            for trick in TRICKS[:6]:
                response = opened.send("GET", f"{filled(path)}?{name}={quote(trick)}")
                assert response.status_code < 500, (path, name, trick)
                tells_nothing(opened, response.text)


@pytest.mark.parametrize("trick", TRICKS)
def test_no_field_of_a_body_is_a_place(opened: PageServer, trick: str) -> None:
    bodies = {
        "/api/classify": {"audio": {"source": trick}},
        "/api/ask": {"audio": {"source": "u-0"}, "task": trick},
        "/api/search": {"text": "hum", "where": f"audio = '{trick}'"},
        "/api/index/rows": {"audio": {"source": trick}, "labels": [trick]},
        "/api/labels": {"scan": trick, "item": trick, "label": "x", "polarity": "positive"},
        "/api/labels/resolve": {"scan": "", "item": trick, "label": "x", "polarity": "positive"},
        "/api/scans": {"name": trick, "recordings": [trick], "labels": ["hum"]},
    }
    for path, body in bodies.items():
        response = opened.send("POST", path, body=body)
        assert 400 <= response.status_code < 500, (path, response.text)
        tells_nothing(opened, response.text)


@pytest.mark.parametrize("trick", TRICKS)
def test_the_name_of_an_upload_is_a_caption(opened: PageServer, trick: str) -> None:
    before = set(opened.state.index_path.parent.rglob("*"))
    response = opened.upload(wav_bytes(), quote(trick, safe=""))
    assert response.status_code == 201
    assert "/" not in response.json()["name"]
    tells_nothing(opened, response.text)
    folder = opened.state.uploads.folder
    there = [path for path in folder.iterdir() if path.name != ".lock"]
    assert all(path.name[:2] == "u-" for path in there)
    assert set(opened.state.index_path.parent.rglob("*")) == before


def test_links_beside_recordings_and_reports_lead_nowhere(opened: PageServer) -> None:
    assert opened.send("GET", "/api/reports").json() == {"reports": []}
    status = opened.send("GET", "/api/status").json()
    assert status["folders"] == ["sounds"]
    for address in ("/link.html", "/../link.html", "/%2e%2e/link.html", "/screens/../../app.py"):
        response = opened.send("GET", address)
        assert response.status_code == 404, address
        tells_nothing(opened, response.text)
