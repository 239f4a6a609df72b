"""What another site in the same browser, and a name that is not ours, must not be able to do."""

from __future__ import annotations

import http.server
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from earful.index import Index
from earful.index.labels import LabelJournal, journal_path
from tests.serve.browser.screens import wait_for_item
from tests.support.browser import visited

pytestmark = pytest.mark.slow

ATTEMPT = """async ([base, source]) => {
  const answer = { mode: "cors", credentials: "include" };
  const body = JSON.stringify({ item: "x", label: "owned", polarity: "positive" });
  const json = { method: "POST", body, headers: { "Content-Type": "application/json" } };
  const text = { method: "POST", body, headers: { "Content-Type": "text/plain" } };
  const blind = { mode: "no-cors", credentials: "include" };
  const read = async (path, options) => {
    try {
      const found = await fetch(base + path, options);
      return found.type === "opaque" ? "opaque" : `read ${found.status}`;
    } catch { return "refused"; }
  };
  const loads = (tag, path) => new Promise((resolve) => {
    const one = document.createElement(tag);
    one.onload = one.onloadedmetadata = () => resolve("loaded");
    one.onerror = () => resolve("refused");
    one.src = base + path;
    document.body.append(one);
    setTimeout(() => resolve("refused"), 4000);
  });
  const framed = (path) => new Promise((resolve) => {
    const one = document.createElement("iframe");
    one.onload = () => {
      let seen = "";
      try { seen = one.contentDocument?.body?.textContent ?? ""; } catch { seen = ""; }
      resolve(seen ? "read" : "nothing to read");
    };
    one.src = base + path;
    document.body.append(one);
    setTimeout(() => resolve("nothing to read"), 4000);
  });
  const sound = `/api/audio/${source}?start_s=0&end_s=1`;
  const picture = `/api/spectrogram/${source}?end_s=1`;
  return {
    "fetch of labels": await read("/api/labels", answer),
    "fetch of the status": await read("/api/status", answer),
    "fetch of a sound": await read(sound, answer),
    "fetch of the page": await read("/app.js", answer),
    "post of JSON": await read("/api/labels", { ...answer, ...json }),
    "post of text": await read("/api/labels", { ...answer, ...text }),
    "post of text, unread": await read("/api/labels", { ...blind, ...text }),
    "undo, unread": await read("/api/index/undo", { ...blind, method: "POST" }),
    "release, unread": await read("/api/queue/release", { ...blind, method: "POST" }),
    "deletion": await read("/api/labels/1", { ...answer, method: "DELETE" }),
    "upload": await read("/api/uploads/a.wav", { ...answer, method: "PUT", body }),
    "beacon": navigator.sendBeacon(base + "/api/labels", body) ? "sent" : "refused",
    "picture": await loads("img", picture),
    "icon": await loads("img", "/icon.svg"),
    "sound": await loads("audio", sound),
    "script": await loads("script", "/app.js"),
    "status as a script": await loads("script", "/api/status"),
    "frame of the page": await framed("/"),
    "frame of the status": await framed("/api/status"),
  };
}"""

FORM = """base => {
  const form = document.createElement("form");
  Object.assign(form, { method: "POST", action: base + "/api/labels", enctype: "text/plain" });
  const field = document.createElement("input");
  const half = '{"item":"x","label":"owned","polarity":"positive","comment":"';
  Object.assign(field, { name: half, value: '"}' });
  form.append(field);
  document.body.append(form);
  form.submit();
}"""


@contextmanager
def another_site() -> Iterator[str]:
    """Serve an empty page from another port of this machine: another origin, the same site."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><body>")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def base(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


@pytest.fixture
def own(address: str) -> dict[str, str]:
    """Headers of who has the token."""
    return {"authorization": f"Bearer {urlsplit(address).query.removeprefix('token=')}"}


def state_of(folder: Path) -> tuple[object, ...]:
    """What a stranger might change."""
    labels = LabelJournal(journal_path(folder / "night.scan")).read()
    return len(labels), Index.open(folder / "sounds.index").state


def test_another_site_reads_and_changes_nothing(
    folder: Path,
    address: str,
    base: str,
    own: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = httpx.get(f"{base}/api/recordings", headers=own).json()["recordings"]
    source = next(row["source"] for row in rows if row["source"])
    with another_site() as elsewhere, visited(address, expected=elsewhere) as page:
        wait_for_item(page)  # the cookie is set, and works
        before = state_of(folder)
        stranger = page.context.new_page()
        page.goto("about:blank")
        stranger.wait_for_timeout(1000)  # nothing of ours is asked for any more
        caplog.set_level(logging.INFO, "earful.serve")
        caplog.clear()
        stranger.goto(elsewhere)
        found: dict[str, Any] = stranger.evaluate(ATTEMPT, [base, source])
        assert set(found.values()) <= {"refused", "nothing to read", "opaque", "sent"}, found
        # What is opaque or sent cannot be read there; the server has refused it all the same.
        asked = [vars(one) for one in caplog.records if hasattr(one, "status")]
        api = {(one["method"], one["path"]): one["status"] for one in asked}
        api = {key: status for key, status in api.items() if key[1].startswith("/api/")}
        assert ("POST", "/api/labels") in api
        assert ("GET", f"/api/audio/{source}") in api
        assert set(api.values()) <= {403, 405, 415}, api
        stranger.evaluate(FORM, base)
        stranger.wait_for_url(f"{base}/api/labels")
        assert "foreign_origin" in stranger.content()
        assert "owned" not in stranger.content()
        stranger.close()
        assert state_of(folder) == before
        page.goto(base)
        wait_for_item(page)


def test_the_page_of_another_origin_gets_no_window_to_ours(address: str, base: str) -> None:
    with another_site() as elsewhere, visited(address, expected=elsewhere) as page:
        wait_for_item(page)
        stranger = page.context.new_page()
        stranger.goto(elsewhere)
        with stranger.expect_popup() as opened:
            stranger.evaluate("base => { window.ours = window.open(base + '/'); }", base)
        opened.value.wait_for_load_state()
        # A window of ours is cut off from who opened it: nothing can be sent to it, or framed.
        assert stranger.evaluate("ours.closed") is True
        assert opened.value.evaluate("window.opener") is None
        stranger.close()


@pytest.mark.parametrize(
    "name",
    [
        "rebound.example",
        "127.0.0.1.rebound.example",
        "localhost.rebound.example",
        "127.0.0.1@rebound.example",
        "2130706433",
        "0.0.0.0",
        "0",
        "127.1",
        "[::ffff:127.0.0.1]",
        "localhost.",
    ],
)
def test_a_name_that_leads_here_is_refused_before_the_token_counts(
    base: str, own: dict[str, str], name: str
) -> None:
    port = urlsplit(base).port
    for host in (name, f"{name}:{port}", f"{name}:80", f"127.0.0.1:{port}, {name}:{port}"):
        for headers in ({"host": host}, {"host": host, **own}):
            for path in ("/", "/app.js", "/api/status", "/openapi.json"):
                answer = httpx.get(base + path, headers=headers)
                assert answer.status_code == 421, (host, path)
                assert "set-cookie" not in answer.headers


def test_two_hosts_in_one_request_are_refused(base: str, own: dict[str, str]) -> None:
    parts = urlsplit(base)
    head = f"GET /api/status HTTP/1.1\r\nhost: {parts.netloc}\r\nhost: rebound.example\r\n"
    head += f"authorization: {own['authorization']}\r\nconnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", parts.port or 0), timeout=30) as sent:
        sent.sendall(head.encode())
        with sent.makefile("rb") as answered:
            assert answered.readline().split()[1] in (b"400", b"421")
