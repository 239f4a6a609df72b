"""The lease: taken, renewed, lost, given back, and taken over when it has run out."""

import json
import time
from typing import Any

import pytest

from earful.errors import IndexBusyError
from earful.index.remote import Lease
from earful.object_stores import ObjectStore, parse_location


@pytest.fixture
def store(memory: Any) -> ObjectStore:
    return ObjectStore(parse_location("s3://sounds/birds.index"))


def content(store: ObjectStore) -> dict[str, Any]:
    found = store.read(".lock", max_bytes=4096)
    assert found is not None
    values: dict[str, Any] = json.loads(found[0])
    return values


def test_one_has_it_at_a_time(store: ObjectStore) -> None:
    first, second = Lease(store, "here"), Lease(store, "there")
    first.take()
    with pytest.raises(IndexBusyError, match="is being written by process"):
        second.take()
    first.give_back()
    second.take()
    second.give_back()
    assert content(store)["free"] is True


def test_it_is_renewed_while_it_is_held(store: ObjectStore) -> None:
    lease = Lease(store, "here", lease_s=0.2)
    lease.take()
    before = content(store)["nonce"]
    time.sleep(0.4)
    assert content(store)["nonce"] != before
    lease.require_held()
    lease.give_back()


def test_whoever_loses_it_is_told(store: ObjectStore) -> None:
    lease = Lease(store, "here", lease_s=0.2)
    lease.take()
    store.upload(".lock", b"{}")
    time.sleep(0.3)
    with pytest.raises(IndexBusyError, match="another writer has taken it"):
        lease.require_held()
    lease.give_back()
    assert content(store) == {}  # nothing of the other one is written over


@pytest.mark.parametrize(
    "left",
    [
        {"free": False, "expires": "2026-01-01T00:00:00+00:00", "mirror": "elsewhere"},
        {"free": False, "expires": "soon"},
        {},
    ],
)
def test_one_that_ran_out_is_taken_over(store: ObjectStore, left: dict[str, Any]) -> None:
    store.upload(".lock", json.dumps(left).encode())
    lease = Lease(store, "here")
    lease.take()
    assert content(store)["mirror"] == "here"
    lease.give_back()


def test_its_own_copy_takes_up_what_a_kill_left(store: ObjectStore) -> None:
    killed = Lease(store, "here")
    killed.take()
    again = Lease(store, "here")
    again.take()
    again.give_back()
    killed.give_back()


def test_a_holder_with_odd_texts_is_printed_harmlessly(store: ObjectStore) -> None:
    odd = {"free": False, "expires": "2999-01-01T00:00:00+00:00", "host": "\x1b[2Jx" + "y" * 500}
    store.upload(".lock", json.dumps(odd).encode())
    with pytest.raises(IndexBusyError) as caught:
        Lease(store, "here").take()
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_an_error_of_any_kind_is_told_to_the_holder(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease(store, "here", lease_s=0.2)
    lease.take()

    def fail(self: ObjectStore, name: str, data: bytes, *, etag: str) -> str | None:
        raise MemoryError("no room for a request")

    with monkeypatch.context() as broken:
        broken.setattr(ObjectStore, "replace", fail)
        time.sleep(0.1)
        lease.require_held()  # until it has run out, it is tried again
        time.sleep(0.4)
    with pytest.raises(IndexBusyError, match="no room for a request"):
        lease.require_held()
    lease.give_back()


def test_a_lease_that_nothing_renews_is_lost(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lease, "_renew_until_ended", lambda self: None)  # as after os.fork()
    lease = Lease(store, "here")
    lease.take()
    time.sleep(0.1)
    with pytest.raises(IndexBusyError, match="nothing renews it any more"):
        lease.require_held()
    lease.give_back()
