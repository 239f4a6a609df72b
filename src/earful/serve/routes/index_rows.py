"""``/api/index``: what the index holds, its health, and changes of its rows."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from earful.index import Index
from earful.index.health import HealthLimits, check_health
from earful.serve.faults import RequestError
from earful.serve.index_rows import IndexRows, RowFilter
from earful.serve.questions import hear
from earful.serve.routes.bodies import Body, Labels, ShortText, Stretch
from earful.serve.routes.callers import client_of, reviewer_of
from earful.serve.routes.replies import PlainJson
from earful.serve.sources import exemplar_id
from earful.serve.state import ServerState

_MOST_ROWS = 500
_Texts = Annotated[list[Annotated[str, Query(max_length=200)]], Query(max_length=100)]


class RowBody(Body):
    """Audio that becomes an example."""

    audio: Stretch
    labels: Labels = []
    not_labels: Labels = []
    group: ShortText = ""
    licence: ShortText = ""


class RowChange(Body):
    """What changes of a row; what is left out stays as it is."""

    labels: Labels | None = None
    not_labels: Labels | None = None
    group: ShortText | None = None
    licence: ShortText | None = None


def router(state: ServerState) -> APIRouter:
    """Return the routes about the index."""
    routes = APIRouter(tags=["index"])
    rows = IndexRows(state)
    health: dict[tuple[str, bool, int], dict[str, Any]] = {}

    @routes.get("/api/index")
    def read_index() -> dict[str, Any]:
        """What the index holds: rows, positives and negatives by label, size, encoder."""
        return rows.summary()

    @routes.get("/api/index/health")
    async def read_health(
        request: Request, audio: bool = False, k: Annotated[int, Query(ge=1, le=50)] = 5
    ) -> PlainJson:
        """Likely wrong labels, copies, outliers; with `audio` also what only listening tells."""

        def check() -> dict[str, Any]:
            opened = Index.open(state.index_path)
            key = (opened.state, audio, k)
            if key not in health:
                if not len(opened):
                    raise RequestError(opened.why_empty(), status=409, code="empty_index")
                found = check_health(opened, limits=HealthLimits(k=k), audio=audio).to_dict()
                for finding in found["findings"]:
                    finding["sources"] = [exemplar_id(id) for id in finding["ids"]]
                    for name in ("what", "next"):
                        finding[name] = state.explain(finding[name])
                health.clear()
                health[key] = found
            return health[key]

        return PlainJson(await state.work.run(check, client=client_of(request)))

    @routes.get("/api/index/rows")
    def list_rows(
        label: _Texts = [],
        not_label: _Texts = [],
        split: _Texts = [],
        group: _Texts = [],
        q: Annotated[str, Query(max_length=200)] = "",
        cursor: Annotated[str, Query(max_length=4096)] = "",
        limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 50,
    ) -> dict[str, Any]:
        """Rows by id; `cursor` of one page begins the next. `q` is looked for in id and labels."""
        chosen = RowFilter(
            labels=frozenset(label),
            not_labels=frozenset(not_label),
            splits=frozenset(split),
            groups=frozenset(group),
            text=q.strip(),
        )
        return rows.page(chosen, cursor, limit)

    @routes.get("/api/index/rows/{id}")
    def read_row(id: str) -> dict[str, Any]:
        """A row of the index."""
        return rows.row(id)

    @routes.post("/api/index/rows", status_code=201)
    async def add_row(body: RowBody, request: Request) -> PlainJson:
        """Add audio as an example. An upload is stored beside the index."""
        reviewer = reviewer_of(request, state)
        stretch = body.audio
        heard = await asyncio.to_thread(hear, state, stretch.source, stretch.start_s, stretch.end_s)
        found = await state.work.run(
            rows.add,
            heard,
            client=client_of(request),
            labels=body.labels,
            not_labels=body.not_labels,
            group=body.group,
            licence=body.licence,
            reviewer=reviewer,
        )
        return PlainJson(found, status_code=201)

    @routes.patch("/api/index/rows/{id}")
    def change_row(id: str, body: RowChange, request: Request) -> dict[str, Any]:
        """Give a row other labels, another group or licence."""
        return rows.relabel(id, **body.model_dump(), reviewer=reviewer_of(request, state))

    @routes.delete("/api/index/rows/{id}")
    def remove_row(id: str, request: Request) -> dict[str, Any]:
        """Remove a row; `POST /api/index/undo` brings it back."""
        return {"removed": rows.remove(id, reviewer=reviewer_of(request, state))}

    @routes.post("/api/index/undo")
    def undo_change(request: Request) -> dict[str, Any]:
        """Take back one's own last change of the index in this session."""
        return rows.undo(reviewer=reviewer_of(request, state))

    return routes
