"""Locks between objects, threads and processes; with the system's locks, and without any."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from earful.system import FileLock, lock_marker
from tests.support.facilities import needs

HOLD = """
import sys
from pathlib import Path
{before}
from earful.system import FileLock

lock = FileLock(Path(sys.argv[1]), named=True)
assert lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""
NO_LOCKS = "import filelock; filelock.has_fcntl = False"


@pytest.fixture(params=["system", "existence"])
def before(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Code that a process runs first: as it is, or as where the system has no locks."""
    if request.param == "system":
        return ""
    monkeypatch.setattr(filelock, "has_fcntl", False)
    return NO_LOCKS


@pytest.fixture
def other(before: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock."""
    words = [sys.executable, "-c", HOLD.format(before=before), str(tmp_path / "lock")]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_ends_with_a_killed_process_and_names_it_before(
    other: subprocess.Popen[str], tmp_path: Path
) -> None:
    lock = FileLock(tmp_path / "lock")
    assert not lock.acquire()
    assert not lock.is_free()
    assert lock.holder().startswith(f"process {other.pid} on ")
    other.kill()
    other.wait()
    assert lock.acquire(wait=True)
    lock.release()


@pytest.mark.parametrize("keep", [False, True])
def test_a_lock_leaves_its_file_only_where_told(tmp_path: Path, before: str, keep: bool) -> None:
    path = tmp_path / "lock"
    with FileLock(path, keep=keep) as lock:
        assert lock.is_held
        assert path.exists() or lock_marker(path).exists()
    assert not lock.is_held
    assert path.exists() == keep
    assert not lock_marker(path).exists()
    lock.release()  # again: nothing happens


def test_another_thread_waits_for_its_turn(tmp_path: Path, before: str) -> None:
    order: list[str] = []

    def second() -> None:
        with FileLock(tmp_path / "lock"):
            order.append("second")

    with FileLock(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(timeout=0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_many_threads_hold_it_one_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with FileLock(tmp_path / "lock"):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "no" / "lock").acquire()
    assert FileLock(tmp_path / "no" / "lock").is_free()
    assert not list(tmp_path.iterdir())


@needs("fork")
def test_a_forked_child_neither_holds_it_nor_lets_it_go(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock") as lock:
        child = os.fork()
        if not child:
            held = lock.is_held
            lock.release()
            os._exit(int(held))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not FileLock(tmp_path / "lock").acquire()


class Locks(RuleBasedStateMachine):
    """Three objects at one file, beside a model: at most one holds it, and only who took it."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "lock"
        self.locks = [FileLock(path), FileLock(path), FileLock(path, keep=True)]
        self.holder: int | None = None

    def teardown(self) -> None:
        for lock in self.locks:
            lock.release()
        self.folder.cleanup()

    @rule(which=st.integers(0, 2))
    def acquire(self, which: int) -> None:
        got = self.locks[which].acquire()
        assert got == (self.holder is None)
        if got:
            self.holder = which

    @rule(which=st.integers(0, 2))
    def release(self, which: int) -> None:
        self.locks[which].release()
        if self.holder == which:
            self.holder = None

    @invariant()
    def one_holds_it(self) -> None:
        assert [n for n, lock in enumerate(self.locks) if lock.is_held] == (
            [] if self.holder is None else [self.holder]
        )


TestLocks = Locks.TestCase
TestLocks.settings = settings(
    max_examples=15,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
