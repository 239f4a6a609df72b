"""Stores that ignore conditions, fail, or answer late; and no secret in anything that is left."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from earful.errors import IndexFolderError, StoreError
from earful.index import Index
from earful.index.remote import forget_probes
from earful.model import Fingerprint
from earful.object_stores import set_storage_options
from tests.index.conftest import MakeRow
from tests.index.remote.conftest import Machine
from tests.support.object_servers import SECRET, BadServer, bad_server

# A store that fails is tried again, later and later.
pytestmark = pytest.mark.slow

ADDRESS = "s3://sounds/birds.index"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> Iterator[BadServer]:
    with bad_server() as stub:
        for name, value in stub.environment().items():
            monkeypatch.setenv(name, value)
        forget_probes()
        yield stub
    forget_probes()
    set_storage_options({})


def test_a_store_without_conditional_writes_is_refused_before_the_first_write(
    server: BadServer, fingerprint: Fingerprint
) -> None:
    server.keeps_conditions = False
    with pytest.raises(StoreError, match="If-None-Match is ignored"):
        Index.create(ADDRESS, fingerprint)
    assert server.objects == {}


def test_busy_answers_are_tried_again(
    server: BadServer, fingerprint: Fingerprint, make_row: MakeRow
) -> None:
    server.n_busy = 3
    Index.create(ADDRESS, fingerprint).add([make_row("a")])
    server.n_busy = 2
    assert len(Index.open(ADDRESS)) == 1


def test_writes_of_which_only_the_answer_was_lost_count(
    server: BadServer, fingerprint: Fingerprint, make_row: MakeRow
) -> None:
    index = Index.create(ADDRESS, fingerprint)
    for n in range(1, 4):
        server.n_lost = n
        index.add([make_row(str(n))])
    assert len(Index.open(ADDRESS)) == 3


def test_slow_answers_are_waited_for(
    server: BadServer, fingerprint: Fingerprint, make_row: MakeRow
) -> None:
    index = Index.create(ADDRESS, fingerprint)
    server.delay_s = 0.1
    index.add([make_row("a")])
    server.delay_s = 0.0
    assert len(Index.open(ADDRESS)) == 1


def test_a_store_that_is_gone_is_one_line_with_the_way_on(
    server: BadServer, fingerprint: Fingerprint, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Index.create(ADDRESS, fingerprint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    set_storage_options({"max_retries": "0"})
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        Index.open(ADDRESS)
    said = str(caught.value)
    assert "can be read without the store: --index" in said
    assert "\n" not in said
    assert SECRET not in said
    copy = said.rpartition("--index ")[2]
    assert len(Index.open(copy)) == 0
    machine("there")
    with pytest.raises(StoreError) as other:
        Index.open(ADDRESS)
    assert "without the store" not in str(other.value)


def test_a_damaged_object_is_named_and_nothing_of_it_is_used(
    server: BadServer, fingerprint: Fingerprint, make_row: MakeRow, machine: Machine
) -> None:
    Index.create(ADDRESS, fingerprint).add([make_row("a")])
    largest = max(
        (n for n in server.objects if "objects/" in n), key=lambda n: len(server.objects[n])
    )
    whole = server.objects[largest]
    server.objects[largest] = bytes([whole[0] ^ 1]) + whole[1:]
    machine("there")
    with pytest.raises(StoreError, match="is damaged") as caught:
        Index.open(ADDRESS)
    assert largest in str(caught.value)
    server.objects[largest] = whole[:-1]
    with pytest.raises(StoreError):
        Index.open(ADDRESS)
    server.objects[largest] = whole
    assert len(Index.open(ADDRESS)) == 1


def test_an_index_that_was_removed_is_told_with_its_copy(
    server: BadServer, fingerprint: Fingerprint
) -> None:
    Index.create(ADDRESS, fingerprint)
    server.objects.clear()
    with pytest.raises(IndexFolderError, match="holds no index any more"):
        Index.open(ADDRESS)


def test_no_secret_is_left_anywhere(
    server: BadServer,
    fingerprint: Fingerprint,
    make_row: MakeRow,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    index = Index.create(ADDRESS, fingerprint)
    index.add([make_row("a")])
    set_storage_options({"max_retries": "0"})
    server.n_busy = 1000
    with pytest.raises(StoreError) as caught:
        index.add([make_row("b")])
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    stored = b"".join(server.objects.values())
    said = f"{caught.value}{caught.value!r}{caplog.text}{index!r}"
    assert SECRET.encode() not in kept + stored + said.encode()
    assert b"a" in kept  # something was looked at
