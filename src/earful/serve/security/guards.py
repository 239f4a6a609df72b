"""Guards: what a request passes, in order, before a route sees it."""

from __future__ import annotations

from collections.abc import Callable

from earful.serve.security.access_log import AccessLog
from earful.serve.security.asgi import Application, Receive, Scope, Send
from earful.serve.security.headers import ResponseHeaders
from earful.serve.security.hosts import HostGuard
from earful.serve.security.limits import (
    HeaderSizeGuard,
    LabelRateGuard,
    ReadOnlyGuard,
    RequestLimits,
)
from earful.serve.security.origin import OriginGuard
from earful.serve.security.token import TokenGuard
from earful.serve.settings import ServeSettings


class Guards:
    """All guards before an application; web sockets are closed.

    Args:
        app: The application.
        settings: Of the server.
        port: Returns the port that is listened at, once it is known.
        tickets: Tickets that admit once in the token's place.
    """

    def __init__(
        self,
        app: Application,
        settings: ServeSettings,
        port: Callable[[], int],
        tickets: set[str],
    ) -> None:
        self._app = app
        # What is written last is passed first.
        guarded: Application = RequestLimits(app, settings)
        guarded = LabelRateGuard(guarded, settings)
        guarded = ReadOnlyGuard(guarded, settings)
        guarded = TokenGuard(guarded, settings.token, port, tickets)
        guarded = OriginGuard(guarded)
        guarded = HostGuard(guarded, settings, port)
        guarded = HeaderSizeGuard(guarded)
        guarded = AccessLog(guarded)
        self._guarded = ResponseHeaders(guarded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            await self._guarded(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})
