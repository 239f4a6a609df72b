"""Routes of exports and reports."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from earful.html import PAGE_MARK, Page
from earful.index.annotations import EXPORT_FORMATS, read_events
from tests.serve.routes.conftest import SCAN
from tests.support.serve_client import InProcess


def test_events_are_taken_away_with_their_reviews(server: InProcess, tmp_path: Path) -> None:
    item = server.get("/api/queue", n=1).json()["items"][0]["item"]
    server.post("/api/labels", item=item, label="wren", polarity="negative")
    found = server.get("/api/export", scan=SCAN, format="csv")
    assert found.headers["content-disposition"] == 'attachment; filename="night.events.csv"'
    table = tmp_path / "taken.csv"
    table.write_bytes(found.content)
    events = read_events(table)
    assert len(events) == 10
    assert [event.event_id for event in events if event.review == "negative"] == [item]


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_every_format(shared: InProcess, name: str) -> None:
    found = shared.get("/api/export", format=name)
    assert found.status_code == 200
    if name in ("raven", "audacity", "birdnet-r"):  # a file for each recording
        assert found.headers["content-type"] == "application/zip"
        archive = zipfile.ZipFile(io.BytesIO(found.content))
        assert len(archive.namelist()) == 2
        assert archive.testzip() is None
    else:
        assert found.content
    assert shared.get("/api/export", format=name).content == found.content


@pytest.mark.parametrize(
    ("query", "field"),
    [("format=xlsx", "format"), ("format=", "format"), ("label=owl", "label")],
)
def test_what_cannot_be_exported(shared: InProcess, query: str, field: str) -> None:
    found = shared.get(f"/api/export?{query}")
    assert (found.status_code, found.json()["error"]["field"]) == (422, field)


def test_reports_are_shown_by_a_policy_of_their_own(server: InProcess, folder: Path) -> None:
    Page("Evaluation").write(Path("evaluation.html"), "page.html")
    Page("Events").write(Path(SCAN, "events.html"), "page.html")
    Path("notes.html").write_text("<p>somebody's own</p>")
    Path("secret.txt").write_bytes(PAGE_MARK)
    outside = folder.parent / "outside.html"
    Page("Outside").write(outside, "page.html")
    os.symlink(outside, "link.html")
    os.mkfifo("pipe.html")
    found = server.get("/api/reports")
    reports = found.json()["reports"]
    assert {report["name"] for report in reports} == {"evaluation.html", "events.html"}
    assert str(folder) not in found.text
    (evaluation,) = (one for one in reports if one["name"] == "evaluation.html")
    page = server.get(f"/api/reports/{evaluation['id']}")
    assert page.content == Path("evaluation.html").read_bytes()
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    os.remove("evaluation.html")
    os.symlink(outside, "evaluation.html")
    assert server.get(f"/api/reports/{evaluation['id']}").status_code == 404


@pytest.mark.parametrize("id", ["0000000000000000", "..%2Fnotes.html", "evaluation.html"])
def test_an_unknown_report(server: InProcess, id: str) -> None:
    Page("Evaluation").write(Path("evaluation.html"), "page.html")
    assert server.get(f"/api/reports/{id}").status_code == 404
