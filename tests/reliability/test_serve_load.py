"""A page's server under load: many at once, who comes and goes, and kills while labelling."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from earful.index import Index
from earful.index.labels import Label, LabelJournal, journal_path
from tests.support.killed_jobs import Keep
from tests.support.page_servers import make_index, wav_bytes
from tests.support.served_page import make_night
from tests.support.served_process import INDEX, SCAN, ForkedServers, ServedProcess, served_apart

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(1800)]

N_AT_ONCE = 100
N_REQUESTS, N_FIRST = 10_000, 1_000
N_KILLS = 50
N_SLOW = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night that has been scanned, and an index of hums and whistles."""
    made = tmp_path_factory.mktemp("loaded")
    make_night(made)
    (made / INDEX).rename(made / "night.index")
    make_index(made)
    return made


@pytest.fixture
def server(folder: Path) -> Iterator[ServedProcess]:
    """A server of it, without labels."""
    journal_path(folder / SCAN).unlink(missing_ok=True)
    with served_apart(folder) as server:
        yield server


async def upload(client: httpx.AsyncClient, seconds: float = 1.0) -> str:
    """Send a hum, and return its id."""
    kind = {"content-type": "audio/wav"}
    sent = await client.put("/api/uploads/a.wav", content=wav_bytes(seconds=seconds), headers=kind)
    return str(sent.raise_for_status().json()["id"])


async def recordings(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    rows = (await client.get("/api/recordings")).raise_for_status().json()["recordings"]
    return [row for row in rows if row["source"]]


def of(name: str) -> dict[str, str]:
    """Headers of a page."""
    return {"x-earful-client": name}


def label_of(item: dict[str, Any], comment: str) -> dict[str, Any]:
    """What is posted of an item."""
    return {
        "scan": SCAN,
        "item": item["item"],
        "label": item["guess"] or "wren",
        "polarity": "positive",
        "comment": comment,
    }


def test_a_hundred_at_once_are_all_answered(
    server: ServedProcess, folder: Path, keep_figures: Keep
) -> None:
    async def ask() -> list[httpx.Response]:
        async with server.client() as client:
            source = await upload(client)
            played = await recordings(client)
            items = []
            for page in range(8):
                asked: dict[str, str | int] = {"scan": SCAN, "n": 3}
                found = await client.get("/api/queue", params=asked, headers=of(f"page {page}"))
                items += [(f"page {page}", one) for one in found.json()["items"]]
            assert len({one["item"] for _, one in items}) == len(items) >= 20
            calls = []
            for n in range(N_AT_ONCE):
                row, asker = played[n % len(played)], of(f"page {n % 8}")
                stretch: dict[str, float] = {"start_s": 2.0 * n, "end_s": 2.0 * n + 3}
                kind = n % 4
                if kind == 0:
                    body = {"audio": {"source": source}}
                    calls.append(client.post("/api/classify", json=body, headers=asker))
                elif kind == 3 and items:
                    whose, item = items.pop()
                    body = label_of(item, f"{n}")
                    calls.append(client.post("/api/labels", json=body, headers=of(whose)))
                else:
                    path = f"/api/{'audio' if kind == 1 else 'spectrogram'}/{row['source']}"
                    calls.append(client.get(path, params=stretch, headers=asker))
            return list(await asyncio.gather(*calls))

    answers = asyncio.run(ask())
    assert len(answers) == N_AT_ONCE
    assert {answer.status_code for answer in answers} == {200, 201}
    kept = [one for one in LabelJournal(journal_path(folder / SCAN)).read()]
    said = [answer.json()["label"] for answer in answers if answer.status_code == 201]
    assert {(one.seq, one.item) for one in kept if isinstance(one, Label)} == {
        (one["seq"], one["item"]) for one in said
    }
    keep_figures("serve-at-once", requests=N_AT_ONCE, labels=len(said))


def test_who_asks_once_does_not_wait_for_all_of_who_asks_fifty_times(
    server: ServedProcess, keep_figures: Keep
) -> None:
    async def waits(ask: Callable[[str, int], Awaitable[httpx.Response]]) -> int:
        """How many answers the busy page gets while the other one waits for its only one."""
        await ask("calm", 0)
        done: list[int] = []

        async def busy(n: int) -> None:
            (await ask("busy", n)).raise_for_status()
            done.append(n)

        asked = [asyncio.ensure_future(busy(n)) for n in range(1, 51)]
        while not done:
            await asyncio.sleep(0.001)
        before = len(done)
        (await ask("calm", 99)).raise_for_status()
        waited = len(done) - before
        await asyncio.gather(*asked)
        return waited

    async def run() -> tuple[int, int]:
        async with server.client() as client:
            source = await upload(client, seconds=60)
            (row, *_) = [row for row in await recordings(client) if row["duration_s"] > 600]

            async def classify(page: str, n: int) -> httpx.Response:
                body = {"audio": {"source": source, "start_s": n / 10}}
                return await client.post("/api/classify", json=body, headers=of(page))

            async def draw(page: str, n: int) -> httpx.Response:
                view = {"start_s": n, "end_s": n + 400, "width": 2000, "height": 512}
                path = f"/api/spectrogram/{row['source']}"
                return await client.get(path, params=view, headers=of(page))

            return await waits(classify), await waits(draw)

    questions, pictures = asyncio.run(run())
    print(f"\nwaited for {questions} questions and {pictures} pictures of another page")
    assert questions <= 8
    assert pictures <= 16  # eight are drawn at once
    keep_figures("serve-turns", asked=50, waited_questions=questions, waited_pictures=pictures)


def test_who_goes_away_gives_the_place_to_others(server: ServedProcess) -> None:
    async def run() -> tuple[float, float]:
        async with server.client() as client:
            source = await upload(client, seconds=60)

            async def classify(page: str, n: int) -> float:
                began = time.monotonic()
                body = {"audio": {"source": source, "start_s": n / 10}}
                answer = await client.post("/api/classify", json=body, headers=of(page))
                answer.raise_for_status()
                return time.monotonic() - began

            await classify("first", 0)
            alone = sorted([await classify("first", n) for n in range(1, 6)])[2]
            gone = [asyncio.ensure_future(classify(f"page {n}", n)) for n in range(50)]
            await asyncio.sleep(alone)
            for one in gone:
                one.cancel()
            await asyncio.gather(*gone, return_exceptions=True)
            return alone, await classify("stays", 7)

    alone, after = asyncio.run(run())
    # A queue of fifty would cost as many times as much.
    assert after < 15 * alone + 1


def test_memory_is_flat_over_ten_thousand_requests(
    server: ServedProcess, keep_figures: Keep
) -> None:
    draws = random.Random(5)
    # So few that what the server keeps of them is full after the first thousand.
    places = [draws.uniform(0, 290) for _ in range(30)]

    async def run() -> tuple[list[float], list[int]]:
        async with server.client() as client:
            source = await upload(client)
            played = [row["source"] for row in await recordings(client)]

            async def one(n: int) -> None:
                at, played_one = draws.choice(places), played[n % len(played)]
                stretch = {"start_s": round(at, 2), "end_s": round(at + 2, 2)}
                calls: list[tuple[str, dict[str, Any]]] = [
                    ("/api/status", {}),
                    ("/api/events", {"scan": SCAN, "limit": 20}),
                    (f"/api/audio/{played_one}", stretch),
                    (f"/api/spectrogram/{played_one}", {**stretch, "width": 200, "height": 64}),
                    ("/api/queue", {"scan": SCAN, "n": 2}),
                    ("/api/index/rows", {"limit": 5}),
                    ("/app.js", {}),
                    ("/api/audio/r-0000000000000000", {}),
                    ("/api/changes", {}),
                    ("/api/classify", {}),
                ]
                path, params = calls[n % 10]
                page = of(f"page {n % 7}")
                if path == "/api/classify":
                    body = {"audio": {"source": source}}
                    asked = client.post(path, json=body, headers=page)
                else:
                    asked = client.get(path, params=params, headers=page)
                # A stream lasts until the page goes; others are left by a page that moves on.
                wait_s = 0.05 if path == "/api/changes" else 0.004 if n % 13 == 0 else 60
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        answer = await asked
                        assert answer.status_code < 500, answer.text

            sizes, threads = [], []
            for begin in range(0, N_REQUESTS, 20):
                await asyncio.gather(*map(one, range(begin, begin + 20)))
                if (begin + 20) % N_FIRST == 0:
                    sizes.append(server.rss_mib())
                    threads.append(server.n_threads())
            return sizes, threads

    sizes, threads = asyncio.run(run())
    print(f"\nMiB after each {N_FIRST}: {[round(size, 1) for size in sizes]}; threads {threads}")
    assert sizes[-1] < 1.1 * sizes[0] + 8
    assert threads[-1] <= threads[0] + 16
    keep_figures(
        "serve-memory",
        requests=N_REQUESTS,
        first_mib=round(sizes[0]),
        last_mib=round(sizes[-1]),
    )


def test_fifty_labels_in_ten_seconds_are_all_kept(server: ServedProcess, folder: Path) -> None:
    async def run() -> list[dict[str, Any]]:
        async with server.client("page") as client:
            found = await client.get("/api/queue", params={"scan": SCAN, "n": 10})
            items = found.json()["items"]

            async def say(n: int) -> dict[str, Any]:
                await asyncio.sleep(n / 5)
                body = label_of(items[n % len(items)], f"{n}")
                answer = await client.post("/api/labels", json=body)
                return dict(answer.raise_for_status().json()["label"])

            return list(await asyncio.gather(*map(say, range(50))))

    said = asyncio.run(run())
    kept = LabelJournal(journal_path(folder / SCAN)).read()
    assert sorted(one["comment"] for one in said) == sorted(
        one.comment for one in kept if isinstance(one, Label)
    )
    assert [one.seq for one in kept] == list(range(1, 51))


def test_slow_bodies_are_given_up_and_hold_up_nobody(folder: Path, keep_figures: Keep) -> None:
    async def drip(port: int, token: str, path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        kind = "audio/wav" if "uploads" in path else "application/json"
        method = "PUT" if "uploads" in path else "POST"
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 1000\r\n"
        head += f"content-type: {kind}\r\nauthorization: Bearer {token}\r\n\r\n"
        writer.write(head.encode())
        reading = asyncio.ensure_future(reader.readline())
        while not reading.done():
            with suppress(ConnectionError):
                writer.write(b" ")
            await asyncio.wait({reading}, timeout=0.5)
        writer.close()
        return reading.result()

    async def run(server: ServedProcess) -> tuple[list[bytes], int]:
        port = int(server.base.rpartition(":")[2])
        paths = ("/api/labels", "/api/search", "/api/uploads/a.wav", "/api/index/undo")
        slow = [
            asyncio.ensure_future(drip(port, server.token, paths[n % len(paths)]))
            for n in range(N_SLOW)
        ]
        await asyncio.sleep(0.5)
        n_answered = 0
        async with server.client() as client:
            while not any(one.done() for one in slow):
                (await client.get("/api/status")).raise_for_status()
                n_answered += 1
        return await asyncio.gather(*slow), n_answered

    with served_apart(folder, request_s=5.0) as server:
        ended, n_answered = asyncio.run(run(server))
    assert {line.split()[1] for line in ended} == {b"408"}
    assert n_answered >= 20
    keep_figures("serve-slow", slow=N_SLOW, answered_meanwhile=n_answered)


def test_a_server_that_is_killed_keeps_every_acknowledged_label(
    folder: Path, keep_figures: Keep
) -> None:
    journal = journal_path(folder / SCAN)
    journal.unlink(missing_ok=True)
    moments, told, n_cut = random.Random(17), {}, 0
    items: list[dict[str, Any]] = []
    with ForkedServers(folder) as servers:
        for round_ in range(N_KILLS):
            server = servers.start()
            kill_at = time.monotonic() + moments.uniform(0.05, 1.0)
            headers = server.headers | of("page")
            with httpx.Client(base_url=server.base, headers=headers, timeout=30) as client:
                if not items:
                    items = client.get("/api/queue", params={"n": 10}).json()["items"]
                servers.kill_after(server, kill_at - time.monotonic())
                for n in range(100_000):
                    body = label_of(items[n % len(items)], f"{round_}-{n}")
                    try:
                        answer = client.post("/api/labels", json=body)
                    except httpx.HTTPError:
                        n_cut += 1
                        break
                    if answer.status_code == 429:
                        continue
                    assert answer.status_code == 201, answer.text
                    told[answer.json()["label"]["seq"]] = body["comment"]
            servers.wait()
            lines = {one.seq: one for one in LabelJournal(journal).read()}
            said = {seq: one.comment for seq, one in lines.items() if isinstance(one, Label)}
            lost = [seq for seq, comment in told.items() if said.get(seq) != comment]
            assert not lost
            assert sorted(lines) == list(range(1, len(lines) + 1))
            assert len(Index.open(folder / INDEX))
    assert n_cut == N_KILLS
    print(f"\n{len(told)} labels acknowledged, {len(lines)} kept, {N_KILLS} kills")
    keep_figures("kills-serve", trials=N_KILLS, killed=n_cut, labels_acknowledged=len(told))
