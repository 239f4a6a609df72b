"""Commits in the background: soon, not too often, tried again, and at the end."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from earful.errors import IndexBusyError
from earful.serve import Changes
from earful.serve.work import Commits, ServerEvent


class Committed:
    """Stands for the commit: counts, and fails as often as it is told to."""

    def __init__(self, n_failures: int = 0) -> None:
        self.names: list[str] = []
        self.told: list[Mapping[str, Any]] = []
        self.n_failures = n_failures
        self.is_told = threading.Condition()

    def __call__(self, name: str) -> Mapping[str, Any]:
        self.names.append(name)
        if len(self.names) <= self.n_failures:
            raise IndexBusyError("sounds.index: another process is writing it")
        return {"n_rows": 1, "n_removed": 0, "text": "1 row added"}

    def see(self, event: ServerEvent) -> None:
        if event.kind == "commit":
            with self.is_told:
                self.told.append(event.data)
                self.is_told.notify_all()

    def wait(self, n: int) -> None:
        with self.is_told:
            assert self.is_told.wait_for(lambda: len(self.told) >= n, 10)


Make = Callable[..., tuple[Committed, Changes, Commits]]


@pytest.fixture
def make() -> Make:
    def made(n_failures: int = 0, **options: Any) -> tuple[Committed, Changes, Commits]:
        changes, committed = Changes(), Committed(n_failures)
        changes.watch(committed.see)
        return committed, changes, Commits(committed, changes, **options)

    return made


def test_the_twentieth_label_commits_and_no_other_before(make: Make) -> None:
    committed, changes, commits = make(quiet_s=60)
    for _ in range(19):
        changes.publish("label", {"scan": "night.scan"})
    time.sleep(0.05)
    assert committed.names == []
    assert commits.n_waiting == 19
    changes.publish("undo", {"scan": "night.scan"})
    committed.wait(1)
    assert committed.told[0] == {
        "scan": "night.scan", "ok": True, "n_rows": 1, "n_removed": 0, "text": "1 row added"
    }  # fmt: skip
    assert commits.n_waiting == 0
    commits.close()
    assert committed.names == ["night.scan"]


def test_a_pause_commits_too(make: Make) -> None:
    committed, changes, commits = make(quiet_s=0.05)
    changes.publish("label", {"scan": "a"})
    changes.publish("label", {"scan": "b"})
    committed.wait(2)
    assert sorted(committed.names) == ["a", "b"]
    commits.close()


def test_what_waits_is_committed_on_leaving(make: Make) -> None:
    committed, changes, commits = make(quiet_s=60)
    changes.publish("label", {"scan": "a"})
    changes.publish("refit", {"scan": "c"})
    commits.close()
    assert committed.names == ["a"]
    changes.publish("label", {"scan": "a"})
    assert committed.names == ["a"]


def test_what_fails_is_told_and_tried_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earful.serve.work.commits._RETRIES_S", (0.05,))
    committed, changes, commits = make(n_failures=2, quiet_s=0.01)
    changes.publish("label", {"scan": "a"})
    committed.wait(3)
    assert [told["ok"] for told in committed.told] == [False, False, True]
    first = committed.told[0]
    assert first["text"].startswith("labels are kept, and not yet in the index: sounds.index")
    assert first["retry_s"] == 0.05
    commits.close()


def test_what_an_earlier_run_left_out_is_asked_for(make: Make) -> None:
    committed, _, commits = make(quiet_s=0.01)
    commits.request(["a"])
    committed.wait(1)
    commits.close()
    assert committed.names == ["a"]
