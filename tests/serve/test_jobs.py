"""Jobs: one at a time, followed and cancelled; scans of what the server was given."""

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import earful
from earful.errors import ScanError
from earful.serve import Changes
from earful.serve.faults import RequestError
from earful.serve.work import Jobs, Tell
from tests.support.page_servers import PageServer, events_of, open_server, wav_bytes


def finished(jobs: Jobs, id: str) -> str:
    for _ in range(1000):
        if jobs.find(id).status != "running":
            return jobs.find(id).status
        time.sleep(0.005)
    raise AssertionError("the job does not end")


def test_one_job_runs_at_a_time_and_says_how_far_it_is() -> None:
    told: list[Mapping[str, Any]] = []
    changes = Changes()
    changes.watch(lambda event: told.append(event.data))
    jobs, hold = Jobs(changes), threading.Event()

    def work(tell: Tell) -> Mapping[str, Any]:
        tell({"done": 1})
        hold.wait(5)
        return {"n": 3}

    job = jobs.start("scan", "a.scan", work)
    with pytest.raises(RequestError, match=r"the scan 'a\.scan' is running") as refused:
        jobs.start("scan", "b.scan", work)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 30)
    hold.set()
    assert finished(jobs, job.id) == "done"
    assert [step["status"] for step in told] == ["running", "running", "done"]
    assert told[-1]["result"] == {"n": 3}


def test_a_cancelled_job_ends_at_its_next_step() -> None:
    jobs, began = Jobs(Changes()), threading.Event()

    def work(tell: Tell) -> Mapping[str, Any]:
        while True:
            tell({})
            began.set()
            time.sleep(0.001)

    job = jobs.start("scan", "a.scan", work)
    began.wait(5)
    jobs.cancel(job.id)
    assert finished(jobs, job.id) == "cancelled"
    jobs.close()


@pytest.mark.parametrize(
    ("error", "message"),
    [(ScanError("the disk is full"), "the disk is full"), (KeyError("x"), "something went wrong")],
)
def test_a_job_that_fails_says_why(error: Exception, message: str) -> None:
    jobs = Jobs(Changes())

    def work(_: Tell) -> Mapping[str, Any]:
        raise error

    job = jobs.start("scan", "a.scan", work)
    assert finished(jobs, job.id) == "failed"
    assert jobs.find(job.id).message.startswith(message)


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A folder with one recording: two whistles in silence."""
    import io

    import numpy as np
    import soundfile

    whistle, rate = soundfile.read(io.BytesIO(wav_bytes(2510.0, 0.7)))
    samples = np.random.default_rng(0).standard_normal(20 * rate) * 0.003
    for at_s in (4, 12):
        samples[at_s * rate : at_s * rate + whistle.size] += whistle
    folder = tmp_path / "night"
    folder.mkdir()
    soundfile.write(folder / "one.wav", samples, rate)
    return folder


@pytest.fixture
def served(index: Path, tmp_path: Path, night: Path) -> Iterator[PageServer]:
    import shutil

    shutil.copytree(index.parent, tmp_path / "served")
    opened = open_server(tmp_path / "served" / "sounds.index", recordings=[night])
    yield opened
    opened.state.close()


def test_a_scan_of_a_given_folder_can_be_reviewed_when_it_is_done(served: PageServer) -> None:
    assert served.send("GET", "/api/status").json()["folders"] == ["night"]
    body = {"name": "first", "recordings": ["night"], "labels": ["whistle"]}
    response = served.send("POST", "/api/scans", body=body)
    assert response.status_code == 202, response.text
    id = response.json()["id"]
    steps = events_of(served.send("GET", f"/api/jobs/{id}/events"))
    assert {kind for kind, _ in steps} == {"job"}
    last = steps[-1][1]
    assert (last["status"], last["message"]) == ("done", "")
    assert last["result"]["scan"] == "first.scan"
    assert served.state.index_path.with_name("first.scan").is_dir()
    status = served.send("GET", "/api/status").json()
    assert [scan["name"] for scan in status["scans"]] == ["first.scan"]
    (source,) = served.state.sources.recordings
    taken = served.send("POST", "/api/scans", body=body)
    assert served.error(taken) == (409, "name_taken")
    # A recording that is known can be named by its id.
    other = served.send("POST", "/api/scans", body={**body, "name": "b", "recordings": [source]})
    assert other.status_code == 202
    assert finished(served.state.jobs, other.json()["id"]) == "done"


def test_what_is_said_of_a_new_scan_is_in_the_index_when_the_server_ends(
    served: PageServer,
) -> None:
    body = {"name": "first", "recordings": ["night"], "labels": ["whistle"]}
    id = served.send("POST", "/api/scans", body=body).json()["id"]
    assert finished(served.state.jobs, id) == "done"
    items = served.send("GET", "/api/queue?scan=first.scan&n=2").json()["items"]
    assert {item["guess"] for item in items} == {"whistle"}
    for item, polarity in zip(items, ("positive", "negative"), strict=True):
        said = {"scan": "first.scan", "item": item["item"], "label": "whistle"}
        response = served.send("POST", "/api/labels", body={**said, "polarity": polarity})
        assert response.status_code == 201, response.text
    assert served.send("GET", "/api/status").json()["n_uncommitted"] == 2
    served.state.close()
    rows = earful.Index.open(served.state.index_path).vectors().exemplars
    new = {row.id: row for row in rows if row.id.startswith("review/")}
    assert set(new) == {f"review/{item['item']}" for item in items}
    first, second = (new[f"review/{item['item']}"] for item in items)
    assert (first.labels, second.not_labels) == (("whistle",), ("whistle",))
    assert first.meta["reviewer"] == "ana"


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"name": "../evil"}, 422, "name"),
        ({"name": "/tmp/evil"}, 422, "name"),
        ({"name": ".hidden"}, 422, "name"),
        ({"name": "a\u0000b"}, 422, "name"),
        ({"name": "sounds"}, None, "name"),
        ({"recordings": ["/etc"]}, 404, "recordings"),
        ({"recordings": ["../night"]}, 404, "recordings"),
        ({"recordings": ["r-0123456789abcdef"]}, 404, "source"),
        ({"recordings": []}, 422, "recordings"),
        ({"labels": ["unheard"]}, 422, "labels"),
        ({"threshold": "inf"}, 422, "threshold"),
        ({"detector": "best"}, 422, "detector"),
        ({"out": "/tmp"}, 422, "out"),
    ],
)
def test_a_scan_reads_and_writes_nothing_else(
    served: PageServer, change: dict[str, Any], status: int | None, field: str
) -> None:
    body = {"name": "first", "recordings": ["night"], "labels": ["whistle"], **change}
    if status is None:
        # A link that leads away is no folder to write into.
        served.state.index_path.with_name("sounds.scan").symlink_to("/tmp")
        status = 409
    response = served.send("POST", "/api/scans", body=body)
    assert response.status_code == status, response.text
    assert response.json()["error"]["field"] == field
    assert served.send("GET", "/api/jobs").json() == {"jobs": []}


def test_an_unknown_job_is_told(server: PageServer) -> None:
    for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
        response = server.send(method, f"/api/jobs/j-1{path}")
        assert server.error(response) == (404, "unknown_job")
