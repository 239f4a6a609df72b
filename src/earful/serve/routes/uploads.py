"""``PUT /api/uploads/{name}``: audio from a page, as it is."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request

from earful.serve.state import ServerState

_AUDIO: Final = {"schema": {"type": "string", "format": "binary"}}
_BODY: Final = {
    "required": True,
    "content": {"application/octet-stream": _AUDIO, "audio/wav": _AUDIO},
}


def router(state: ServerState) -> APIRouter:
    """Return the routes about uploads."""
    routes = APIRouter(tags=["uploads"])
    decoding = asyncio.Semaphore(2)

    @routes.put("/api/uploads/{name:path}", status_code=201, openapi_extra={"requestBody": _BODY})
    async def put_upload(name: str, request: Request) -> dict[str, Any]:
        """Keep a recording for this session; its name is a caption."""
        with state.uploads.receive() as incoming:
            async for chunk in request.stream():
                await asyncio.to_thread(incoming.write, chunk)
            async with decoding:
                upload = await asyncio.to_thread(state.uploads.keep, incoming, name)
        return upload.to_dict()

    @routes.get("/api/uploads")
    def list_uploads() -> dict[str, Any]:
        """Uploads that are kept, the newest first."""
        found = [state.uploads.find(source.id) for source in reversed(state.uploads.sources())]
        return {"uploads": [upload.to_dict() for upload in found]}

    @routes.delete("/api/uploads/{id}")
    def remove_upload(id: str) -> dict[str, Any]:
        """Remove an upload."""
        state.uploads.remove(id)
        return {"removed": id}

    return routes
