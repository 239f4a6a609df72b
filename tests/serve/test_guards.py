"""What every route refuses: each line of the security rules, over all routes there are."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from earful.serve import ServeSettings
from tests.support.page_servers import (
    HOST,
    OWN,
    PORT,
    TOKEN,
    PageServer,
    call_until_gone,
    open_server,
    wav_bytes,
)

READING = ("get", "head")
ASKING = ("/api/classify", "/api/ask", "/api/search", "/api/uploads/{name}", "/api/uploads/{id}")


def routes(server: PageServer) -> Iterator[tuple[str, str]]:
    """Method and address of every route of the API, with its parameters filled in."""
    for path, methods in server.app.openapi()["paths"].items():
        for method in methods:
            yield method, path


def filled(path: str) -> str:
    for name in ("{name}", "{id}", "{source}", "{seq}"):
        path = path.replace(name, "1")
    assert "{" not in path
    return path


def test_every_route_is_known_here(server: PageServer) -> None:
    found = {path for _, path in routes(server)}
    assert {"/api/status", "/api/classify", "/api/index/rows/{id}", "/api/scans"} <= found
    assert all(path.startswith("/api/") for path in found)


def test_no_route_answers_without_the_token(server: PageServer) -> None:
    for method, path in routes(server):
        for headers in (
            {"host": HOST},
            {"host": HOST, "authorization": f"Bearer {TOKEN}x"},
            {"host": HOST, "authorization": f"Basic {TOKEN}"},
            {"host": HOST, "cookie": f"earful-{PORT}={TOKEN[:-1]}"},
            {"host": HOST, "cookie": f"earful-{PORT + 1}={TOKEN}"},
        ):
            response = server.send(method.upper(), filled(path), headers=headers)
            assert server.error(response) == (401, "token"), (method, path, headers)
        # Not by the address either: it would stay in logs and histories.
        response = server.send(
            method.upper(), f"{filled(path)}?token={TOKEN}", headers={"host": HOST}
        )
        assert server.error(response) == (401, "token")
    assert server.send("GET", "/openapi.json", headers={"host": HOST}).status_code == 401
    assert server.send("GET", "/openapi.json").status_code == 200


def test_no_route_answers_to_another_host(server: PageServer) -> None:
    strangers = ("evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", "")
    for method, path in [*routes(server), ("get", "/"), ("get", "/nowhere")]:
        for host in strangers:
            response = server.send(method.upper(), filled(path), headers={**OWN, "host": host})
            assert server.error(response) == (421, "wrong_host"), (method, path, host)
    for host in (f"localhost:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"):
        assert server.send("GET", "/api/status", headers={**OWN, "host": host}).status_code == 200


def test_nothing_is_changed_for_another_origin(server: PageServer) -> None:
    strangers = (
        {"origin": "http://evil.example"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"origin": f"https://{HOST}"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    )
    for method, path in routes(server):
        for extra in strangers:
            is_read = method in READING
            if is_read and "origin" in extra:
                continue
            response = server.send(method.upper(), filled(path), headers={**OWN, **extra})
            assert server.error(response) == (403, "foreign_origin"), (method, path, extra)
            assert not [key for key in response.headers if key.startswith("access-control")]
    own = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
    response = server.send("POST", "/api/search", headers={**OWN, **own}, body={"text": ""})
    assert server.error(response) == (422, "invalid")


def test_only_json_and_audio_are_taken(server: PageServer) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        for method, path in routes(server):
            if method in READING:
                continue
            headers = {**OWN, "content-type": kind}
            response = server.send(method.upper(), filled(path), headers=headers, content=b"{}")
            assert server.error(response) == (415, "content_type"), (method, path, kind)
    json_upload = {**OWN, "content-type": "application/json"}
    response = server.send("PUT", "/api/uploads/a.wav", headers=json_upload, content=b"{}")
    assert server.error(response) == (415, "content_type")


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "CONNECT"])
def test_other_methods_are_refused(server: PageServer, method: str) -> None:
    assert server.error(server.send(method, "/api/status")) == (405, "method")


def test_a_body_is_counted_whatever_its_length_says(server: PageServer) -> None:
    limit = server.state.settings.max_json_bytes

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(limit // 1024 + 2):
            yield b" " * 1024

    for method, path in routes(server):
        if method in READING or "/uploads/" in path:
            continue
        headers = {**OWN, "content-type": "application/json"}
        response = server.send(
            method.upper(), filled(path), headers=headers, content=b" " * (limit + 1)
        )
        assert server.error(response) == (413, "too_large"), (method, path)
    streamed = {**OWN, "content-type": "application/json"}
    response = server.send("POST", "/api/search", headers=streamed, content=pieces())
    assert "content-length" not in response.request.headers
    assert server.error(response) == (413, "too_large")
    for length in ("-1", "x", "٣"):
        headers = {**streamed, "content-length": length}
        try:
            response = server.send("POST", "/api/search", headers=headers, content=b"{}")
        except UnicodeEncodeError:
            continue
        assert server.error(response) == (413, "too_large")


def test_a_large_upload_is_refused_while_it_arrives(index: Path) -> None:
    server = open_server(index, max_upload_mib=0.05)
    try:
        data = wav_bytes(seconds=3)
        assert server.error(server.upload(data)) == (413, "too_large")
        assert [each.name for each in server.state.uploads.folder.iterdir()] == [".lock"]
        assert server.upload(wav_bytes(seconds=1)).status_code == 201
    finally:
        server.state.close()


def test_long_headers_are_refused(server: PageServer) -> None:
    response = server.send("GET", "/api/status", headers={**OWN, "x-long": "x" * (16 << 10)})
    assert server.error(response) == (431, "headers_too_large")


def test_a_slow_body_is_given_up(index: Path) -> None:
    server = open_server(index, request_s=0.2)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)
        yield b"}"

    try:
        headers = {**OWN, "content-type": "application/json"}
        response = server.send("POST", "/api/search", headers=headers, content=slow())
        assert server.error(response) == (408, "slow")
    finally:
        server.state.close()


def test_read_only_refuses_all_but_reading_and_asking(index: Path) -> None:
    server = open_server(index, read_only=True)
    try:
        for method, path in routes(server):
            if method in READING:
                continue
            response = server.send(method.upper(), filled(path))
            if path in ASKING:
                assert response.status_code != 403
            else:
                assert server.error(response) == (403, "read_only"), (method, path)
        assert server.send("GET", "/api/status").json()["read_only"] is True
    finally:
        server.state.close()


def test_labels_come_no_faster_than_people_give_them(index: Path) -> None:
    server = open_server(index, labels_per_s=3)
    try:

        async def flood() -> list[httpx.Response]:
            return [await server.ask("POST", "/api/labels", body={}) for _ in range(8)]

        found = asyncio.run(flood())
        refused = [response for response in found if response.status_code == 429]
        assert len(refused) in (4, 5)
        assert server.error(refused[0]) == (429, "too_many_labels")
        assert refused[0].headers["retry-after"] == "1"
    finally:
        server.state.close()


def test_every_response_has_the_headers(server: PageServer) -> None:
    for path, status in (("/", 200), ("/api/status", 200), ("/api/x", 404), ("/x", 404)):
        response = server.send("GET", path)
        assert response.status_code == status
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["permissions-policy"].startswith("microphone=(self)")
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        assert response.headers["cache-control"] == ("no-store" if "api" in path else "no-cache")
    refused = server.send("GET", "/api/status", headers={"host": "evil.example"})
    assert "content-security-policy" in refused.headers


def test_the_token_leaves_the_address_for_a_cookie(server: PageServer) -> None:
    response = server.send("GET", f"/?token={TOKEN}&a=b%20c", headers={"host": HOST})
    assert response.status_code == 303
    assert response.headers["location"] == "/?a=b+c"
    cookie = response.headers["set-cookie"]
    assert cookie == f"earful-{PORT}={TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    headers = {"host": HOST, "cookie": f"other=1; earful-{PORT}={TOKEN}"}
    assert server.send("GET", "/api/status", headers=headers).status_code == 200
    assert server.error(server.send("GET", "/?token=wrong", headers={"host": HOST}))[0] == 401
    browser = {"host": HOST, "accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = server.send("GET", "/?token=wrong", headers=browser)
    plain = server.send("GET", "/?token=wrong", headers={"host": HOST})
    assert page.status_code == 401
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "open the address that the server printed" in page.text
    changing = {"content-type", "content-length"}
    assert {key: value for key, value in page.headers.items() if key not in changing} == {
        key: value for key, value in plain.headers.items() if key not in changing
    }


def test_a_ticket_opens_the_page_once(server: PageServer) -> None:
    ticket = server.state.new_ticket()
    # It is none for the API, nor by a header.
    by_header = {"host": HOST, "authorization": f"Bearer {ticket}"}
    assert server.send("GET", "/api/status", headers=by_header).status_code == 401
    first = server.send("GET", f"/?token={ticket}", headers={"host": HOST})
    assert (first.status_code, ticket in first.headers["set-cookie"]) == (303, False)
    assert TOKEN in first.headers["set-cookie"]
    assert server.send("GET", f"/?token={ticket}", headers={"host": HOST}).status_code == 401


def test_the_token_leads_to_no_other_host(server: PageServer) -> None:
    async def open_address() -> list[Any]:
        return await call_until_gone(
            server.app,
            "GET",
            "//evil.example/",
            gone=asyncio.Event(),
            headers={"host": HOST},
            query=f"token={TOKEN}",
        )

    sent = asyncio.run(open_address())
    assert dict(sent[0]["headers"])[b"location"] == b"/evil.example/"


def test_no_log_has_the_token_or_the_query(
    server: PageServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.send("GET", f"/?token={TOKEN}", headers={"host": HOST})
    server.send("GET", "/api/index/rows?q=secretword")
    server.send("GET", f"/api/status?token={TOKEN}")
    server.send("POST", "/api/classify", body={"audio": {"source": "x-secretword"}})
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("earful")]
    assert any("'/api/index/rows'" in line for line in ours)
    assert not [line for line in ours if TOKEN in line or "secretword" in line]


@pytest.mark.parametrize(
    "path", ["/%2e%2e/settings.py", "/..%2fsettings.py", "/screens/../../app.py"]
)
def test_the_page_s_files_are_all_that_is_served(server: PageServer, path: str) -> None:
    assert server.send("GET", path).status_code == 404
    assert server.send("GET", "/docs").status_code == 404
    assert server.send("GET", "/redoc").status_code == 404


def test_what_nobody_planned_for_is_told_without_its_details(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(server.state, "read_index", fail)
    response = server.send("GET", "/api/status")
    assert server.error(response) == (500, "unexpected")
    assert "secret detail" not in response.text


def test_a_web_socket_is_closed(server: PageServer) -> None:
    sent = []

    async def connect() -> None:
        async def receive() -> dict[str, str]:
            return {"type": "websocket.connect"}

        async def send(message: object) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/api/changes", "headers": [], "query_string": b""}
        await server.app(scope, receive, send)

    asyncio.run(connect())
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_network_address_takes_addresses_and_no_other_names() -> None:
    from earful.serve.security import served_hosts

    settings = ServeSettings(token=TOKEN, host="0.0.0.0", allow_network=True)
    assert "0.0.0.0:80" in served_hosts(settings, 80)
    assert "evil.example:80" not in served_hosts(settings, 80)


def test_nothing_is_reported_to_anybody(server: PageServer) -> None:
    """FastAPI depends on OpenTelemetry, which reports to whoever an environment names."""
    telemetry = server.app._telemetry
    assert not any(telemetry[name] for name in ("tracing", "metrics", "logs", "auto_configure"))
    assert not server.app._native_telemetry.enabled()
