"""``GET /api/status`` and ``/api/changes``: what is served, and what happens to it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

import earful
from earful.index import Index
from earful.rag.task import list_tasks
from earful.serve.routes.replies import event_stream
from earful.serve.state import INDEX_REVIEW, ServerState


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
                    "n_events": len(session.events),
                    "n_items": progress.n_items,
                    "n_reviewed": progress.n_reviewed,
                    "n_disputed": progress.n_disputed,
                    "labels": list(session.labels),
                    "looked_for": list(session.events.labels),
                    "notes": [state.explain(note) for note in session.notes],
                }
                for name, session in state.reviews.items()
                if name != INDEX_REVIEW
                for progress in (session.progress(),)
            ],
            "folders": sorted(state.folders),
            "tasks": list(list_tasks()),
            "jobs": [job.to_dict() for job in state.jobs.all()],
            "n_uncommitted": state.commits.n_waiting,
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
        return event_stream(state.changes.listen(after))

    return routes


def _index_summary(index: Index) -> dict[str, Any]:
    return {
        "name": index.path.name,
        "n": len(index),
        "labels": dict(index.labels),
        "embedder": index.fingerprint.name,
    }
