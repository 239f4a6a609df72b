"""A page that is served by this process, with a night of beeps to review."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import earful
from earful.index import Index
from earful.index.builder import build_index
from earful.rag.review import ReviewSession
from earful.serve import ServerState, ServeSettings, create_app
from tests.support.small_corpus import Samples, write_corpus
from tests.support.tone_recordings import ToneSteps, every, record, write_table

NASTY = "<img src=x onerror=document.title='owned'>"
NIGHT, HOUR = "SITE7_20260503_043000.wav", "SITE8_20260503_210000.wav"
N_WRENS, N_NASTY = 20, 4


def make_night(folder: Path) -> None:
    """Write an index, and a scan of five minutes and of an hour, into a folder."""
    wrens, others = every(12, N_WRENS, "wren"), every(12, N_NASTY, "fox", first_s=10.0)
    record(folder / "night" / NIGHT, 300, wrens + others)
    record(folder / "night" / HOUR, 3600, every(900, 4, "wren", first_s=100.0), seed=1)
    (folder / "night" / "SITE9_20260504_000000.wav").write_bytes(b"RIFFnothing of the sort")
    rows = [(NIGHT, *beep) for beep in wrens[:5]]
    rows += [(NIGHT, start_s, end_s, NASTY) for start_s, end_s, _ in others[:2]]
    (folder / "calls.csv").write_text("")
    _write_examples(folder / "calls.csv", rows)
    before = Path.cwd()
    os.chdir(folder)
    try:
        earful.scan("night", examples="calls.csv", out="night.scan", embedder=ToneSteps())
    finally:
        os.chdir(before)
    build_index(write_corpus(folder / "sounds", 10), folder / "sounds.index", embedder=Samples())


def _write_examples(path: Path, rows: list[tuple[str, float, float, str]]) -> None:
    quoted = [(name, start_s, end_s, f'"{label}"') for name, start_s, end_s, label in rows]
    write_table(path, quoted)


def open_night(folder: Path, **settings: Any) -> ServerState:
    """Open what ``make_night`` wrote, for a reviewer ``ana``."""
    review = ReviewSession.open(scan=folder / "night.scan", embedder=ToneSteps())
    return ServerState(
        Index.open(folder / "sounds.index"),
        ServeSettings(port=0, reviewer="ana", **settings),
        reviews={review.name: review},
    )


@contextmanager
def served(state: ServerState) -> Iterator[str]:
    """Serve a page from a thread, and give its address, token and all."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            create_app(state, lambda: port),
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            until = time.monotonic() + 30
            while not server.started and time.monotonic() < until:
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}/?token={state.settings.token}"
        finally:
            state.changes.close()
            server.should_exit = True
            thread.join(30)
