"""ASGI: the types of a request, its headers, and refusals without a framework."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from earful.serve.faults import RequestError, fault_body, fault_headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

READING: Final = frozenset({"GET", "HEAD"})
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


def header(scope: Scope, name: str) -> str | None:
    """Return a header of a request; of one that is given twice all values, with a comma.

    Args:
        scope: Of the request.
        name: In lower case.
    """
    wanted = name.encode("latin-1")
    values = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == wanted]
    return ", ".join(values) if values else None


def caller(scope: Scope) -> str:
    """Return which page asks, by what it says of itself; else its address."""
    address = scope.get("client")
    return header(scope, "x-earful-client") or (str(address[0]) if address else "")


def is_api(scope: Scope) -> bool:
    """Tell whether a request is for what needs the token."""
    path: str = scope["path"]
    return path == "/api" or path.startswith("/api/") or path == "/openapi.json"


def is_question(scope: Scope) -> bool:
    """Tell whether a request asks a question, which may take as long as the model takes."""
    return scope["path"] in ("/api/classify", "/api/ask", "/api/search")


class Guard(ABC):
    """Refuses requests in which it finds a fault, and passes all others on.

    Args:
        app: What comes next.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        fault = self.fault(scope)
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await refuse(send, fault)

    @abstractmethod
    def fault(self, scope: Scope) -> RequestError | None:
        """Return why a request is refused; ``None`` for one that passes."""


async def refuse(send: Send, fault: RequestError) -> None:
    """Answer a request with a fault."""
    body = json.dumps(fault_body(fault), ensure_ascii=False).encode("utf-8", "backslashreplace")
    await reply(
        send,
        fault.status,
        body,
        {"content-type": "application/json", **fault_headers(fault)},
    )


async def reply(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    """Answer a request."""
    sent = {"content-length": str(len(body)), **headers}
    pairs = [(key.lower().encode(), value.encode("latin-1")) for key, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
