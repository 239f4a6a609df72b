"""Limits on requests: slow ones hold up nobody, clients take turns, places are kept in use."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from earful.serve import ServeSettings
from earful.serve.security import Guards
from earful.serve.work import Turns
from tests.support.page_servers import (
    HOST,
    OWN,
    PORT,
    TOKEN,
    PageServer,
    call_until_gone,
    open_server,
)


@pytest.fixture
def small(index: Path) -> Iterator[PageServer]:
    """A server that works on two requests at once, and waits for none longer than a second."""
    server = open_server(index, max_at_once=2, request_s=1.0)
    yield server
    server.state.close()


def test_slow_bodies_hold_up_nobody(small: PageServer) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" "
            await asyncio.sleep(0.1)

    async def run() -> tuple[list[int], list[int], bool]:
        headers = {**OWN, "content-type": "application/json"}
        paths = ("/api/labels", "/api/index/rows", "/api/labels/resolve", "/api/search")
        late = [
            asyncio.ensure_future(small.ask("POST", path, headers=headers, content=slow()))
            for path in paths * 2
        ]
        await asyncio.sleep(0.1)
        quick = [(await small.ask("GET", "/api/jobs")).status_code for _ in range(4)]
        were_waiting = not any(one.done() for one in late)
        return quick, [(await one).status_code for one in late], were_waiting

    quick, late, were_waiting = asyncio.run(run())
    assert quick == [200] * 4
    assert were_waiting
    assert late == [408] * 8


class Held:
    """An application whose answers wait in threads until they are let go."""

    def __init__(self, max_at_once: int) -> None:
        self.begun: list[str] = []
        self.go = threading.Semaphore(0)
        self.n_running = self.most = 0
        settings = ServeSettings(token=TOKEN, port=PORT, max_at_once=max_at_once)
        self.guarded = Guards(self._answer, settings, lambda: PORT, set())

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        self.begun.append(scope["query_string"].decode())
        self.n_running += 1
        self.most = max(self.most, self.n_running)
        try:
            await asyncio.to_thread(self.go.acquire)
        finally:
            self.n_running -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask(self, client: str, name: str, gone: asyncio.Event) -> list[Any]:
        """Send a request, whose client goes away at some moment; return what was answered."""
        return await call_until_gone(
            self.guarded,
            "GET",
            "/api/status",
            gone=gone,
            headers={**OWN, "x-earful-client": client},
            query=name,
        )


def test_clients_take_turns_at_every_route() -> None:
    async def run() -> list[str]:
        held, stays = Held(max_at_once=1), asyncio.Event()
        names = [("busy", f"busy{n}") for n in range(5)] + [("calm", "calm0")]
        asked = [asyncio.ensure_future(held.ask(*name, stays)) for name in names]
        await asyncio.sleep(0.05)
        held.go.release(len(names))
        await asyncio.gather(*asked)
        return held.begun

    assert asyncio.run(run()) == ["busy0", "busy1", "calm0", "busy2", "busy3", "busy4"]


def test_who_goes_away_while_waiting_is_dropped_and_a_running_thread_keeps_its_place() -> None:
    async def run() -> tuple[list[str], int, list[list[Any]]]:
        held, gone, stays = Held(max_at_once=2), asyncio.Event(), asyncio.Event()
        asked = [asyncio.ensure_future(held.ask("a", f"gone{n}", gone)) for n in range(6)]
        await asyncio.sleep(0.05)
        gone.set()
        await asyncio.sleep(0.05)
        last = asyncio.ensure_future(held.ask("b", "stays", stays))
        await asyncio.sleep(0.05)
        before = list(held.begun)
        held.go.release(3)
        answers = await asyncio.gather(*asked, last)
        assert held.begun == [*before, "stays"]
        return before, held.most, answers

    before, most, answers = asyncio.run(run())
    assert before == ["gone0", "gone1"]
    assert most == 2
    assert [len(sent) for sent in answers] == [0] * 6 + [2]


def test_a_place_is_free_again_while_its_answer_is_read_slowly() -> None:
    async def run() -> list[str]:
        held, stays, read = Held(max_at_once=1), asyncio.Event(), asyncio.Event()
        held.go.release(2)
        whole = held.guarded

        async def slow_reader(scope: Any, receive: Any, send: Any) -> None:
            async def wait(message: Any) -> None:
                await send(message)
                if scope["query_string"] == b"slow":
                    await read.wait()

            await whole(scope, receive, wait)

        held.guarded = slow_reader  # type: ignore[assignment]
        slow = asyncio.ensure_future(held.ask("a", "slow", stays))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(held.ask("b", "next", stays), 5)
        assert not slow.done()
        read.set()
        await slow
        return held.begun

    assert asyncio.run(run()) == ["slow", "next"]


def test_places_are_given_back_once() -> None:
    async def run() -> None:
        turns = Turns(2)
        await turns.take("a")
        await turns.take("b")
        waits = [asyncio.ensure_future(turns.take(name)) for name in "ab"]
        await asyncio.sleep(0)
        assert (turns.n_taken, len(turns)) == (2, 2)
        waits[0].cancel()
        turns.give_back()
        await asyncio.gather(*waits, return_exceptions=True)
        assert (turns.n_taken, len(turns)) == (2, 0)
        turns.give_back()
        turns.give_back()
        assert turns.n_taken == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    "others",
    ['x={"a":1,"b":2}', "a[b]=1", "Expires=1", "no value", "=", "na\u00efve=1", 'q="2|1:0|10:1"'],
)
def test_cookies_of_other_servers_of_this_machine_lock_nobody_out(
    server: PageServer, others: str
) -> None:
    own = f"earful-{PORT}={TOKEN}"
    for cookies in (f"{others}; {own}", f"{own}; {others}", f"{others}; {own}; {others}"):
        headers = {"host": HOST, "cookie": cookies.encode("latin-1")}
        assert server.send("GET", "/api/status", headers=headers).status_code == 200  # type: ignore[arg-type]
    for cookies in (others, f"{others}; earful-{PORT}={TOKEN[:-1]}", f"x=earful-{PORT}={TOKEN}"):
        headers = {"host": HOST, "cookie": cookies.encode("latin-1")}
        assert server.send("GET", "/api/status", headers=headers).status_code == 401  # type: ignore[arg-type]
