"""``POST /api/classify``, ``ask`` and ``search``: questions, in turn, and streamed if wanted."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response

from earful.errors import EarfulError
from earful.index.search import SearchFilter
from earful.index.storage import sql_literal
from earful.serve.faults import fault_body, fault_of, unexpected
from earful.serve.questions import Heard, Questions, hear
from earful.serve.routes.bodies import (
    AskBody,
    ClassifyBody,
    FilterBody,
    QuestionBody,
    SearchBody,
    Stretch,
)
from earful.serve.routes.callers import client_of
from earful.serve.routes.replies import PlainJson, event_stream, wants_stream
from earful.serve.state import ServerState
from earful.serve.work import ServerEvent

Tell = Callable[[str, dict[str, Any]], None]
Question = Callable[[Tell], dict[str, Any]]


class _GoneError(Exception):
    """Nobody waits for the answer any more."""


def router(state: ServerState) -> APIRouter:
    """Return the routes that ask."""
    routes = APIRouter(tags=["asking"])
    questions = Questions(state)

    @routes.get("/api/tasks")
    def list_built_in() -> dict[str, Any]:
        """Built-in tasks: what `task` of a question may name besides the server's own."""
        return {"tasks": list(_built_in_tasks())}

    @routes.post("/api/classify")
    async def classify(body: ClassifyBody, request: Request) -> Response:
        """Name the sound in a stretch of audio, with the exemplars behind the answer.

        With `Accept: text/event-stream` as events: `progress` while the model is weighed, then
        `answer` or `error`.
        """
        heard = await _hear(state, body.audio)

        def answer(tell: Tell) -> dict[str, Any]:
            return questions.classify(
                heard,
                task=body.task,
                labels=body.labels,
                always_answer=body.always_answer,
                progress=lambda done, total: tell("progress", {"done": done, "total": total}),
                **_options(body),
            )

        return await _respond(state, request, answer)

    @routes.post("/api/ask")
    async def ask(body: AskBody, request: Request) -> Response:
        """Answer a question about a stretch of audio, or describe it without one.

        With `Accept: text/event-stream` as events: `text` for each piece that a model writes, then
        `answer` or `error`.
        """
        heard = await _hear(state, body.audio)

        def answer(tell: Tell) -> dict[str, Any]:
            return questions.ask(
                heard,
                body.question,
                task=body.task,
                free_text=body.free_text,
                max_tokens=body.max_tokens,
                on_text=lambda piece: tell("text", {"text": piece}),
                **_options(body),
            )

        return await _respond(state, request, answer)

    @routes.post("/api/search")
    async def search(body: SearchBody, request: Request) -> Response:
        """Find exemplars like a stretch of audio, or of what a sentence says."""
        heard = None if body.audio is None else await _hear(state, body.audio)
        chosen = to_filter(body)

        def answer(_: Tell) -> dict[str, Any]:
            return questions.search(
                heard, text=body.text.strip(), k=body.k, page=body.page, filter=chosen
            )

        return await _respond(state, request, answer)

    return routes


@functools.cache
def _built_in_tasks() -> tuple[dict[str, Any], ...]:
    from earful.rag.task import list_tasks, load_task

    found = map(load_task, list_tasks())
    return tuple({"name": own.name, "kind": own.kind, "question": own.question} for own in found)


def to_filter(body: FilterBody) -> SearchFilter:
    """Return the filter that a body describes."""
    conditions = [body.where] if body.where.strip() else []
    if body.group:
        # The line end closes a comment.
        conditions = [f"(\n{one}\n)" for one in conditions]
        listed = ", ".join(sql_literal(group) for group in sorted(body.group))
        conditions.append(f"`group` IN ({listed})")
    return SearchFilter(
        labels=frozenset(body.label),
        splits=frozenset(body.split),
        exclude_groups=frozenset(body.exclude_group),
        where=" AND ".join(conditions),
        min_similarity=body.min_similarity,
    )


def _options(body: QuestionBody) -> dict[str, Any]:
    return {
        "shots": body.shots,
        "strategy": body.strategy or None,
        "seed": body.seed,
        "group": body.group,
    }


async def _hear(state: ServerState, stretch: Stretch) -> Heard:
    return await asyncio.to_thread(hear, state, stretch.source, stretch.start_s, stretch.end_s)


async def _respond(state: ServerState, request: Request, question: Question) -> Response:
    """Answer when it is the client's turn: as JSON, or as a stream of events."""
    client = client_of(request)
    if wants_stream(request):
        return event_stream(_stream(state, client, question))
    gone = threading.Event()
    try:
        found = await state.work.run(question, _teller(gone, lambda _: None), client=client)
    except asyncio.CancelledError:
        gone.set()
        raise
    return PlainJson(found)


def _teller(gone: threading.Event, send: Callable[[ServerEvent], None]) -> Tell:
    def tell(kind: str, data: dict[str, Any]) -> None:
        if gone.is_set():
            raise _GoneError  # what writes for nobody stops
        send(ServerEvent(kind=kind, data=data))

    return tell


async def _stream(
    state: ServerState, client: str, question: Question
) -> AsyncIterator[ServerEvent]:
    loop, gone = asyncio.get_running_loop(), threading.Event()
    told: asyncio.Queue[ServerEvent | None] = asyncio.Queue()
    tell = _teller(gone, lambda event: _put(loop, told, event))

    async def run() -> None:
        try:
            found = await state.work.run(question, tell, client=client)
            await told.put(ServerEvent(kind="answer", data=found))
        except EarfulError as error:
            fault = fault_of(error)
            await told.put(ServerEvent(kind="error", data=fault_body(fault, state.opened_paths)))
        except Exception as error:
            fault = unexpected(error, "a question")
            await told.put(ServerEvent(kind="error", data=fault_body(fault)))
        finally:
            await told.put(None)

    running = asyncio.ensure_future(run())
    try:
        while (event := await told.get()) is not None:
            yield event
    finally:
        gone.set()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def _put(
    loop: asyncio.AbstractEventLoop, told: asyncio.Queue[ServerEvent | None], event: ServerEvent
) -> None:
    with suppress(RuntimeError):  # the server has ended
        loop.call_soon_threadsafe(told.put_nowait, event)
