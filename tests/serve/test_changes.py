"""Changes: told to everybody, in order, from any thread, and kept for who was away."""

import asyncio
import threading

import pytest

from earful.serve import Changes
from earful.serve.faults import RequestError
from earful.serve.work import Listener, ServerEvent


async def take(listener: Listener, n: int) -> list[ServerEvent]:
    return [await asyncio.wait_for(anext(listener), 5) for _ in range(n)]


def test_everybody_is_told_from_any_thread_and_in_order() -> None:
    async def run() -> None:
        changes = Changes()
        listeners = [changes.listen(), changes.listen()]

        def publish() -> None:
            for n in range(50):
                changes.publish("label", {"n": n})

        thread = threading.Thread(target=publish)
        thread.start()
        for listener in listeners:
            found = await take(listener, 50)
            assert [event.data["n"] for event in found] == list(range(50))
            assert [event.number for event in found] == list(range(1, 51))
        thread.join()
        changes.close()
        assert [event async for event in listeners[0]] == []

    asyncio.run(run())


def test_who_was_away_gets_what_came_since() -> None:
    async def run() -> None:
        changes = Changes()
        for n in range(5):
            changes.publish("label", {"n": n})
        found = await take(changes.listen(after=3), 2)
        assert [event.data["n"] for event in found] == [3, 4]

    asyncio.run(run())


def test_there_is_room_again_when_somebody_leaves() -> None:
    async def run() -> None:
        changes = Changes(max_listeners=2)
        first, _second = changes.listen(), changes.listen()
        with pytest.raises(RequestError, match="2 pages listen") as refused:
            changes.listen()
        assert refused.value.status == 429
        first.close()
        third = changes.listen()
        del third  # never read, as a response whose client is gone
        changes.listen()

    asyncio.run(run())


def test_a_stream_ends_for_who_does_not_read() -> None:
    async def run() -> None:
        changes = Changes()
        listener = changes.listen()
        for n in range(1500):
            changes.publish("label", {"n": n})
            if n % 100 == 0:
                await asyncio.sleep(0)
        found = [event async for event in listener]
        assert 1000 <= len(found) < 1500

    asyncio.run(run())


def test_a_watcher_is_told_and_may_publish_itself() -> None:
    seen: list[str] = []
    changes = Changes()

    def watch(event: ServerEvent) -> None:
        seen.append(event.kind)
        if event.kind == "label":
            changes.publish("commit", {})

    changes.watch(watch)
    changes.publish("label", {})
    assert seen == ["label", "commit"]


def test_names_that_are_not_utf_8_are_escaped() -> None:
    sent = ServerEvent(kind="label", data={"name": "a\udcff\nb"}).encode()
    assert sent == b'event: label\ndata: {"name": "a\\udcff\\nb"}\n\n'


def test_what_comes_after_the_end_needs_no_loop() -> None:
    changes = Changes()

    async def listen() -> Listener:
        return changes.listen()

    listener = asyncio.run(listen())  # its loop has ended, and nobody said so
    changes.close()
    changes.publish("commit", {"n_rows": 1})
    listener.close()


def test_a_signal_may_end_streams_while_a_change_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = Changes()
    tell = changes._tell

    def interrupted(event: ServerEvent | None) -> None:
        if event is not None:
            changes.close()  # as a handler in the same thread does
        tell(event)

    monkeypatch.setattr(changes, "_tell", interrupted)
    changes.publish("label", {})
    assert changes._is_closed
