"""The server as a process: what it prints, opens, costs, and how it ends."""

import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.errors import ServeError
from earful.serve.server import listen
from tests.support.page_servers import TOKEN
from tests.support.served_process import serving

Command = Callable[..., tuple[int, str, str]]


def sockets_of(pid: int) -> list[tuple[str, str]]:
    """Every TCP and UDP socket of a process: its state, and its local address in hex."""
    inodes = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(each)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes:
                found.append((f"{table} {fields[3]}", fields[1]))
    return found


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def get(address: str, token: str) -> bytes:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return bytes(response.read())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_listens_on_one_socket_reports_to_nobody_and_ends_cleanly(
    index: Path, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    words = ("--index", str(index), "--token-file", str(token_file), "--reviewer", "ana")
    # Whoever would report needs an address first; FastAPI takes one from here.
    env = {
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_TRACES_EXPORTER": "otlp",
    }
    with serving(*words, env=env) as (process, address):
        spent_s = cpu_s(process.pid)
        assert spent_s < 3, "starting takes too long"
        base, _, token = address.partition("/?token=")
        assert token == token_file.read_text().strip()
        assert token_file.stat().st_mode & 0o077 == 0
        port = int(base.rpartition(":")[2])
        get(f"{base}/api/status", token)
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(
            f"GET /api/changes HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        assert b"200" in stream.recv(4096)
        found = sockets_of(process.pid)
        local = f"0100007F:{port:04X}"
        assert ("tcp 0A", local) in found  # it listens
        assert {address for _, address in found} == {local}, "a socket of its own leads away"
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert "onnxruntime" not in maps, "the encoder is loaded on first use"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert out.splitlines()[-1] == "nothing was labelled"
        assert "266" not in out
        assert TOKEN not in err
        assert token not in err
        stream.close()


def test_a_port_that_is_taken_names_the_way_out(index: Path, earful_command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"port {port} of .* --port 0"):
            listen("127.0.0.1", port)
        code, _, err = earful_command("serve", "--index", index, "--port", port, "--no-open")
        assert (code, "--port 0" in err) == (1, True)


def test_a_port_that_was_just_in_use_can_be_taken() -> None:
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    accepted, _ = first.accept()
    accepted.close()
    first.close()
    client.close()
    time.sleep(0.01)
    listen("127.0.0.1", port).close()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--host", "0.0.0.0"), 1, "--allow-network"),
        (("--host", "192.0.2.1", "--allow-network"), 1, "expected an address of this machine"),
        (("--reviewer", "a\nb"), 1, "reviewer"),
        (("--scan", "nowhere.scan"), 1, "nowhere.scan"),
        (("--recordings", "nowhere"), 1, "expected a folder of recordings"),
        (("--task", "nope"), 2, "unknown task"),
        (("--max-upload-mib", "0"), 1, "max_upload_mib"),
        (("--port", "70000"), 2, "--port"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    index: Path, earful_command: Command, words: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = earful_command("serve", "--index", index, "--no-open", *words)
    assert (found, out) == (code, "")
    assert said in err


def test_without_the_extra_it_says_how_to_get_it(
    index: Path, earful_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    found, out, err = earful_command("serve", "--index", index, "--no-open")
    assert (found, out) == (1, "")
    assert "pip install 'earful[serve]'" in err


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("short", 0o600, "22 or more"),
        ("t" * 30, 0o644, "chmod 600"),
        ("a b" * 20, 0o600, "letters"),
    ],
)
def test_a_token_file_is_for_its_owner(tmp_path: Path, text: str, mode: int, said: str) -> None:
    from earful.serve import read_token

    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ServeError, match=said):
        read_token(path)
    path.unlink()
    assert read_token(path) == read_token(path)
