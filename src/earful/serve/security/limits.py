"""Limits on a request: its size, its time, and how many are worked on at once."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from earful.serve.faults import RequestError, unexpected
from earful.serve.security.asgi import (
    READING,
    Application,
    Message,
    Receive,
    Scope,
    Send,
    header,
    is_question,
    refuse,
)
from earful.serve.settings import ServeSettings

MAX_HEADER_BYTES: Final = 16 << 10


class HeaderSizeGuard:
    """Refuses requests whose headers and address are longer than 16 kB (431).

    Args:
        app: What comes next.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        size = sum(len(key) + len(value) + 4 for key, value in scope["headers"])
        size += len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if size > MAX_HEADER_BYTES:
            await refuse(
                send,
                RequestError(
                    f"headers of {size} bytes: expected {MAX_HEADER_BYTES} at most",
                    status=431,
                    code="headers_too_large",
                ),
            )
            return
        await self._app(scope, receive, send)


class ReadOnlyGuard:
    """Refuses all but reading and asking where the server is for reading only (403).

    Args:
        app: What comes next.
        settings: Of the server.
    """

    def __init__(self, app: Application, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        # What is asked about is sent first, and kept for the session alone.
        harmless = is_question(scope) or scope["path"].startswith("/api/uploads/")
        if self._settings.read_only and scope["method"] not in READING and not harmless:
            await refuse(
                send,
                RequestError(
                    "the server is for reading only; start it without --read-only to change "
                    "something",
                    status=403,
                    code="read_only",
                ),
            )
            return
        await self._app(scope, receive, send)


class LabelRateGuard:
    """Refuses more labels a second than a person, or two, can give (429).

    Args:
        app: What comes next.
        settings: Of the server.
    """

    def __init__(self, app: Application, settings: ServeSettings) -> None:
        self._app, self._rate = app, settings.labels_per_s
        self._left, self._at_s = self._rate, time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["method"] == "POST" and scope["path"] == "/api/labels":
            now_s = time.monotonic()
            self._left = min(self._rate, self._left + (now_s - self._at_s) * self._rate)
            self._at_s = now_s
            if self._left < 1:
                await refuse(
                    send,
                    RequestError(
                        f"more than {self._rate:g} labels a second; wait a moment",
                        status=429,
                        code="too_many_labels",
                        retry_after_s=1,
                    ),
                )
                return
            self._left -= 1
        await self._app(scope, receive, send)


class RequestLimits:
    """Counts a body while it arrives, limits the time, and ends what nobody waits for any more.

    A request whose client goes away is cancelled. Requests beyond the number that is worked on at
    once wait. Questions do not count, and may take as long as the model takes: they wait in a
    queue of their own. Neither do streams of changes.

    Args:
        app: What comes next.
        settings: Of the server.
    """

    def __init__(self, app: Application, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings
        self._places = asyncio.Semaphore(settings.max_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        settings = self._settings
        is_upload = scope["path"].startswith("/api/uploads/")
        most = settings.max_upload_bytes if is_upload else settings.max_json_bytes
        declared = header(scope, "content-length") or "0"
        if not (declared.isascii() and declared.isdigit() and int(declared) <= most):
            await refuse(send, _too_large(most))
            return
        arrival = _Arrival(receive, most, settings.request_s)
        if is_question(scope) or is_stream(scope):
            await self._run(scope, arrival, send, None)
            return
        async with self._places:
            await self._run(scope, arrival, send, settings.request_s)

    async def _run(
        self, scope: Scope, arrival: _Arrival, send: Send, limit_s: float | None
    ) -> None:
        has_begun = is_over = False

        async def send_on(message: Message) -> None:
            nonlocal has_begun
            if not is_over:
                has_begun = True
                await send(message)

        work = asyncio.ensure_future(self._app(scope, arrival.receive, send_on))
        arriving = asyncio.ensure_future(arrival.run())
        fault: RequestError | None = None
        try:
            done, _ = await asyncio.wait(
                {work, arriving}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
            )
            if work in done:
                if error := work.exception():
                    # The path without the query: no secret goes into a log.
                    fault = unexpected(error, f"{scope['method']} {scope['path']}")
            elif arriving in done:
                fault = arriving.result()
            else:
                fault = RequestError(
                    f"the request took longer than {limit_s:g} s", status=503, code="too_long"
                )
            is_over = True
            work.cancel()
            if fault is not None and not has_begun:
                await refuse(send, fault)
        finally:
            is_over = True
            for task in (work, arriving):
                task.cancel()
            await asyncio.gather(work, arriving, return_exceptions=True)


class _Arrival:
    """A request's body on its way.

    Args:
        receive: Gives its pieces.
        most: Most bytes.
        within_s: Seconds in which all of it has to be there.
    """

    def __init__(self, receive: Receive, most: int, within_s: float) -> None:
        self._receive, self._most, self._within_s = receive, most, within_s
        # One piece ahead: nothing piles up that a route does not read.
        self._pieces: asyncio.Queue[Message] = asyncio.Queue(1)

    async def receive(self) -> Message:
        """Return the next piece, as an application asks for it."""
        return await self._pieces.get()

    async def run(self) -> RequestError | None:
        """Take in the body, then wait until the client goes away.

        Returns:
            What is wrong with the body; ``None`` where the client is gone.
        """
        n_bytes, is_more = 0, True
        try:
            async with asyncio.timeout(self._within_s) as deadline:
                while is_more:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        return None
                    n_bytes += len(message.get("body", b""))
                    if n_bytes > self._most:
                        return _too_large(self._most)
                    is_more = message.get("more_body", False)
                    await self._pieces.put(message)
                deadline.reschedule(None)
        except TimeoutError:
            return RequestError(
                f"the request did not arrive within {self._within_s:g} s", status=408, code="slow"
            )
        while (await self._receive())["type"] != "http.disconnect":
            pass
        return None


def is_stream(scope: Scope) -> bool:
    """Tell whether a request is for a stream, which lasts as long as somebody listens."""
    path: str = scope["path"]
    is_job = path.startswith("/api/jobs/") and path.endswith("/events")
    return scope["method"] == "GET" and (path == "/api/changes" or is_job)


def _too_large(most: int) -> RequestError:
    size = f"{most / (1 << 20):g} MiB" if most >= 1 << 20 else f"{most / 1024:g} kB"
    return RequestError(
        f"the body is larger than {size}, or has no length that can be read; send less",
        status=413,
        code="too_large",
    )
