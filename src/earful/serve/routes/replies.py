"""Replies: JSON that holds whatever a file name holds, and streams of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, StreamingResponse

from earful.serve.work import Listener, ServerEvent

ALIVE_S = 15.0
_ALIVE = b": alive\n\n"


class PlainJson(JSONResponse):
    """JSON with names that are not UTF-8 escaped, as the commands print them."""

    def render(self, content: Any) -> bytes:
        """Return the bytes."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


def wants_stream(request: Request) -> bool:
    """Tell whether a request asks for server-sent events."""
    return "text/event-stream" in request.headers.get("accept", "").lower()


def event_stream(events: AsyncIterator[ServerEvent]) -> StreamingResponse:
    """Return a stream of events, with a sign of life where nothing happens."""
    return StreamingResponse(
        _encoded(events),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _encoded(events: AsyncIterator[ServerEvent]) -> AsyncIterator[bytes]:
    yield _ALIVE
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=ALIVE_S)
            if not done:
                yield _ALIVE
                continue
            event = coming.result()
            if event is None:
                return
            yield event.encode()
            coming = asyncio.ensure_future(anext(events, None))
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await coming
        if isinstance(events, Listener):
            events.close()
