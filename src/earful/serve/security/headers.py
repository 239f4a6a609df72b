"""Headers of every response: what a browser may do with it, which is little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from earful.serve.security.asgi import Application, Message, Receive, Scope, Send, is_api

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""What the page may load and run: its own files, and nothing inline."""

_FIXED: Final[Mapping[bytes, bytes]] = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"permissions-policy": b"microphone=(self), camera=(), geolocation=()",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


class ResponseHeaders:
    """Adds headers to every response, also to refusals.

    A route that serves a whole report brings a policy of its own; all others get ours.

    Args:
        app: What comes next.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and complete its response."""

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _completed(scope, message.get("headers", ()))}
            await send(message)

        await self._app(scope, receive, complete)


def _completed(scope: Scope, given: object) -> list[tuple[bytes, bytes]]:
    headers = [(key.lower(), value) for key, value in given]  # type: ignore[attr-defined]
    names = {key for key, _ in headers}
    headers = [pair for pair in headers if pair[0] not in _FIXED and pair[0] != b"server"]
    headers += _FIXED.items()
    if b"content-security-policy" not in names:
        headers.append((b"content-security-policy", CONTENT_POLICY.encode()))
    if b"cache-control" not in names:
        # What is heard and asked stays out of the browser's cache; the page's files are checked.
        kept = b"no-store" if is_api(scope) else b"no-cache"
        headers.append((b"cache-control", kept))
    return headers
