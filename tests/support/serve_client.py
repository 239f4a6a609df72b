"""A client of a page's server in process, which waits for each answer."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
from fastapi import FastAPI

from earful.serve import ServerState

HOST = "http://127.0.0.1:8737"


class InProcess:
    """Asks an application without a socket.

    Args:
        app: The application.
        state: Of the server.
        headers: Of every request.
    """

    def __init__(self, app: FastAPI, state: ServerState, **headers: str) -> None:
        self.state = state
        self._app = app
        self._headers = {"authorization": f"Bearer {state.settings.token}", **headers}

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self._headers, **options.pop("headers", {})}

        async def ask() -> httpx.Response:
            async with self._client() as client:
                return await client.request(method, path, headers=headers, **options)

        return asyncio.run(ask())

    def post_all(self, path: str, bodies: Sequence[Any]) -> list[httpx.Response]:
        """Send several bodies at once."""

        async def ask() -> list[httpx.Response]:
            async with self._client() as client:
                sent = [client.post(path, json=body, headers=self._headers) for body in bodies]
                return await asyncio.gather(*sent)

        return asyncio.run(ask())

    def _client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self._app)
        return httpx.AsyncClient(transport=transport, base_url=HOST)

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.request("GET", path, params=params or None)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.request("POST", path, json=body)

    def delete(self, path: str, **params: Any) -> httpx.Response:
        return self.request("DELETE", path, params=params or None)
