"""Routes of the queue and of labels."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from earful.index.labels import Label, LabelJournal
from earful.rag.review import ReviewSession
from earful.serve import exemplar_id
from tests.serve.routes.conftest import SCAN, OpenServer, ids
from tests.support.serve_client import InProcess

JOURNAL = Path(SCAN, "labels.jsonl")


def first_item(server: InProcess, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/api/queue", n=1, **asked).json()["items"][0]
    return found


def test_a_queue_has_all_that_a_page_paints_and_plays(server: InProcess, folder: Path) -> None:
    found = server.get("/api/queue", scan=SCAN, n=3)
    items = found.json()["items"]
    assert len(items) == 3
    item = items[0]
    assert {
        *("item", "scan", "source", "recording", "start_s", "end_s", "guess", "score"),
        *("threshold", "probability", "queue", "why", "starts_at", "site", "low_hz", "high_hz"),
        *("duration_s", "sample_rate", "missing", "nearest", "said", "leased_until"),
    } <= set(item)
    assert item["source"] in ids(server)
    assert (item["duration_s"], item["sample_rate"], item["missing"]) == (60, 4000, False)
    played = server.get(
        f"/api/audio/{item['source']}", start_s=item["start_s"], end_s=item["end_s"]
    )
    assert played.status_code == 200
    nearest = item["nearest"]
    assert nearest["source"] == ids(server)[0]
    assert nearest["name"].startswith("SITE7_")
    assert found.json()["progress"]["n_items"] >= 5
    assert "night/" not in found.text
    assert str(folder) not in found.text


def test_a_label_is_on_the_disk_and_can_be_taken_back(server: InProcess) -> None:
    item = first_item(server)
    said = server.post(
        "/api/labels",
        scan=SCAN,
        item=item["item"],
        label="wren",
        polarity="positive",
        start_s=item["start_s"] + 0.1,
        end_s=item["end_s"],
        seen_ms=900,
        at="2026-05-04T09:12:03.120Z",
    )
    assert said.status_code == 201
    answer = said.json()
    assert answer["label"]["seq"] == 1
    assert answer["label"]["at"] == "2026-05-04T09:12:03.120Z"
    assert answer["label"]["reviewer"] == "ana"
    assert answer["progress"]["n_reviewed"] == 1
    assert answer["change"]["n_positive"] == 1
    (kept,) = LabelJournal(JOURNAL).read()
    assert isinstance(kept, Label)
    assert kept.start_s == pytest.approx(item["start_s"] + 0.1)
    assert kept.recording.startswith("night/")
    reviewed = server.get("/api/events", review="positive").json()["events"]
    assert [event["item"] for event in reviewed] == [item["item"]]

    undone = server.delete("/api/labels/1", scan=SCAN)
    assert undone.status_code == 200
    assert undone.json()["item"]["item"] == item["item"]
    # The page that shows it again has it.
    assert undone.json()["item"]["leased_until"] is not None
    assert undone.json()["progress"]["n_reviewed"] == 0
    assert server.get("/api/events", review="positive").json()["n"] == 0
    lines = server.get("/api/labels", scan=SCAN).json()
    assert [line["seq"] for line in lines["labels"]] == [1, 2]
    assert lines["last_seq"] == 2
    assert server.get("/api/labels", after=1).json()["labels"][0]["undo"] == 1
    twice = server.delete("/api/labels/1", scan=SCAN)
    assert (twice.status_code, twice.json()["error"]["field"]) == (409, "seq")


def test_pages_are_told(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(server.state.changes, "publish", lambda *event: told.append(event))
    item = first_item(server)
    server.post("/api/labels", item=item["item"], label="wren", polarity="negative")
    server.delete("/api/labels/1")
    assert [kind for kind, _ in told] == ["label", "undo"]
    data = told[0][1]
    assert (data["scan"], data["label"]["item"]) == (SCAN, item["item"])
    assert data["change"]["n_negative"] == 1
    assert "night/" not in repr(told)


def test_what_another_looks_at_is_theirs(server: InProcess) -> None:
    item = first_item(server)
    said = server.request(
        "POST",
        "/api/labels",
        json={"item": item["item"], "label": "wren", "polarity": "positive"},
        headers={"x-earful-client": "page-2", "x-earful-reviewer": "J%C3%BCrgen"},
    )
    assert said.status_code == 409
    assert said.json()["error"]["code"] == "leased"
    assert "'ana'" in said.json()["error"]["message"]
    assert server.post("/api/queue/release").status_code == 200
    said = server.request(
        "POST",
        "/api/labels",
        json={"item": item["item"], "label": "wren", "polarity": "positive"},
        headers={"x-earful-client": "page-2", "x-earful-reviewer": "J%C3%BCrgen"},
    )
    assert said.json()["label"]["reviewer"] == "Jürgen"
    mine = server.delete("/api/labels/1")
    assert (mine.status_code, mine.json()["error"]["code"]) == (409, "not_undone")


def test_what_the_scan_missed_is_marked(server: InProcess) -> None:
    source = ids(server)[0]
    said = server.post(
        "/api/labels",
        scan=SCAN,
        source_id=source,
        start_s=2.0,
        end_s=2.5,
        label="owl",
        polarity="positive",
        source="missed",
    )
    assert said.status_code == 201
    assert said.json()["label"]["source_id"] == source
    assert said.json()["change"]["n_positive"] == 1
    found = server.get("/api/events", label="owl").json()["events"]
    assert [(event["start_s"], event["review"]) for event in found] == [(2.0, "positive")]


def test_labels_of_many_at_once_are_all_kept(server: InProcess) -> None:
    source = ids(server)[0]
    bodies = [
        {
            "source_id": source,
            "start_s": 2 * at + 0.5,
            "end_s": 2 * at + 0.6,
            "label": f"sound {at}",
            "polarity": "positive",
            "source": "missed",
        }
        for at in range(25)
    ]
    said = server.post_all("/api/labels", bodies)
    assert {answer.status_code for answer in said} == {201}
    assert sorted(answer.json()["label"]["seq"] for answer in said) == list(range(1, 26))
    assert len(LabelJournal(JOURNAL).state().items) == 25


def test_a_dispute_is_settled(server: InProcess) -> None:
    item = first_item(server)["item"]
    server.post("/api/labels", item=item, label="wren", polarity="positive")
    server.request(
        "POST",
        "/api/labels",
        json={"item": item, "label": "wren", "polarity": "negative"},
        headers={"x-earful-reviewer": "bo"},
    )
    assert server.get("/api/queue").json()["progress"]["n_disputed"] == 1
    said = server.post("/api/labels/resolve", item=item, label="wren", polarity="negative")
    assert said.status_code == 201
    assert said.json()["progress"]["n_disputed"] == 0
    assert server.get("/api/events", review="negative").json()["n"] == 1


def test_a_recording_that_is_gone_can_only_be_skipped(server: InProcess) -> None:
    for path in Path("night").iterdir():
        path.unlink()
    item = first_item(server)
    assert item["missing"] is True
    said = server.post("/api/labels", item=item["item"], label="wren", polarity="positive")
    assert (said.status_code, said.json()["error"]["code"]) == (410, "gone")
    skipped = server.post("/api/labels", item=item["item"], label="wren", polarity="skip")
    assert skipped.status_code == 201
    marked = server.post(
        "/api/labels",
        source_id=ids(server)[0],
        start_s=1,
        end_s=2,
        label="owl",
        polarity="positive",
        source="missed",
    )
    assert marked.status_code == 410


def test_doubtful_rows_of_the_index_are_reviewed(server: InProcess) -> None:
    items = server.get("/api/queue", scan="index").json()["items"]
    (item,) = (one for one in items if one["source"] == exemplar_id("new/1"))
    # Times are those of the row, which lies from 11 to 12 s of its file.
    assert (item["start_s"], item["end_s"], item["scan"]) == (0, 1, "index")
    played = server.get(f"/api/audio/{item['source']}", start_s=0, end_s=1)
    assert played.status_code == 200
    said = server.post(
        "/api/labels",
        scan="index",
        item=item["item"],
        label="wren",
        polarity="positive",
        start_s=0.25,
        end_s=1,
    ).json()
    assert said["label"]["source_id"] == item["source"]
    assert said["label"]["start_s"] == pytest.approx(0.25)
    (kept,) = LabelJournal(Path("sounds.index", "labels.jsonl")).read()
    assert isinstance(kept, Label)
    assert (kept.start_s, kept.source) == (11.25, "index")


BODY = {"item": "ITEM", "label": "wren", "polarity": "positive"}
MISSED = {"label": "wren", "polarity": "positive", "source": "missed", "start_s": 1.0}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({**BODY, "label": "x" * 201}, 422, "label"),
        ({**BODY, "label": "  "}, 422, "label"),
        ({**BODY, "label": "a\x00b"}, 422, "label"),
        ({**BODY, "polarity": "yes"}, 422, "polarity"),
        ({**BODY, "start_s": -1}, 422, "start_s"),
        ({**BODY, "start_s": 1000, "end_s": 999}, 422, "end_s"),
        ({**BODY, "start_s": 1, "end_s": 0.5}, 422, "end_s"),
        ({**BODY, "at": "yesterday"}, 422, "at"),
        ({**BODY, "unknown": 1}, 422, "unknown"),
        ({**BODY, "item": "0000000000000000"}, 404, "item"),
        ({**BODY, "scan": "other"}, 404, "scan"),
        (MISSED, 422, "source_id"),
        ({**MISSED, "source_id": "SOURCE"}, 422, "end_s"),
        ({**MISSED, "source_id": "r-0123456789abcdef", "end_s": 2}, 404, "source"),
        ({**MISSED, "source_id": "SOURCE", "end_s": 70}, 422, "end_s"),
        ({**MISSED, "source_id": "SOURCE", "end_s": 0.5}, 422, "end_s"),
        ({**MISSED, "source_id": "SOURCE", "end_s": 2, "polarity": "skip"}, 422, "polarity"),
    ],
)
def test_a_label_refuses(shared: InProcess, body: dict[str, Any], status: int, field: str) -> None:
    values = {"ITEM": first_item(shared)["item"], "SOURCE": ids(shared)[0]}
    sent = {key: values.get(value, value) for key, value in body.items()}
    found = shared.post("/api/labels", **sent)
    assert (found.status_code, found.json()["error"]["field"]) == (status, field), found.text
    assert not list(shared.state.reviews[SCAN].journal.read())


def test_a_label_without_an_item_is_told_how_a_missed_event_is_sent(shared: InProcess) -> None:
    sent = {**MISSED, "source_id": ids(shared)[0], "end_s": 2.0}
    del sent["source"]
    error = shared.post("/api/labels", **sent).json()["error"]
    assert error["field"] == "item"
    assert "got source_id; an event that the scan missed has source 'missed'" in error["message"]
    error = shared.post("/api/labels", label="wren", polarity="positive").json()["error"]
    assert "got neither item nor source_id" in error["message"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("scan=other", 404), ("n=0", 422), ("n=51", 422), ("strategy=best", 422)],
)
def test_a_queue_refuses(shared: InProcess, query: str, status: int) -> None:
    assert shared.get(f"/api/queue?{query}").status_code == status


def test_an_unknown_label_is_not_undone(shared: InProcess) -> None:
    found = shared.delete("/api/labels/7")
    assert (found.status_code, found.json()["error"]["code"]) == (404, "unknown_label")


def test_reading_only_shows_and_takes_nothing(open_server: OpenServer) -> None:
    server = open_server(read_only=True)
    item = first_item(server)["item"]
    for method, path, body in (
        ("POST", "/api/labels", {"item": item, "label": "wren", "polarity": "positive"}),
        ("POST", "/api/labels/resolve", {"item": item, "label": "wren", "polarity": "positive"}),
        ("DELETE", "/api/labels/1", None),
    ):
        assert server.request(method, path, json=body).status_code == 403
    assert not JOURNAL.exists()


def test_a_detector_is_fitted_behind_the_answer(
    server: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, done = [], threading.Event()

    def refit(self: ReviewSession, label: str = "") -> None:
        fitted.append(label)
        self._tell("refit", {"scan": self.name, "label": label, "text": "wren: fitted"})
        done.set()

    monkeypatch.setattr(ReviewSession, "refit", refit)
    told: list[str] = []
    monkeypatch.setattr(server.state.changes, "publish", lambda *event: told.append(event[0]))
    before = server.state.desk.table()
    n_due = 0
    while not n_due:
        item = first_item(server)["item"]
        said = server.post("/api/labels", item=item, label="wren", polarity="positive")
        n_due = said.json()["change"]["refit_due"]
    assert done.wait(10)
    assert fitted == ["wren"]
    assert told[-1] == "refit"
    assert server.state.desk.table() is not before


def test_what_a_killed_run_left_out_is_committed_of_the_index_too(
    server: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = Label(
        item="new/1",
        recording="SITE7_20260503_043000.wav",
        recording_sha256="",
        start_s=11.0,
        end_s=12.0,
        label="wren",
        polarity="positive",
        reviewer="ana",
        source="index",
    )
    LabelJournal("sounds.index/labels.jsonl").append(label)
    asked: list[str] = []
    monkeypatch.setattr(server.state.commits, "request", asked.extend)
    server.state.commit_rest()
    assert asked == ["index"]
    assert server.state._commit("index")["n_rows"] == 1
    assert "index" not in list(server.state.reviews)  # nobody looked at all rows for it
    assert server.get("/api/index/rows", q="new/1").json()["rows"][0]["labels"] == ["wren"]
    # What a label says nobody changes by hand: the next commit would say it again.
    row = f"/api/index/rows/{exemplar_id('new/1')}"
    refused = server.request("PATCH", row, json={"labels": ["owl"]})
    assert refused.status_code == 422
    assert "take the label back" in refused.json()["error"]["message"]
    assert server.delete(row).status_code == 200
    assert server.state._commit("index")["n_rows"] == 0


def test_fits_wait_for_each_other(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    session, desk = server.state.desk.session(SCAN), server.state.desk
    fitted, begun, may_end = [], threading.Event(), threading.Event()

    def refit(self: ReviewSession, label: str = "") -> None:
        fitted.append(label)
        begun.set()
        assert may_end.wait(10)
        if label == "owl":
            raise OSError("a damaged disk ends no thread for good")

    monkeypatch.setattr(ReviewSession, "refit", refit)
    monkeypatch.setattr(ReviewSession, "refit_due", ("wren",))
    desk.fit(session, "owl")
    assert begun.wait(10)
    for label in ("wren", "owl", "wren"):
        desk.fit(session, label)
    may_end.set()
    deadline = time.monotonic() + 10
    while desk._fitting and time.monotonic() < deadline:
        time.sleep(0.01)
    assert fitted == ["owl", "wren"]


def test_what_a_page_showed_is_kept_when_its_label_waited(open_server: OpenServer) -> None:
    item = first_item(open_server())
    # Another server knows nothing of what the first one handed out.
    server = open_server()
    shown = {"start_s": item["start_s"] + 0.04, "end_s": item["end_s"], "guess": "wren"}
    said = server.post(
        "/api/labels",
        **{"scan": SCAN, "item": item["item"], "label": "wren", "polarity": "positive"},
        **shown,
        **{"score": 0.625, "threshold": 0.375, "at": "2026-05-04T09:12:03.120Z"},
    )
    assert said.status_code == 201
    (kept,) = LabelJournal(JOURNAL).read()
    assert isinstance(kept, Label)
    assert [kept.start_s, kept.end_s] == pytest.approx([shown["start_s"], shown["end_s"]])
    assert (kept.guess, kept.score, kept.threshold) == ("wren", 0.625, 0.375)


def test_a_queue_counts_by_label_after_a_reload(open_server: OpenServer) -> None:
    server = open_server()
    item = first_item(server)
    said = server.post("/api/labels", item=item["item"], label="wren", polarity="negative").json()
    counts = {"wren": {"positive": 0, "negative": 1, "unknown": 0}}
    assert said["progress"]["by_label"] == counts
    for each in (server, open_server()):
        for label in ("", "wren"):
            found = each.get("/api/queue", n=1, label=label).json()["progress"]
            assert found["by_label"] == counts
            assert (found["n_items"], found["n_reviewed"], found["n_peaks"]) == (5, 1, 0)
