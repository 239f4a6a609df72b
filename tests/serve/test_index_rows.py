"""Rows of the index over HTTP: added, relabelled, removed, and every change taken back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import earful
from earful.serve import exemplar_id
from tests.support.page_servers import OWN, PageServer, make_index, open_server, wav_bytes


@pytest.fixture
def served(tmp_path: Path) -> Iterator[PageServer]:
    """A server of an index of its own, which tests change."""
    opened = open_server(make_index(tmp_path, n_each=2))
    yield opened
    opened.state.close()


def state_of(server: PageServer) -> dict[str, Any]:
    index = earful.Index.open(server.state.index_path)
    return {row.id: row for row in index.vectors().exemplars}


def test_the_index_is_counted(server: PageServer) -> None:
    found = server.send("GET", "/api/index").json()
    assert found["n"] == 8
    assert found["labels"] == {
        "hum": {"positive": 4, "negative": 0},
        "whistle": {"positive": 4, "negative": 0},
    }
    assert found["bytes"] > 1000
    assert str(server.state.index_path.parent) not in str(found)


def test_rows_come_in_pages(server: PageServer) -> None:
    found, cursor = [], ""
    for _ in range(4):
        page = server.send("GET", f"/api/index/rows?limit=3&cursor={cursor}").json()
        found += [row["exemplar"] for row in page["rows"]]
        assert page["n"] == 8
        cursor = page["cursor"]
        if cursor is None:
            break
    assert found == sorted(found)
    assert len(found) == 8
    by_label = server.send("GET", "/api/index/rows?label=hum").json()
    assert {row["labels"][0] for row in by_label["rows"]} == {"hum"}
    by_text = server.send("GET", "/api/index/rows?q=WHISTLE/1").json()
    assert [row["exemplar"] for row in by_text["rows"]] == ["whistle/1.wav"]
    assert server.send("GET", "/api/index/rows?label=none").json()["rows"] == []
    assert server.error(server.send("GET", "/api/index/rows?limit=501")) == (422, "invalid")


def test_an_upload_becomes_an_example_and_is_kept_beside_the_index(served: PageServer) -> None:
    data = wav_bytes(700.0, seconds=0.6, seed=3)
    source = served.upload(data, "beep.wav").json()["source"]
    body = {"audio": {"source": source}, "labels": [" beep "], "not_labels": ["hum"]}
    response = served.send("POST", "/api/index/rows", body=body)
    assert response.status_code == 201
    row = response.json()
    assert (row["labels"], row["not_labels"], row["replaced"]) == (["beep"], ["hum"], False)
    kept = served.state.index_path.with_name("sounds.index.audio")
    (path,) = kept.iterdir()
    assert path.read_bytes() == data
    assert (row["name"], row["meta"]["reviewer"]) == ("beep.wav", "ana")
    served.state.uploads.remove(source)
    hit = served.send(
        "POST", "/api/search", body={"audio": {"source": row["source"]}, "k": 5}
    ).json()
    assert len(hit["evidence"]) == 4
    assert served.state.sources.find(row["source"]).path == path.resolve()


@pytest.mark.slow
def test_the_same_stretch_again_gets_other_labels(served: PageServer) -> None:
    source = served.upload(wav_bytes(700.0), "beep.wav").json()["source"]
    stretch = {"source": source, "start_s": 0.25, "end_s": 0.75}
    first = served.send("POST", "/api/index/rows", body={"audio": stretch, "labels": ["a"]}).json()
    again = served.send("POST", "/api/index/rows", body={"audio": stretch, "labels": ["b"]}).json()
    assert (again["id"], again["labels"], again["replaced"]) == (first["id"], ["b"], True)
    assert (again["start_s"], again["end_s"]) == (0.25, 0.75)
    assert len(state_of(served)) == 5
    served.send("POST", "/api/index/undo")
    assert served.send("GET", f"/api/index/rows/{first['id']}").json()["labels"] == ["a"]
    undone = served.send("POST", "/api/index/undo").json()
    assert undone["row"] is None
    assert len(state_of(served)) == 4


def test_every_change_can_be_taken_back(served: PageServer) -> None:
    before = state_of(served)
    hum = exemplar_id("hum/0.wav")
    changed = served.send(
        "PATCH",
        f"/api/index/rows/{hum}",
        body={"labels": ["buzz"], "not_labels": ["whistle"], "group": "site 1"},
    ).json()
    assert (changed["labels"], changed["answer"]) == (["buzz"], "buzz")
    removed = served.send("DELETE", f"/api/index/rows/{exemplar_id('whistle/0.wav')}").json()
    assert removed["removed"]["exemplar"] == "whistle/0.wav"
    assert set(state_of(served)) == set(before) - {"whistle/0.wav"}
    assert served.send("POST", "/api/index/undo").json()["row"]["exemplar"] == "whistle/0.wav"
    assert served.send("POST", "/api/index/undo").json()["row"]["labels"] == ["hum"]
    assert state_of(served) == before
    assert served.error(served.send("POST", "/api/index/undo")) == (409, "nothing_to_undo")


def test_one_takes_back_what_one_did_and_nobody_changed_since(served: PageServer) -> None:
    hum = f"/api/index/rows/{exemplar_id('hum/0.wav')}"
    ben = {**OWN, "x-earful-reviewer": "ben%20%C3%B6"}
    served.send("PATCH", hum, body={"labels": ["first"]})
    assert served.error(served.send("POST", "/api/index/undo", headers=ben))[0] == 409
    served.send(
        "PATCH",
        hum,
        headers={**ben, "content-type": "application/json"},
        body={"labels": ["second"]},
    )
    refused = served.send("POST", "/api/index/undo")
    assert served.error(refused) == (409, "changed_since")
    assert served.send("POST", "/api/index/undo", headers=ben).status_code == 200
    assert served.send("POST", "/api/index/undo").json()["row"]["labels"] == ["hum"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/index/rows", {"audio": {"source": "u-00"}, "labels": ["a"]}, 404),
        ("POST", "/api/index/rows", {"audio": {"source": "x-00"}, "labels": ["a"]}, 404),
        ("PATCH", "/api/index/rows/x-00", {"labels": ["a"]}, 404),
        ("PATCH", "/api/index/rows/HUM", {"labels": []}, 422),
        ("PATCH", "/api/index/rows/HUM", {"labels": ["a"], "not_labels": ["a"]}, 422),
        ("PATCH", "/api/index/rows/HUM", {"labels": ["\n"]}, 422),
        ("PATCH", "/api/index/rows/HUM", {"id": "other"}, 422),
        ("DELETE", "/api/index/rows/x-00", None, 404),
        ("DELETE", "/api/index/rows/hum%2F0.wav", None, 405),
        ("GET", "/api/index/rows/x-00", None, 404),
    ],
)
def test_what_does_not_fit_changes_nothing(
    server: PageServer, method: str, path: str, body: Any, status: int
) -> None:
    before = state_of(server)
    response = server.send(method, path.replace("HUM", exemplar_id("hum/0.wav")), body=body)
    assert response.status_code == status, response.text
    assert state_of(server) == before


def test_health_names_rows_that_can_be_played(server: PageServer) -> None:
    found = server.send("GET", "/api/index/health").json()
    assert {"findings", "labels"} <= set(found)
    for finding in found["findings"]:
        assert [exemplar_id(id) for id in finding["ids"]] == finding["sources"]
    assert server.send("GET", "/api/index/health").json() == found
