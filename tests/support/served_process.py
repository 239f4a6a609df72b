"""A page's server in a process of its own, as ``earful serve`` runs it, to be asked and killed."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

_ROOT = Path(__file__).resolve().parents[2]
INDEX, SCAN = "sounds.index", "night.scan"


@dataclass(frozen=True)
class ServedProcess:
    """A server, its address and its token."""

    process: subprocess.Popen[str]
    base: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers that every request needs."""
        return {"authorization": f"Bearer {self.token}"}

    def client(self, page: str = "") -> httpx.AsyncClient:
        """Return a client that waits as long as it takes."""
        headers = self.headers | ({"x-earful-client": page} if page else {})
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncClient(base_url=self.base, headers=headers, timeout=120, limits=limits)

    def rss_mib(self) -> float:
        """Return its resident memory."""
        return _status(self.process.pid, "VmRSS") / 1024

    def n_threads(self) -> int:
        """Return the number of its threads."""
        return _status(self.process.pid, "Threads")


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


@dataclass(frozen=True)
class ForkedServer:
    """A server that is a fork, its address and its token."""

    pid: int
    base: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers that every request needs."""
        return {"authorization": f"Bearer {self.token}"}


@contextmanager
def served_apart(folder: Path, **settings: Any) -> Iterator[ServedProcess]:
    """Serve what ``make_index`` and ``make_night`` wrote from a process; end it in the end."""
    chosen = [f"{name}={value!r}" for name, value in settings.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.served_process", str(folder), *chosen],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    try:
        assert process.stdout is not None
        yield ServedProcess(process, *_parts(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate(timeout=30)


@contextmanager
def serving(
    *words: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command itself; gives the process and the address that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "earful", "serve", "--port", "0", "--no-open", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            assert process.stderr is not None
            raise AssertionError(f"no address: {line}{process.stderr.read()}")
        yield process, found.group()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def _environment() -> dict[str, str]:
    own = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT)}
    return {**os.environ, **own}


def _parts(address: str) -> tuple[str, str]:
    """Return the base of an address, and the token in it."""
    found = urlsplit(address.strip())
    assert found.query, "the server has not started"
    return f"http://{found.netloc}", found.query.removeprefix("token=")


class ForkedServers:
    """Servers of one folder, each a fork of a process that has imported everything.

    Args:
        folder: As of ``served_apart``.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.served_process", str(folder), "--fork"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
            start_new_session=True,  # so that it can be ended with its forks
        )

    def __enter__(self) -> ForkedServers:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate(timeout=60)

    def start(self) -> ForkedServer:
        """Start the next server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        pid, address = self._process.stdout.readline().split()
        base, token = _parts(address)
        return ForkedServer(int(pid), base, token)

    def kill_after(self, server: ForkedServer, seconds: float) -> None:
        """Kill a server some time from now."""
        threading.Timer(max(0.0, seconds), os.kill, (server.pid, signal.SIGKILL)).start()

    def wait(self) -> None:
        """Wait until the last server has ended."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ended\n"


def serve_forks(folder: Path) -> None:
    """For each line that comes, serve a folder from a fork, and say when it has ended."""
    import lancedb  # noqa: F401 - so that no fork has to import it
    import uvicorn  # noqa: F401

    import earful.rag.review.session
    import earful.serve.app  # noqa: F401

    warnings.filterwarnings("ignore", message="lancedb fork support")
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            main(folder, before=f"{os.getpid()} ", labels_per_s=1000.0)
            os._exit(0)
        os.waitpid(pid, 0)
        print("ended", flush=True)


def main(folder: Path, before: str = "", **settings: Any) -> None:
    """Serve a folder, and print the address."""
    from earful.index import Index
    from earful.rag.review import ReviewSession
    from earful.serve import ServerState, ServeSettings, serve
    from tests.support.tone_recordings import ToneSteps

    os.chdir(folder)
    review = ReviewSession.open(scan=SCAN, embedder=ToneSteps())
    chosen = ServeSettings(**{"port": 0, "reviewer": "ana", **settings})
    state = ServerState(Index.open(INDEX), chosen, reviews={review.name: review})
    serve(state, on_ready=lambda address: print(f"{before}{address}", flush=True))


if __name__ == "__main__":
    if "--fork" in sys.argv:
        serve_forks(Path(sys.argv[1]))
    else:
        pairs = (given.split("=", 1) for given in sys.argv[2:])
        main(Path(sys.argv[1]), **{name: ast.literal_eval(value) for name, value in pairs})
