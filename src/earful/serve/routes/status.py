"""``GET /api/status`` and ``/api/changes``: what is served, and what happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

import earful
from earful.index import Index
from earful.serve.state import ServerState
from earful.serve.work import ServerEvent

_ALIVE_S = 15.0
_ALIVE = b": alive\n\n"


def router(state: ServerState) -> APIRouter:
    """Return the routes about the server itself."""
    routes = APIRouter(tags=["server"])

    @routes.get("/api/status")
    def read_status() -> dict[str, Any]:
        """What is served: index, task, scans, limits, and who labels."""
        settings, task = state.settings, state.task
        return {
            "version": earful.__version__,
            "index": state.read_index(_index_summary),
            "task": None
            if task is None
            else {
                "name": task.name,
                "kind": task.kind,
                "labels": list(task.labels),
                "question": task.question,
            },
            "scans": [
                {
                    "name": name,
                    "n_events": len(found),
                    "n_reviewed": 0,
                    "labels": list(found.labels),
                }
                for name, found in state.scans.items()
            ],
            "reviewer": settings.reviewer,
            "read_only": settings.read_only,
            "model": state.model,
            "is_loaded": state.is_loaded,
            "limits": {
                "max_upload_bytes": settings.max_upload_bytes,
                "max_uploads": settings.max_uploads,
                "max_json_bytes": settings.max_json_bytes,
                "labels_per_s": settings.labels_per_s,
                "request_s": settings.request_s,
                "upload_hours": settings.upload_hours,
            },
        }

    @routes.get("/api/changes", response_class=StreamingResponse)
    async def stream_changes(request: Request) -> StreamingResponse:
        """Changes as server-sent events: label, undo, refit, commit, index and job."""
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isascii() and last.isdigit() else None
        events = state.changes.listen(after)
        return StreamingResponse(
            stream_events(events),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    return routes


async def stream_events(events: AsyncIterator[ServerEvent]) -> AsyncIterator[bytes]:
    """Yield events as bytes, and a sign of life where nothing happens."""
    yield _ALIVE
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=_ALIVE_S)
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
        with suppress(asyncio.CancelledError):
            await coming


def _index_summary(index: Index) -> dict[str, Any]:
    return {
        "name": index.path.name,
        "n": len(index),
        "labels": dict(index.labels),
        "embedder": index.fingerprint.name,
    }
