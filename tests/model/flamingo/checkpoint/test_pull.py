"""Fetching from a hub: a small one on this machine, with its wire format."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from earful.errors import LicenceError, ModelError, UnknownNameError
from earful.model.flamingo.checkpoint import pull, pull_flamingo
from earful.model.runtime.download import RemoteFile, download_file
from earful.testing import write_hub_checkpoint

COMMIT = "c" * 40
REPOSITORIES = {
    "nvidia/audio-flamingo": ("foundation.pt", "chat.pt"),
    "microsoft/msclap": ("clapcap_weights_2023.pth",),
    "facebook/opt-iml-max-1.3b": ("vocab.json", "merges.txt"),
}


class Hub:
    """What is served, and what was asked for."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files
        self.fetched: list[tuple[str, str | None]] = []
        self.lies_about = ""
        self.breaks_off_once = ""
        self.stalls_once = ""
        self.killed = threading.Event()

    def digest(self, path: str) -> str:
        content = self.files[path].read_bytes()
        return "0" * 64 if path == self.lies_about else hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("published")
    write_hub_checkpoint(folder, parts=1, n_layers=2)
    # The client keeps what it has every 10 MB: as much again, of the captioner's.
    path = folder / "clapcap_weights_2023.pth"
    loaded = torch.load(path, weights_only=True)
    loaded["model"]["gpt.wte.weight"] = torch.zeros(8_000_000)
    torch.save(loaded, path)
    return {
        f"/{repository}/resolve/main/{file}": folder / file
        for repository, files in REPOSITORIES.items()
        for file in files
        if (folder / file).exists()
    }


@pytest.fixture
def hub(published: dict[str, Path]) -> Iterator[tuple[Hub, str]]:
    served = Hub(published)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = self.path.replace(COMMIT, "main")
            if path not in served.files:
                self.send_error(404)
                return
            content = served.files[path].read_bytes()
            wanted = self.headers.get("Range")
            start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("ETag", f'"{served.digest(path)}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Linked-Etag", f'"{served.digest(path)}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content) - start))
            if wanted:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            if not with_body:
                return
            served.fetched.append((path.rpartition("/")[2], wanted))
            if path in (served.breaks_off_once, served.stalls_once):
                stalls = path == served.stalls_once
                # Before writing, which fails when the client is killed in the midst of it.
                served.breaks_off_once = served.stalls_once = ""
                self.wfile.write(content[start : start + len(content) // 2])
                if stalls:
                    served.killed.wait(120)
                return
            self.wfile.write(content[start:])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def command(*arguments: str, home: Path, hub: str = "") -> dict[str, Any]:
    environment = {
        **os.environ,
        "HF_HOME": str(home / "hf"),
        "EARFUL_HOME": str(home / "earful"),
        "HF_HUB_OFFLINE": "0" if hub else "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    if hub:
        environment["HF_ENDPOINT"] = hub
    return {"args": [sys.executable, "-m", "earful", "models", *arguments], "env": environment}


def earful(*arguments: str, home: Path, hub: str = "") -> subprocess.CompletedProcess[str]:
    told = command(*arguments, home=home, hub=hub)
    return subprocess.run(**told, capture_output=True, text=True, check=False)


PULL = ("pull", "audio-flamingo-foundation", "--accept-noncommercial", "--json")


@pytest.mark.slow
def test_a_checkpoint_is_fetched_once_checked_and_used_offline(
    hub: tuple[Hub, str], tmp_path: Path
) -> None:
    served, address = hub
    done = earful(*PULL, home=tmp_path, hub=address)
    assert done.returncode == 0, done.stderr
    assert "non-commercial research only" in done.stderr
    assert json.loads(done.stdout)["variant"] == "foundation"
    assert sorted(file for file, _ in served.fetched) == sorted(
        ["foundation.pt", "clapcap_weights_2023.pth", "vocab.json", "merges.txt"]
    )
    served.fetched.clear()
    again = earful(*PULL, home=tmp_path, hub=address)
    assert again.returncode == 0, again.stderr
    assert not served.fetched
    offline = earful("verify", "audio-flamingo-foundation", "--json", home=tmp_path)
    assert offline.returncode == 0, offline.stderr
    assert json.loads(offline.stdout)["problems"] == []


MSCLAP = "/microsoft/msclap/resolve/main/clapcap_weights_2023.pth"


@pytest.mark.slow
def test_a_lost_connection_is_taken_up_again(hub: tuple[Hub, str], tmp_path: Path) -> None:
    served, address = hub
    served.breaks_off_once = MSCLAP
    done = earful(*PULL, home=tmp_path, hub=address)
    if done.returncode:  # the client may leave trying again to the next run
        assert "Run the command again to go on" in done.stderr
        done = earful(*PULL, home=tmp_path, hub=address)
    assert done.returncode == 0, done.stderr
    tries = [wanted for file, wanted in served.fetched if file.endswith(".pth")]
    assert tries == [None, "bytes=10485760-"]


@pytest.mark.slow
def test_a_killed_download_is_taken_up_again(hub: tuple[Hub, str], tmp_path: Path) -> None:
    served, address = hub
    served.stalls_once = MSCLAP
    with subprocess.Popen(
        **command(*PULL, home=tmp_path, hub=address),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as first:
        while not any(x.stat().st_size >= 10485760 for x in tmp_path.rglob("*.partial")):
            assert first.poll() is None
            time.sleep(0.05)
        first.kill()
    served.killed.set()
    done = earful(*PULL, home=tmp_path, hub=address)
    assert done.returncode == 0, done.stderr
    assert "clapcap_weights_2023.pth, 0.0 GB, 0.0 GB are here" in done.stderr
    tries = [wanted for file, wanted in served.fetched if file.endswith(".pth")]
    assert tries == [None, "bytes=10485760-"]
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_a_file_that_is_not_what_the_hub_says_is_thrown_away(
    hub: tuple[Hub, str], tmp_path: Path
) -> None:
    served, address = hub
    served.lies_about = MSCLAP
    done = earful(*PULL, home=tmp_path, hub=address)
    assert done.returncode == 1
    assert "clapcap_weights_2023.pth: sha256" in done.stderr
    assert "was removed: run the command again" in done.stderr
    assert not (tmp_path / "earful" / "models" / "audio-flamingo-foundation").exists()
    served.lies_about = ""
    assert earful(*PULL, home=tmp_path, hub=address).returncode == 0


def test_nothing_is_fetched_before_the_licence_is_accepted() -> None:
    with pytest.raises(LicenceError, match="--accept-noncommercial"):
        pull_flamingo("audio-flamingo-chat", accept_licence=False)
    with pytest.raises(UnknownNameError, match="known: audio-flamingo-foundation"):
        pull_flamingo("audio-flamingo-2", accept_licence=True)


def test_without_a_hub_the_way_out_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be fetched from the hub.*earful models convert"):
        pull_flamingo("audio-flamingo-foundation", accept_licence=True, folder=tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_a_disk_that_fills_up_meanwhile_is_said_and_what_is_here_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(_url: str, file: BinaryIO, **_: object) -> None:
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("earful.model.runtime.download.hub_cache_folder", lambda: tmp_path)
    monkeypatch.setattr("huggingface_hub.file_download.http_get", fill_up)
    remote = RemoteFile(repository="a/b", file="c", n_bytes=20, commit=COMMIT, etag="e" * 64)
    with pytest.raises(ModelError, match=r"a/b/c: there is no room for it in .*HF_HOME"):
        download_file(remote, progress=lambda _: None)
    assert remote.partial.read_bytes() == b"half of it"


def test_room_is_looked_for_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def huge(repository: str, file: str) -> RemoteFile:
        return RemoteFile(
            repository=repository, file=file, n_bytes=10**18, commit=COMMIT, etag="0" * 64
        )

    monkeypatch.setattr(pull, "describe_remote_file", huge)
    wanted = r"4280000000.0 GB are needed, and .* are free; make room"
    with pytest.raises(ModelError, match=wanted):
        pull_flamingo("audio-flamingo-foundation", accept_licence=True, folder=tmp_path / "f")
