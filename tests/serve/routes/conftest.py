"""A server of a small index and one scan of two recordings, copied for each test."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

import earful
from earful.index import Index
from earful.index.corpus import Exemplar
from earful.index.storage import Row
from earful.rag.review import ReviewSession, ReviewSettings
from earful.serve import ServerState, ServeSettings, create_app
from tests.support.serve_client import InProcess
from tests.support.tone_recordings import ToneSteps, every, record, write_track

TOKEN = "t" * 32
SCAN = "night.scan"
WRENS = every(6, 8, "wren")


@pytest.fixture(autouse=True)
def _decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index, two recordings and a scan of them, made once."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv("EARFUL_DECODE", "here")
        first = record(Path("night/SITE7_20260503_043000.wav"), 60, WRENS)
        record(Path("night/SITE8_20260503_210000.wav"), 60, every(20, 2, "wren"), seed=1)
        write_track(Path("SITE7_20260503_043000.txt"), WRENS[:5])
        earful.scan("night", embedder=ToneSteps(), examples="SITE7_20260503_043000.txt", out=SCAN)
        index = Index.create(folder / "sounds.index", ToneSteps.fingerprint)
        index.add(
            [
                _row(folder, first.name, "wren/1", 5.0, ("wren",)),
                _row(folder, first.name, "new/1", 11.0, ()),
            ]
        )
    return folder


def _row(folder: Path, audio: str, id: str, start_s: float, labels: tuple[str, ...]) -> Row:
    return Row(
        exemplar=Exemplar(
            id=id,
            audio=PurePosixPath(audio),
            labels=labels,
            start_s=start_s,
            end_s=start_s + 1,
        ),
        root=(folder / "night").resolve(),
        duration_s=1.0,
        file_sha256="ab" * 32,
        content_sha256=f"{round(start_s):02}" * 32,
        vector=np.eye(16, dtype=np.float32)[round(start_s)],
    )


@pytest.fixture
def folder(_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them, where the test runs."""
    shutil.copytree(_made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


OpenServer = Callable[..., InProcess]


@pytest.fixture
def open_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenServer]:
    """Start a server of the copy."""
    clients: list[InProcess] = []

    def start(**settings: Any) -> InProcess:
        # Nothing goes into the index.
        monkeypatch.setattr("earful.serve.work.commits.Commits._see", lambda self, event: None)
        clients.append(_open(folder, **settings))
        return clients[-1]

    yield start
    for client in clients:
        client.state.close()


@pytest.fixture
def server(open_server: OpenServer) -> InProcess:
    return open_server()


@pytest.fixture(scope="session")
def shared(_made: Path) -> Iterator[InProcess]:
    """A server that is only read, for all tests."""
    client = _open(_made)
    yield client
    client.state.close()


def _open(folder: Path, **settings: Any) -> InProcess:
    review = ReviewSession.open(
        folder / SCAN,
        settings=ReviewSettings(fit_in_background=False, refit_after=3),
        embedder=ToneSteps(),
    )
    state = ServerState(
        Index.open(folder / "sounds.index"),
        ServeSettings(token=TOKEN, reviewer="ana", **settings),
        reviews={SCAN: review},
    )
    return InProcess(create_app(state), state, **{"x-earful-client": "page-1"})


def ids(server: InProcess) -> list[str]:
    """Return the sources of the two recordings."""
    found = server.get("/api/recordings").json()["recordings"]
    return [row["source"] for row in found]
