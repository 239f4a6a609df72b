"""Access log: method, path, status and time of each request, and nothing that is a secret."""

from __future__ import annotations

import logging
import time

from earful.serve.security.asgi import Application, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)


class AccessLog:
    """Logs requests, without query, headers and bodies.

    Args:
        app: What comes next.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log how it went."""
        status, started_s = 0, time.monotonic()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            spent_s = time.monotonic() - started_s
            _log.info(
                "%s %r %d in %.3f s",
                scope["method"],
                scope["path"],
                status,
                spent_s,
                extra={"method": scope["method"], "path": scope["path"], "status": status},
            )
