"""Routes of recordings, events and hours."""

from pathlib import Path

import pytest

from earful.index.annotations import read_events
from earful.rag.review.candidates import Found
from tests.serve.routes.conftest import SCAN, ids
from tests.support.serve_client import InProcess


def test_recordings_are_listed(server: InProcess, folder: Path) -> None:
    found = server.get("/api/recordings", scan=SCAN)
    rows = found.json()["recordings"]
    assert [row["recording"] for row in rows] == [
        "SITE7_20260503_043000.wav",
        "SITE8_20260503_210000.wav",
    ]
    assert [row["n_events"] for row in rows] == [8, 2]
    assert rows[0]["site"] == "SITE7"
    assert (rows[0]["missing"], rows[0]["n_reviewed"]) == (False, 0)
    assert "night/" not in found.text
    assert str(folder) not in found.text
    Path("night/SITE8_20260503_210000.wav").unlink()
    assert server.get("/api/recordings").json()["recordings"][1]["missing"] is True


def test_recordings_come_in_pages(shared: InProcess) -> None:
    first = shared.get("/api/recordings", limit=1).json()
    assert (len(first["recordings"]), first["n"]) == (1, 2)
    second = shared.get("/api/recordings", limit=1, cursor=first["cursor"]).json()
    assert second["recordings"][0]["site"] == "SITE8"
    assert (second["cursor"], second["n"]) == (None, None)


def test_one_recording(shared: InProcess) -> None:
    found = shared.get(f"/api/recordings/{ids(shared)[1]}").json()
    assert found["recording"]["duration_s"] == 60
    assert [round(event["start_s"]) for event in found["events"]] == [5, 25]
    assert found["hours"]["sites"][0]["n_events"][21] == 2


def test_events_come_in_pages(shared: InProcess) -> None:
    whole = shared.get("/api/events").json()
    assert (len(whole["events"]), whole["n"], whole["cursor"]) == (10, 10, None)
    found, cursor = [], ""
    while cursor is not None:
        page = shared.get("/api/events", limit=3, cursor=cursor).json()
        found += page["events"]
        cursor = page["cursor"]
    assert found == whole["events"]
    event = found[0]
    assert event["source"] == ids(shared)[0]
    assert event["nearest_example"] == "SITE7_20260503_043000.wav 5.000-6.000"
    assert event["item"] == event["event_id"]


@pytest.mark.parametrize(
    ("wanted", "n"),
    [
        ({"label": "wren"}, 10),
        ({"label": "owl"}, 0),
        ({"review": "none"}, 10),
        ({"review": "positive"}, 0),
        ({"review": "skip"}, 0),
        ({"review": "disputed"}, 0),
        ({"site": "SITE8"}, 2),
        ({"from": "20", "to": "40"}, 4),
        ({"from": "2026-05-03T12:00:00"}, 2),
        ({"to": "2026-05-03T12:00:00"}, 8),
        ({"from": "2026-05-03T12:00:00+02:00"}, 2),
        ({"min_score": "5"}, 0),
    ],
)
def test_events_are_filtered(shared: InProcess, wanted: dict[str, str], n: int) -> None:
    page = shared.get("/api/events", **wanted).json()
    assert page["n"] == len(page["events"]) == n


def test_hours_of_the_day(shared: InProcess) -> None:
    found = shared.get("/api/hours").json()
    assert [site["site"] for site in found["sites"]] == ["SITE7", "SITE8"]
    site = found["sites"][0]
    assert (site["n_events"][4], sum(site["n_events"])) == (8, 8)
    assert site["hours"][4] == pytest.approx(1 / 60, abs=1e-4)
    assert found["unknown"] == {"n_events": 0, "hours": 0.0}


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("recordings?scan=other", 404, "scan"),
        ("recordings?limit=501", 422, "limit"),
        ("recordings?cursor=nonsense", 422, "cursor"),
        ("recordings/r-0000000000000000", 404, "source"),
        ("events?cursor=WzFd", 422, "cursor"),
        ("events?limit=0", 422, "limit"),
        ("events?review=maybe", 422, "review"),
        ("events?from=yesterday", 422, "from"),
        ("events?source=r-0000000000000000", 404, "source"),
        ("hours?label=owl", 422, "label"),
    ],
)
def test_what_is_not_there(shared: InProcess, path: str, status: int, field: str) -> None:
    found = shared.get(f"/api/{path}")
    assert (found.status_code, found.json()["error"]["field"]) == (status, field)


def test_what_was_denied_stays_when_a_fit_finds_it_no_more(
    server: InProcess, tmp_path: Path
) -> None:
    item = server.get("/api/queue", n=1).json()["items"][0]
    server.post("/api/labels", item=item["item"], label="wren", polarity="negative")
    session = server.state.reviews[SCAN]
    left = [one for one in session._source.candidates if one.item != item["item"]]
    session._board.take(Found(candidates=tuple(left), labels=("wren",)), ())
    server.state.desk._tables.clear()
    assert item["item"] not in [one.event_id for one in session.events]
    (kept,) = server.get("/api/events", review="negative").json()["events"]
    assert (kept["item"], kept["review"], kept["label"]) == (item["item"], "negative", "wren")
    assert kept["start_s"] == pytest.approx(item["start_s"])
    found = server.get(f"/api/recordings/{item['source']}").json()
    assert item["item"] in [one["item"] for one in found["events"]]
    assert found["recording"]["n_reviewed"] == 1
    table = tmp_path / "taken.csv"
    table.write_bytes(server.get("/api/export", format="csv").content)
    denied = [one.event_id for one in read_events(table) if one.review == "negative"]
    assert denied == [item["item"]]
    assert server.get("/api/export", format="raven-combined").text.count("wren") == 9
