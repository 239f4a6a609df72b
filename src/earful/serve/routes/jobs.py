"""``POST /api/scans`` and ``/api/jobs``: work of minutes, begun, followed and cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from earful.serve.routes.bodies import Body, Labels, LabelText, LongText, ShortText
from earful.serve.routes.replies import PlainJson, event_stream
from earful.serve.scans import ScanRequest, start_scan
from earful.serve.state import ServerState
from earful.serve.work import Job, Listener, ServerEvent

_MOST_RECORDINGS = 1000
_Score = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]


class ScanBody(Body):
    """A scan of recordings that the server was given, with examples of its index."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    recordings: Annotated[list[ShortText], Field(min_length=1, max_length=_MOST_RECORDINGS)]
    labels: Labels = []
    where: LongText = ""
    threshold: _Score | None = None
    thresholds: Annotated[dict[LabelText, _Score], Field(max_length=500)] = {}
    detector: Literal["neighbours", "probe", "auto"] = "neighbours"
    window_s: Annotated[float, Field(ge=0.37, le=2.23)] = 0.56


def router(state: ServerState) -> APIRouter:
    """Return the routes of jobs."""
    routes = APIRouter(tags=["jobs"])

    @routes.post("/api/scans", status_code=202)
    def begin_scan(body: ScanBody) -> PlainJson:
        """Look for sounds in recordings; the answer is a job.

        `recordings` are names of folders in `GET /api/status`, or ids of recordings. One job runs
        at a time: another one is refused with 429 and `Retry-After`.
        """
        job = start_scan(state, ScanRequest(**body.model_dump()))
        return PlainJson(job.to_dict(), status_code=202)

    @routes.get("/api/jobs")
    def list_jobs() -> dict[str, Any]:
        """Jobs of this session, the newest first."""
        return {"jobs": [job.to_dict() for job in state.jobs.all()]}

    @routes.get("/api/jobs/{id}")
    def read_job(id: str) -> dict[str, Any]:
        """How a job stands."""
        return state.jobs.find(id).to_dict()

    @routes.get("/api/jobs/{id}/events", response_class=StreamingResponse)
    async def follow_job(id: str) -> StreamingResponse:
        """The steps of a job as server-sent events, the last one when it has ended."""
        # Listens from before it looks: no step falls between the two.
        listener = state.changes.listen()
        return event_stream(_steps(listener, state.jobs.find(id)))

    @routes.delete("/api/jobs/{id}")
    def cancel_job(id: str) -> dict[str, Any]:
        """Ask a job to end; what it has decoded is kept, and the same scan goes on from there."""
        return state.jobs.cancel(id).to_dict()

    return routes


async def _steps(listener: Listener, job: Job) -> AsyncIterator[ServerEvent]:
    try:
        yield ServerEvent(kind="job", data=job.to_dict())
        if job.status != "running":
            return
        async for event in listener:
            if event.kind == "job" and event.data.get("id") == job.id:
                yield event
                if event.data.get("status") != "running":
                    return
    finally:
        listener.close()
