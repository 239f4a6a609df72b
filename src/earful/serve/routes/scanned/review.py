"""``/api/queue`` and ``/api/labels``: what is shown to a reviewer, and what they say of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field

from earful.errors import LabelError
from earful.index.labels import Label, LabelSource, Polarity
from earful.rag.review import Labelled, LeasedError, ReviewItem, ReviewSession, UnknownItemError
from earful.serve.faults import RequestError
from earful.serve.media import gone
from earful.serve.reviewing import find_source, item_row, label_row, line_row
from earful.serve.routes.bodies import Body, LabelText, LongText, Seconds, ShortText, SourceId
from earful.serve.routes.callers import client_of, reviewer_of
from earful.serve.routes.replies import PlainJson
from earful.serve.state import ServerState
from earful.wording import quoted

_MOST_ITEMS: Final = 50
_MOST_SKIPPED: Final = 200
_MOST_LINES: Final = 2000
_ROUNDED_S: Final = 0.1
_SAME_S: Final = 1e-6
_Text = Annotated[str, Query(max_length=1000)]


class LabelBody(Body):
    """What a reviewer says of an item, or of a stretch that a scan missed.

    A page sends the stretch, guess, score and threshold that it showed: they are kept, whatever
    detectors found since. What it leaves out is as the item was handed out to it.
    """

    scan: ShortText = ""
    item: Annotated[str, Field(max_length=4096)] = ""
    source_id: SourceId | None = None
    label: LabelText
    polarity: Polarity
    start_s: Seconds | None = None
    end_s: Seconds | None = None
    guess: ShortText = ""
    score: Annotated[float | None, Field(allow_inf_nan=False)] = None
    threshold: Annotated[float | None, Field(allow_inf_nan=False)] = None
    source: Literal["review", "missed", "random", "index"] = "review"
    queue: ShortText = ""
    seen_ms: Annotated[int | None, Field(ge=0, le=86_400_000)] = None
    comment: LongText = ""
    flagged: bool = False
    at: AwareDatetime | None = None


class ResolveBody(Body):
    """What counts of an item that reviewers contradict each other about."""

    scan: ShortText = ""
    item: Annotated[str, Field(min_length=1, max_length=4096)]
    label: LabelText
    polarity: Literal["positive", "negative", "unknown"]
    comment: LongText = ""


def router(state: ServerState) -> APIRouter:
    """Return the routes of reviews."""
    routes = APIRouter(tags=["review"])
    desk = state.desk

    def reply(session: ReviewSession, labelled: Labelled) -> PlainJson:
        label, changed = labelled.label, labelled.changed
        if changed.refit_due:
            desk.fit(session, changed.label)
        told = {
            "label": label_row(label, state.sources),
            "progress": session.progress(label.reviewer).to_dict(),
            "change": changed.to_dict(),
        }
        return PlainJson(told, status_code=201)

    @routes.get("/api/queue", response_class=PlainJson)
    def read_queue(
        request: Request,
        scan: _Text = "",
        label: _Text = "",
        strategy: _Text = "mix",
        n: Annotated[int, Query(ge=1, le=_MOST_ITEMS)] = 5,
        skip: Annotated[str, Query(max_length=8000)] = "",
    ) -> PlainJson:
        """Next items, kept from others for two minutes; `skip` are ids that the page has."""
        session, reviewer = desk.session(scan), reviewer_of(request, state)
        shown = [one for one in skip.split(",") if one][:_MOST_SKIPPED]
        found = session.next_items(
            n,
            reviewer=reviewer,
            label=label,
            strategy=strategy,
            client=client_of(request),
            skip=shown,
        )
        items = [item_row(item, state.sources) for item in found]
        return PlainJson({"items": items, "progress": session.progress(reviewer).to_dict()})

    @routes.post("/api/labels", status_code=201, response_class=PlainJson)
    def add_label(body: LabelBody, request: Request) -> PlainJson:
        """Keep what a reviewer says; it is on the disk when the answer comes.

        Of an item: `item` as `/api/queue` gives it, or the `item` of an event, with `label` and
        `polarity`. Of an event that the scan missed there is no item: `source` is `missed`,
        `polarity` is `positive`, and `source_id` (the `source` of a recording), `start_s` and
        `end_s` say where it is.
        """
        session, reviewer = desk.session(body.scan), reviewer_of(request, state)
        client = client_of(request)
        with _explained():
            if body.source == "missed":
                labelled = _missed(state, session, body, reviewer, client)
            else:
                _require_item(body)
                item = session.item(body.item, reviewer=reviewer, client=client)
                said = _label_of(state, item, body, reviewer)
                labelled = session.label(said, client=client)
        return reply(session, labelled)

    @routes.post("/api/labels/resolve", status_code=201, response_class=PlainJson)
    def resolve_label(body: ResolveBody, request: Request) -> PlainJson:
        """Settle a dispute: what is said here counts, whatever was said before."""
        session, reviewer = desk.session(body.scan), reviewer_of(request, state)
        with _explained():
            item = session.item(body.item)
            said = _label(
                item,
                label=body.label,
                polarity=body.polarity,
                reviewer=reviewer,
                source="resolve",
                comment=body.comment,
            )
            labelled = session.label(said, client=client_of(request))
        return reply(session, labelled)

    @routes.delete("/api/labels/{seq}", response_class=PlainJson)
    def undo_label(seq: int, request: Request, scan: _Text = "") -> PlainJson:
        """Take back a label of one's own; its item comes again."""
        session, reviewer = desk.session(scan), reviewer_of(request, state)
        if not any(isinstance(one, Label) and one.seq == seq for one in session.journal.read()):
            raise RequestError(
                f"seq={seq}: no label has that number; GET /api/labels lists them",
                status=404,
                code="unknown_label",
                field="seq",
            )
        with _explained():
            label = session.undo(seq, reviewer, client=client_of(request))
            item = session.item(label.item, reviewer=reviewer, client=client_of(request))
        return PlainJson(
            {
                "label": label_row(label, state.sources),
                "item": item_row(item, state.sources),
                "progress": session.progress(reviewer).to_dict(),
            }
        )

    @routes.get("/api/labels", response_class=PlainJson)
    def list_labels(
        scan: _Text = "", after: Annotated[int | None, Query(ge=0)] = None
    ) -> PlainJson:
        """Lines of the journal: those after a number, else the last 2,000.

        Where there are more, `last_seq` is the number to ask for the rest after.
        """
        session = desk.session(scan)
        lines = session.journal.read(after or 0)
        part = lines[-_MOST_LINES:] if after is None else lines[:_MOST_LINES]
        last = part[-1].seq if part else session.journal.state().last_seq
        return PlainJson(
            {
                "labels": [line_row(line, state.sources) for line in part],
                "last_seq": last,
                "more": bool(part) and part[-1].seq != lines[-1].seq,
            }
        )

    @routes.post("/api/queue/release", response_class=PlainJson)
    def release_queue(request: Request, scan: _Text = "") -> PlainJson:
        """Give back what a page has, such as when it is closed."""
        desk.session(scan).release(client_of(request))
        return PlainJson({})

    return routes


@contextmanager
def _explained() -> Iterator[None]:
    """Turn errors of reviews into faults with a status and a field."""
    try:
        yield
    except LeasedError as error:
        raise RequestError(str(error), status=409, code="leased", field="item") from error
    except UnknownItemError as error:
        raise RequestError(str(error), status=404, code="unknown_item", field="item") from error
    except LabelError as error:
        if not error.field:  # the journal cannot be written or read
            raise RequestError(str(error), status=503, code="journal") from error
        is_undo = error.field == "seq"
        raise RequestError(
            str(error),
            status=409 if is_undo else 422,
            code="not_undone" if is_undo else "label",
            field=error.field,
        ) from error


def _require_item(body: LabelBody) -> None:
    """Say what is expected of who names no item."""
    if not body.item:
        given = "source_id" if body.source_id is not None else "neither item nor source_id"
        raise RequestError(
            f"item: expected the id of an item, got {given}; an event that the scan missed has "
            "source 'missed', polarity 'positive', source_id, start_s and end_s",
            field="item",
        )


def _missed(
    state: ServerState, session: ReviewSession, body: LabelBody, reviewer: str, client: str
) -> Labelled:
    """Keep an event that the scan missed."""
    if body.source_id is None or body.start_s is None or body.end_s is None:
        times = "end_s" if body.start_s is not None else "start_s"
        field = "source_id" if body.source_id is None else times
        raise RequestError(
            f"{field}: expected source_id, start_s and end_s of an event that the scan missed",
            field=field,
        )
    if body.polarity != "positive":
        raise RequestError(
            f"polarity={quoted(body.polarity)}: a missed event is positive", field="polarity"
        )
    source = state.sources.find(body.source_id)
    row = state.desk.table(session.name).recordings.get(body.source_id)
    if row is None:
        raise RequestError(
            f"source_id {quoted(body.source_id)}: is no recording of {quoted(session.name)}",
            status=404,
            code="unknown_source",
            field="source_id",
        )
    source.require_file("source_id")
    _require_within(body.end_s, row.duration_s)
    return session.missed(
        row.recording,
        body.start_s,
        body.end_s,
        body.label,
        reviewer,
        client=client,
        comment=body.comment,
        flagged=body.flagged,
        seen_ms=body.seen_ms,
        at=body.at,
    )


def _require_within(end_s: float | None, duration_s: float | None) -> None:
    if end_s is not None and duration_s is not None and end_s > duration_s + _ROUNDED_S:
        raise RequestError(
            f"end_s={end_s:g}: the recording lasts {duration_s:.3f} s, expected no more",
            field="end_s",
        )


def _label_of(state: ServerState, item: ReviewItem, body: LabelBody, reviewer: str) -> Label:
    """Return a label of an item; ends that were moved are times of its source."""
    if item.missing and body.polarity != "skip":
        raise gone(item.recording)
    source = find_source(state.sources, item.recording_sha256, item.exemplar)
    offset_s = source.start_s if source is not None else 0.0
    start_s = _moved(body.start_s, offset_s, item.start_s)
    end_s = _moved(body.end_s, offset_s, item.end_s)
    if end_s != item.end_s:
        _require_within(body.end_s, item.duration_s if source is None else source.duration_s)
    return _label(
        item,
        label=body.label,
        polarity=body.polarity,
        reviewer=reviewer,
        source=body.source,
        start_s=start_s,
        end_s=end_s,
        guess=body.guess,
        score=body.score,
        threshold=body.threshold,
        queue=body.queue,
        seen_ms=body.seen_ms,
        comment=body.comment,
        flagged=body.flagged,
        at=body.at,
    )


def _moved(sent_s: float | None, offset_s: float, shown_s: float) -> float:
    """Return an end of a stretch as it was sent; sums of floats move none."""
    if sent_s is None or abs(sent_s + offset_s - shown_s) < _SAME_S:
        return shown_s
    return sent_s + offset_s


def _label(
    item: ReviewItem,
    *,
    label: str,
    polarity: Polarity,
    reviewer: str,
    source: LabelSource,
    start_s: float | None = None,
    end_s: float | None = None,
    **said: Any,
) -> Label:
    return Label(
        item=item.item,
        recording=item.recording,
        recording_sha256=item.recording_sha256,
        start_s=item.start_s if start_s is None else start_s,
        end_s=item.end_s if end_s is None else end_s,
        label=label,
        polarity=polarity,
        reviewer=reviewer,
        source=source,
        **said,
    )
