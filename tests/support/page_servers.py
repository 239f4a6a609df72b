"""A page's server in this process: an index of tones, its application, and requests to it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import soundfile

from earful.index.builder import build_index
from earful.serve import ServerState, ServeSettings, create_app, open_state

if TYPE_CHECKING:
    from fastapi import FastAPI

TOKEN = "t0ken" * 7
PORT = 8737
HOST = f"127.0.0.1:{PORT}"
OWN = {"host": HOST, "authorization": f"Bearer {TOKEN}"}
LABELS = {"hum": 130.0, "whistle": 2500.0}
_RATE = 16_000


def wav_bytes(
    hz: float = 130.0, seconds: float = 1.0, *, level: float = 0.3, seed: int = 0
) -> bytes:
    """A tone in a little noise as a WAV file; level 0 is digital silence."""
    time_s = np.arange(int(seconds * _RATE)) / _RATE
    noise = np.random.default_rng(seed).standard_normal(time_s.size)
    samples = level * (np.sin(2 * np.pi * hz * time_s) + 0.03 * noise)
    written = io.BytesIO()
    soundfile.write(written, samples, _RATE, format="WAV", subtype="PCM_16")
    return written.getvalue()


def make_index(folder: Path, n_each: int = 4) -> Path:
    """Build an index of hums and whistles by the smallest embedder."""
    for label, hz in LABELS.items():
        for number in range(n_each):
            path = folder / "sounds" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wav_bytes(hz * (1 + number / 40), seed=number))
    build_index(folder / "sounds", folder / "sounds.index", embedder="logmel")
    return folder / "sounds.index"


async def call_until_gone(
    app: Callable[[Any, Any, Any], Awaitable[None]],
    method: str,
    path: str,
    *,
    gone: asyncio.Event,
    headers: Mapping[str, str] = OWN,
    query: str = "",
    body: bytes = b"",
) -> list[Any]:
    """Send a request whose client goes away at some moment; return what was answered."""
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", PORT),
        "scheme": "http",
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    return sent


@dataclass
class PageServer:
    """A server, and how to ask it."""

    state: ServerState
    app: FastAPI

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        content: Any = None,
    ) -> httpx.Response:
        """Send one request, by default with the token; ``body`` is sent as JSON."""
        return asyncio.run(self.ask(method, path, headers=headers, body=body, content=content))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        content: Any = None,
    ) -> httpx.Response:
        """Send one request from a loop that is running."""
        sent = dict(OWN if headers is None else headers)
        if body is not None:
            content = json.dumps(body)
            sent = {"content-type": "application/json", **sent}
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
            return await client.request(method, path, headers=sent, content=content)

    def upload(self, data: bytes, name: str = "clip.wav") -> httpx.Response:
        """Upload a recording."""
        return self.send(
            "PUT",
            f"/api/uploads/{name}",
            headers={**OWN, "content-type": "audio/wav"},
            content=data,
        )

    def error(self, response: httpx.Response) -> tuple[int, str]:
        """Return status and code of a refusal, whose form is checked."""
        found = response.json()
        assert set(found) == {"error"}
        assert set(found["error"]) == {"code", "message", "field", "help"}
        return response.status_code, found["error"]["code"]


def open_server(index: Path, *, scans: tuple[Path, ...] = (), **settings: Any) -> PageServer:
    """Open a server of an index; settings as of ``ServeSettings``, or of ``open_state``."""
    for_state = {name: settings.pop(name) for name in ("recordings", "task") if name in settings}
    chosen = ServeSettings(**{"token": TOKEN, "port": PORT, "reviewer": "ana", **settings})
    state = open_state(index, chosen, scans=scans, **for_state)
    return PageServer(state=state, app=create_app(state))


def events_of(response: httpx.Response) -> list[tuple[str, Any]]:
    """Return the server-sent events of a response: kind and data."""
    found = []
    for part in response.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in part.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found
