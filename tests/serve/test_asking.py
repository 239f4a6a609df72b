"""Questions over HTTP: the answers of the commands, with a source for all that can be played."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

import earful
from earful.model import ScriptedLanguageModel
from earful.serve import exemplar_id
from tests.support.page_servers import (
    HOST,
    OWN,
    PageServer,
    call_until_gone,
    events_of,
    open_server,
    wav_bytes,
)


@pytest.fixture(scope="module")
def hum(server: PageServer) -> str:
    """The id of an upload that hums."""
    return str(server.upload(wav_bytes(134.0, seed=9), "query.wav").json()["source"])


def test_classify_answers_as_the_library_does(server: PageServer, hum: str) -> None:
    found = server.send("POST", "/api/classify", body={"audio": {"source": hum}}).json()
    path = server.state.sources.find(hum).path
    expected: Any = earful.FewShot.open(server.state.index_path).classify(path).to_dict()
    assert (found["text"], found["scores"]) == (expected["text"], expected["scores"])
    assert [hit["id"] for hit in found["evidence"]] == [hit["id"] for hit in expected["evidence"]]
    assert found["audio"] == "query.wav"
    for hit in found["evidence"]:
        source = server.state.sources.find(hit["source"])
        assert source.path.is_file()
        assert hit["audio"] == source.name
        assert hit["source"] == exemplar_id(hit["id"])
    assert str(path.parent) not in json.dumps(found)


def test_labels_and_tasks_say_what_is_asked(server: PageServer, hum: str) -> None:
    body = {"audio": {"source": hum}, "labels": ["whistle", "hum"]}
    found = server.send("POST", "/api/classify", body=body).json()
    assert {score["label"] for score in found["scores"]} == {"hum", "whistle"}
    body = {"audio": {"source": hum}, "task": "../../etc/passwd.toml"}
    assert server.error(server.send("POST", "/api/classify", body=body)) == (422, "task")


def test_built_in_tasks_are_listed_with_their_kinds(server: PageServer) -> None:
    found = {one["name"]: one for one in server.send("GET", "/api/tasks").json()["tasks"]}
    assert found["describe"]["kind"] == "caption"
    assert {one["kind"] for one in found.values()} <= {"classify", "multilabel", "ask", "caption"}


def test_a_stretch_of_an_exemplar_is_asked_about(server: PageServer) -> None:
    source = exemplar_id("whistle/1.wav")
    body = {"audio": {"source": source, "start_s": 0.1, "end_s": 0.7}}
    found = server.send("POST", "/api/classify", body=body).json()
    assert (found["text"], found["start_s"], found["end_s"]) == ("whistle", 0.1, 0.7)


def test_search_finds_by_sound_in_pages(server: PageServer, hum: str) -> None:
    body: dict[str, Any] = {"audio": {"source": hum}, "k": 3}
    first = server.send("POST", "/api/search", body=body).json()
    second = server.send("POST", "/api/search", body={**body, "page": 1}).json()
    last = server.send("POST", "/api/search", body={**body, "page": 2}).json()
    ids = [hit["id"] for page in (first, second, last) for hit in page["evidence"]]
    assert len(ids) == len(set(ids)) == 8
    assert (first["more"], second["more"], last["more"]) == (True, True, False)
    assert [hit["labels"] for hit in first["evidence"]] == [["hum"]] * 3


def test_more_like_this_leaves_itself_out(server: PageServer) -> None:
    body = {"audio": {"source": exemplar_id("hum/1.wav")}, "k": 10}
    found = server.send("POST", "/api/search", body=body).json()["evidence"]
    assert "hum/1.wav" not in [hit["id"] for hit in found]
    assert len(found) == 7


def test_filters_narrow_what_is_found(server: PageServer, hum: str) -> None:
    body: dict[str, Any] = {"audio": {"source": hum}, "k": 10}
    for more in ({"label": ["whistle"]}, {"where": "array_has(labels, 'whistle') -- only"}):
        found = server.send("POST", "/api/search", body={**body, **more}).json()["evidence"]
        assert [hit["labels"] for hit in found] == [["whistle"]] * 4
    injected = {"group": ["x') OR (1 = 1"]}
    assert server.send("POST", "/api/search", body={**body, **injected}).json()["evidence"] == []
    wrong = server.send("POST", "/api/search", body={**body, "where": "nothing = 1"})
    assert server.error(wrong) == (422, "filter")
    assert wrong.json()["error"]["field"] == "where"


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 422, "invalid", "audio"),
        ({"audio": {"source": "x-0123"}}, 404, "unknown_source", "source"),
        ({"audio": {"source": "/etc/passwd"}}, 404, "unknown_source", "source"),
        ({"audio": {"source": "u-0"}}, 404, "unknown_source", "source"),
        ({"audio": {"source": "HUM", "start_s": 9}}, 422, "invalid", "audio.start_s"),
        ({"audio": {"source": "HUM", "start_s": 1, "end_s": 0.5}}, 422, "invalid", "audio"),
        ({"audio": {"source": "HUM", "start_s": -1}}, 422, "invalid", "audio.start_s"),
        ({"audio": {"source": "HUM"}, "labels": ["a" * 201]}, 422, "invalid", "labels.0"),
        ({"audio": {"source": "HUM"}, "labels": ["ok", "  "]}, 422, "invalid", "labels.1"),
        ({"audio": {"source": "HUM"}, "labels": ["a\u0007b"]}, 422, "invalid", "labels.0"),
        ({"audio": {"source": "HUM"}, "labels": ["x"] * 501}, 422, "invalid", "labels"),
        ({"audio": {"source": "HUM"}, "unknown": 1}, 422, "invalid", "unknown"),
        ({"audio": {"source": "HUM"}, "shots": -1}, 422, "invalid", "shots"),
        ({"audio": {"source": "HUM"}, "strategy": "best"}, 422, None, None),
    ],
)
def test_a_mistake_is_told_with_its_field(
    server: PageServer, hum: str, body: dict[str, Any], status: int, code: str, field: str
) -> None:
    sent = json.loads(json.dumps(body).replace("HUM", hum))
    response = server.send("POST", "/api/classify", body=sent)
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["message"]
    if code is not None:
        assert (error["code"], error["field"]) == (code, field)


def test_broken_json_is_told(server: PageServer) -> None:
    headers = {**OWN, "content-type": "application/json"}
    response = server.send("POST", "/api/classify", headers=headers, content=b"{nope")
    assert server.error(response) == (422, "invalid")


def test_a_recording_that_is_gone_is_told(index: Path, tmp_path: Path) -> None:
    server = open_server(index)
    try:
        source = server.upload(wav_bytes(seconds=0.3)).json()["source"]
        server.state.uploads.find(source).source.path.unlink()
        response = server.send("POST", "/api/classify", body={"audio": {"source": source}})
        assert server.error(response) == (410, "gone")
    finally:
        server.state.close()


def test_an_answer_is_streamed(server: PageServer, hum: str) -> None:
    body = {"audio": {"source": hum}}
    headers = {**OWN, "content-type": "application/json", "accept": "text/event-stream"}
    response = server.send("POST", "/api/classify", headers=headers, content=json.dumps(body))
    assert response.headers["content-type"].startswith("text/event-stream")
    (kind, data), *_ = reversed(events_of(response))
    assert (kind, data["text"]) == ("answer", "hum")
    # There is no language model: the sentence of the library comes as an event.
    response = server.send("POST", "/api/ask", headers=headers, content=json.dumps(body))
    ((kind, data),) = events_of(response)
    assert (kind, data["error"]["code"]) == ("error", "model")


def test_a_model_s_words_are_streamed_as_they_come(index: Path) -> None:
    server = open_server(index)
    try:
        few = server.state.few_shot()
        few.model = ScriptedLanguageModel(replies=["a low hum"])
        source = server.upload(wav_bytes(134.0)).json()["source"]
        headers = {**OWN, "content-type": "application/json", "accept": "text/event-stream"}
        body = {"audio": {"source": source}, "question": "What is it?", "free_text": True}
        response = server.send("POST", "/api/ask", headers=headers, content=json.dumps(body))
        found = events_of(response)
        assert [kind for kind, _ in found][-1] == "answer"
        assert "".join(data["text"] for kind, data in found if kind == "text") == "a low hum"
        assert found[-1][1]["text"] == "a low hum"
    finally:
        server.state.close()


@pytest.mark.slow
def test_a_hundred_questions_at_once_lose_none(server: PageServer, hum: str) -> None:
    async def run() -> list[int]:
        body = {"audio": {"source": hum}, "k": 1}
        asked = (
            server.ask(
                "POST",
                "/api/search",
                headers={**OWN, "content-type": "application/json", "x-earful-client": f"p{n % 5}"},
                content=json.dumps(body),
            )
            for n in range(100)
        )
        return [response.status_code for response in await asyncio.gather(*asked)]

    assert asyncio.run(run()) == [200] * 100


def test_who_goes_away_leaves_the_queue(server: PageServer, hum: str) -> None:
    """A client that hangs up while it waits is dropped, and the next one has its turn."""

    async def run() -> None:
        hold = threading.Event()
        first = asyncio.ensure_future(server.state.work.run(hold.wait, client="first"))
        gone = asyncio.Event()
        body = json.dumps({"audio": {"source": hum}}).encode()
        asking = asyncio.ensure_future(
            call_until_gone(
                server.app,
                "POST",
                "/api/classify",
                gone=gone,
                headers={**OWN, "content-type": "application/json"},
                body=body,
            )
        )
        while not len(server.state.work):
            await asyncio.sleep(0.005)
        gone.set()
        sent = await asyncio.wait_for(asking, 10)
        assert len(server.state.work) == 0
        assert sent == []
        hold.set()
        await first

    asyncio.run(run())
    assert HOST in OWN["host"]


def test_what_another_process_wrote_is_found(index: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(index.parent, folder)
    server = open_server(folder / "sounds.index")
    try:
        assert server.send("GET", "/api/status").json()["index"]["n"] == 8
        source = server.upload(wav_bytes(134.0)).json()["source"]
        body = {"audio": {"source": source}, "k": 20}
        assert len(server.send("POST", "/api/search", body=body).json()["evidence"]) == 8
        earful.Index.open(folder / "sounds.index").remove(["hum/1.wav"])
        assert len(server.send("POST", "/api/search", body=body).json()["evidence"]) == 7
        assert server.send("GET", "/api/status").json()["index"]["n"] == 7
        gone = server.send(
            "POST", "/api/classify", body={"audio": {"source": exemplar_id("hum/1.wav")}}
        )
        assert server.error(gone) == (404, "unknown_source")
    finally:
        server.state.close()
