import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from earful.errors import IndexBusyError, IndexFolderError
from earful.index.storage.lock import LOCK_NAME, WriterLock
from tests.support.facilities import needs

HOLD = """
import sys
from pathlib import Path
from earful.index.storage.lock import WriterLock

with WriterLock(Path(sys.argv[1])).held():
    print("held", flush=True)
    sys.stdin.read()
"""
# A child forked under the lock lives on after its parent has let go.
FORK = """
import os, sys
from pathlib import Path
from earful.index.storage.lock import WriterLock

with WriterLock(Path(sys.argv[1])).held():
    if os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
print("released", flush=True)
os.wait()
"""


def started(script: str, folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() in {"held", "released"}
    return process


def test_a_second_process_is_told_who_writes_and_since_when(tmp_path: Path) -> None:
    with started(HOLD, tmp_path) as other:
        wanted = re.escape(f"is being written by process {other.pid} on {os.uname().nodename}")
        with (
            pytest.raises(IndexBusyError, match=wanted + r" since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
            WriterLock(tmp_path).held(),
        ):
            pass
        assert other.stdin is not None
        other.stdin.close()
        other.wait()
        with WriterLock(tmp_path).held() as was_free:
            assert was_free


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with started(HOLD, tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        with WriterLock(tmp_path).held() as was_free:
            assert was_free


@needs("fork")
def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    with started(FORK, tmp_path) as other, WriterLock(tmp_path).held() as was_free:
        assert was_free
        assert other.stdin is not None
        other.stdin.close()


def test_the_thread_that_holds_it_may_take_it_again(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path)
    with lock.held() as outer:
        with lock.held() as inner, pytest.raises(IndexBusyError), WriterLock(tmp_path).held():
            pass
        assert (outer, inner) == (True, False)
        # Leaving the inner block has not let go.
        with pytest.raises(IndexBusyError, match=f"process {os.getpid()} "):
            WriterLock(tmp_path).held().__enter__()
    with WriterLock(tmp_path).held() as was_free:
        assert was_free
    # And the same object locks anew.
    with lock.held() as was_free, pytest.raises(IndexBusyError), WriterLock(tmp_path).held():
        pass
    assert was_free


def test_another_thread_is_refused(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path)
    raised: list[BaseException] = []

    def take() -> None:
        try:
            with lock.held():
                pass
        except IndexBusyError as error:
            raised.append(error)

    with lock.held():
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert [str(error) for error in raised] == [
        f"{tmp_path}: is being written by another thread of this process; write from one thread"
    ]


@pytest.mark.parametrize("failing", ["inner", "outer"])
def test_an_error_lets_go(tmp_path: Path, failing: str) -> None:
    lock = WriterLock(tmp_path)

    def fail() -> None:
        with lock.held():
            if failing == "inner":
                with lock.held():
                    raise KeyError
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with WriterLock(tmp_path).held() as was_free:
        assert was_free


@needs("fcntl")
def test_a_lock_file_without_a_name_in_it(tmp_path: Path) -> None:
    with WriterLock(tmp_path).held():
        (tmp_path / LOCK_NAME).write_text("not JSON")
        with pytest.raises(IndexBusyError, match="is being written by another process;"):
            WriterLock(tmp_path).held().__enter__()


def test_a_folder_that_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(IndexFolderError, match="cannot be locked for writing") as raised:
        WriterLock(tmp_path / "missing").held().__enter__()
    assert not isinstance(raised.value, IndexBusyError)
