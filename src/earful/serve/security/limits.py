"""Limits on a request: its size, its time, and how many are worked on at once."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from earful.serve.faults import RequestError, unexpected
from earful.serve.security.asgi import (
    READING,
    Application,
    Guard,
    Message,
    Receive,
    Scope,
    Send,
    caller,
    header,
    is_question,
    refuse,
)
from earful.serve.settings import ServeSettings
from earful.serve.work import Turns

MAX_HEADER_BYTES: Final = 16 << 10


class HeaderSizeGuard(Guard):
    """Refuses requests whose headers and address are longer than 16 kB (431)."""

    def fault(self, scope: Scope) -> RequestError | None:
        """Return what is wrong with the size of the headers."""
        size = sum(len(key) + len(value) + 4 for key, value in scope["headers"])
        size += len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if size <= MAX_HEADER_BYTES:
            return None
        return RequestError(
            f"headers of {size} bytes: expected {MAX_HEADER_BYTES} at most",
            status=431,
            code="headers_too_large",
        )


class ReadOnlyGuard(Guard):
    """Refuses all but reading and asking where the server is for reading only (403).

    Args:
        app: What comes next.
        settings: Of the server.
    """

    def __init__(self, app: Application, settings: ServeSettings) -> None:
        super().__init__(app)
        self._settings = settings

    def fault(self, scope: Scope) -> RequestError | None:
        """Return that it would change something, where nothing may be changed."""
        # What is asked about is sent first, and kept for the session alone.
        harmless = is_question(scope) or scope["path"].startswith("/api/uploads/")
        if not self._settings.read_only or scope["method"] in READING or harmless:
            return None
        return RequestError(
            "the server is for reading only; start it without --read-only to change something",
            status=403,
            code="read_only",
        )


class LabelRateGuard(Guard):
    """Refuses more labels a second than a person, or two, can give (429).

    Args:
        app: What comes next.
        settings: Of the server.
    """

    def __init__(self, app: Application, settings: ServeSettings) -> None:
        super().__init__(app)
        self._rate = settings.labels_per_s
        self._left, self._at_s = self._rate, time.monotonic()

    def fault(self, scope: Scope) -> RequestError | None:
        """Count a label; return that it is one too many."""
        if scope["method"] != "POST" or scope["path"] != "/api/labels":
            return None
        now_s = time.monotonic()
        self._left = min(self._rate, self._left + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._left < 1:
            return RequestError(
                f"more than {self._rate:g} labels a second; wait a moment",
                status=429,
                code="too_many_labels",
                retry_after_s=1,
            )
        self._left -= 1
        return None


class RequestLimits:
    """Counts a body while it arrives, limits the time, and ends what nobody waits for any more.

    A request whose client goes away is cancelled. Requests beyond the number that is worked on at
    once wait, and clients take turns. A place is taken once the body is there, and given back when
    the answer begins: whoever sends or reads slowly holds up nobody else. Questions do not count,
    and may take as long as the model takes: they wait in a queue of their own. Neither do uploads,
    which are written while they arrive, nor streams of changes.

    Args:
        app: What comes next.
        settings: Of the server.
    """

    def __init__(self, app: Application, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings
        self._places = Turns(settings.max_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        settings = self._settings
        is_upload = scope["path"].startswith("/api/uploads/")
        most = settings.max_upload_bytes if is_upload else settings.max_json_bytes
        declared = header(scope, "content-length") or "0"
        if not (declared.isascii() and declared.isdigit() and int(declared) <= most):
            await refuse(send, _too_large(most))
            return
        takes_long = is_question(scope) or is_stream(scope)
        place = None if takes_long or is_upload else _Place(self._places, caller(scope))
        limit_s = None if takes_long else settings.request_s
        if is_upload:
            limit_s = 2 * settings.request_s  # to arrive, and then to be decoded
        arrival = _Arrival(receive, most, settings.request_s, in_pieces=is_upload)
        await self._run(scope, arrival, send, limit_s, place)

    async def _run(
        self,
        scope: Scope,
        arrival: _Arrival,
        send: Send,
        limit_s: float | None,
        place: _Place | None,
    ) -> None:
        has_begun = is_over = False

        async def send_on(message: Message) -> None:
            nonlocal has_begun
            if is_over:
                return
            has_begun = True
            if place is not None:
                place.give_back()
            await send(message)

        async def answer() -> RequestError | None:
            if place is not None:
                await arrival.complete.wait()
                await place.take()
            try:
                async with asyncio.timeout(limit_s) as deadline:
                    await self._app(scope, arrival.receive, send_on)
            except Exception as error:
                if isinstance(error, TimeoutError) and deadline.expired():
                    return RequestError(
                        f"the request took longer than {limit_s:g} s", status=503, code="too_long"
                    )
                # The path without the query: no secret goes into a log.
                return unexpected(error, f"{scope['method']} {scope['path']}")
            return None

        work = asyncio.ensure_future(answer())
        arriving = asyncio.ensure_future(arrival.run())
        try:
            done, _ = await asyncio.wait({work, arriving}, return_when=asyncio.FIRST_COMPLETED)
            is_over = True
            fault = (work if work in done else arriving).result()
            if fault is not None and not has_begun:
                await refuse(send, fault)
            elif work not in done and place is not None and place.is_taken:
                # The client is gone, and the thread of its request cannot be stopped: the place
                # is kept until it ends, or those who come and go would fill the machine.
                await asyncio.wait({work})
        finally:
            is_over = True
            for task in (work, arriving):
                task.cancel()
            await asyncio.gather(work, arriving, return_exceptions=True)
            if place is not None:
                place.give_back()


class _Place:
    """A place among the requests that are worked on, given back once.

    Args:
        places: All of them.
        client: Who asks.
    """

    def __init__(self, places: Turns, client: str) -> None:
        self._places, self._client = places, client
        self.is_taken = False

    async def take(self) -> None:
        """Wait for it."""
        await self._places.take(self._client)
        self.is_taken = True

    def give_back(self) -> None:
        """Let the next one in, where it is taken."""
        if self.is_taken:
            self.is_taken = False
            self._places.give_back()


class _Arrival:
    """A request's body on its way.

    Args:
        receive: Gives its pieces.
        most: Most bytes.
        within_s: Seconds in which all of it has to be there.
        in_pieces: Whether it is passed on as it comes; else when it is complete.

    Attributes:
        complete: Is set when all of it is there.
    """

    def __init__(self, receive: Receive, most: int, within_s: float, *, in_pieces: bool) -> None:
        self._receive, self._most, self._within_s = receive, most, within_s
        self._in_pieces = in_pieces
        # One piece ahead: nothing piles up that a route does not read.
        self._pieces: asyncio.Queue[Message] = asyncio.Queue(1)
        self.complete = asyncio.Event()

    async def receive(self) -> Message:
        """Return the next piece, as an application asks for it."""
        return await self._pieces.get()

    async def run(self) -> RequestError | None:
        """Take in the body, then wait until the client goes away.

        Returns:
            What is wrong with the body; ``None`` where the client is gone.
        """
        body, n_bytes, is_more = bytearray(), 0, True
        try:
            async with asyncio.timeout(self._within_s):
                while is_more:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        return None
                    piece = message.get("body", b"")
                    n_bytes += len(piece)
                    if n_bytes > self._most:
                        return _too_large(self._most)
                    is_more = message.get("more_body", False)
                    if self._in_pieces:
                        await self._pieces.put(message)
                    else:
                        body += piece
        except TimeoutError:
            return RequestError(
                f"the request did not arrive within {self._within_s:g} s", status=408, code="slow"
            )
        if not self._in_pieces:
            await self._pieces.put({"type": "http.request", "body": bytes(body)})
        self.complete.set()
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
