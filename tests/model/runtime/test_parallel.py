"""Work shared out among threads: every input once, nothing left changed, errors come back."""

import threading
from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earful.model.runtime import in_parts


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@given(n=st.integers(0, 60), n_threads=st.integers(1, 6), at_most=st.integers(1, 9))
def test_every_input_is_worked_on_once_in_parts_of_nearly_one_size(
    n: int, n_threads: int, at_most: int
) -> None:
    torch.set_num_threads(n_threads)
    parts: list[tuple[int, int]] = []
    in_parts(lambda first, stop: parts.append((first, stop)), n, at_most=at_most)
    parts.sort()
    assert [number for part in parts for number in range(*part)] == list(range(n))
    sizes = [stop - first for first, stop in parts]
    assert all(0 < size <= at_most for size in sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1
    # Two threads, or four, have something to do as often as each other.
    assert len(parts) >= min(n, 4)
    assert len(parts) == n or len(parts) % 4 == 0
    # Products of other sizes may round otherwise.
    torch.set_num_threads(1)
    alone: list[tuple[int, int]] = []
    in_parts(lambda first, stop: alone.append((first, stop)), n, at_most=at_most)
    assert parts == alone


def test_each_part_has_a_thread_of_its_own_and_its_share_of_torchs() -> None:
    torch.set_num_threads(4)
    seen: list[tuple[int, int, bool]] = []
    # Both must be there at the same time, or this waits in vain.
    together = threading.Barrier(2, timeout=20)

    def work(first: int, stop: int) -> None:
        together.wait()
        shares = torch.get_num_threads(), torch.is_inference_mode_enabled()
        seen.append((threading.get_ident(), *shares))

    in_parts(work, 2, at_most=8)
    assert len({thread for thread, _, _ in seen}) == 2
    assert [share for _, *share in seen] == [[2, True]] * 2
    assert torch.get_num_threads() == 4


def test_what_a_part_raises_comes_back_after_the_others_have_ended() -> None:
    torch.set_num_threads(3)
    done: list[int] = []

    def work(first: int, stop: int) -> None:
        if first == 1:
            raise ValueError("input 1 is broken")
        done.append(first)

    with pytest.raises(ValueError, match="input 1 is broken"):
        in_parts(work, 3, at_most=8)
    assert sorted(done) == [0, 2]
    assert torch.get_num_threads() == 3


def test_a_thread_that_is_held_up_leaves_its_share_to_the_others() -> None:
    torch.set_num_threads(2)
    shares: Counter[int] = Counter()
    others_done = threading.Event()

    def work(first: int, stop: int) -> None:
        shares[threading.get_ident()] += stop - first
        if first == 0:
            assert others_done.wait(timeout=20)
        elif sum(shares.values()) == 8:
            others_done.set()

    in_parts(work, 8, at_most=1)
    assert sorted(shares.values()) == [1, 7]


def test_callers_take_turns() -> None:
    torch.set_num_threads(2)
    at_work, most = [0], [0]
    lock = threading.Lock()

    def work(first: int, stop: int) -> None:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        torch.randn(200, 200) @ torch.randn(200, 200)
        with lock:
            at_work[0] -= 1

    callers = [
        threading.Thread(target=in_parts, args=(work, 4), kwargs={"at_most": 1}) for _ in range(6)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert 1 <= most[0] <= 2
