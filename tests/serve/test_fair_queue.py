"""Heavy calls: one at a time, in turn between clients, and none that is lost."""

import asyncio
import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.serve import FairQueue
from earful.serve.work import QueueFullError


def order_of(calls: list[str], n_before: int = 1) -> list[str]:
    """The order in which calls of some clients run that all come while one is running."""
    ran: list[str] = []

    async def run() -> None:
        queue = FairQueue()
        hold = threading.Event()
        first = asyncio.ensure_future(queue.run(hold.wait, client="first"))
        await asyncio.sleep(0)
        others = [
            asyncio.ensure_future(queue.run(ran.append, f"{client}{n}", client=client))
            for n, client in enumerate(calls)
        ]
        await asyncio.sleep(0)
        assert len(queue) == len(calls)
        hold.set()
        await asyncio.gather(first, *others)
        assert not queue.is_busy
        queue.close()

    asyncio.run(run())
    return ran


def test_clients_take_turns() -> None:
    # a asks three things, then b and c one each: they do not wait for all of a's.
    assert order_of(["a", "a", "a", "b", "c"]) == ["a0", "b3", "c4", "a1", "a2"]


@settings(max_examples=25)
@given(st.lists(st.sampled_from("abcd"), max_size=14))
def test_no_client_has_two_turns_while_another_waits(calls: list[str]) -> None:
    ran = order_of(calls)
    assert Counter(ran) == Counter(f"{client}{n}" for n, client in enumerate(calls))
    for client in set(calls):
        own = [int(call[1:]) for call in ran if call[0] == client]
        assert own == sorted(own)
    # An oracle: rounds, in each the next call of every client that has one left.
    left = {client: [f"{c}{n}" for n, c in enumerate(calls) if c == client] for client in calls}
    expected = []
    while any(left.values()):
        expected += [own.pop(0) for own in left.values() if own]
    assert ran == expected


def test_only_one_call_runs_and_none_of_a_hundred_is_lost() -> None:
    running, most = 0, 0

    def work(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.0005)
        running -= 1
        return n

    async def run() -> list[int]:
        queue = FairQueue()
        calls = (queue.run(work, n, client=f"client {n % 7}") for n in range(100))
        return list(await asyncio.gather(*calls))

    assert asyncio.run(run()) == list(range(100))
    assert most == 1


def test_who_goes_away_is_dropped_and_what_runs_goes_on() -> None:
    ran: list[str] = []

    async def run() -> None:
        queue = FairQueue()
        hold = threading.Event()

        def long() -> None:
            hold.wait()
            ran.append("long")

        first = asyncio.ensure_future(queue.run(long, client="a"))
        await asyncio.sleep(0)
        gone = asyncio.ensure_future(queue.run(ran.append, "gone", client="b"))
        stays = asyncio.ensure_future(queue.run(ran.append, "stays", client="b"))
        await asyncio.sleep(0)
        gone.cancel()
        first.cancel()
        await asyncio.gather(first, gone, return_exceptions=True)
        assert queue.is_busy  # its thread cannot be stopped, and nothing runs beside it
        assert ran == []
        hold.set()
        await stays

    asyncio.run(run())
    assert ran == ["long", "stays"]


def test_an_error_ends_no_queue() -> None:
    async def run() -> str:
        queue = FairQueue()

        def fail() -> None:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await queue.run(fail)
        return await queue.run(lambda: "next")

    assert asyncio.run(run()) == "next"


def test_beyond_its_length_calls_are_refused() -> None:
    async def run() -> None:
        queue = FairQueue(max_waiting=1)
        hold = threading.Event()
        calls = [asyncio.ensure_future(queue.run(hold.wait, client=str(n))) for n in range(3)]
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFullError, match="1 questions wait"):
            calls[2].result()
        hold.set()
        await asyncio.gather(*calls[:2])

    asyncio.run(run())
