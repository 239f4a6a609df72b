"""Work shared out among threads: every input once, nothing left changed, errors come back."""

import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earful.model.parallel import in_parts


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@given(n=st.integers(0, 40), n_threads=st.integers(1, 6))
def test_every_input_is_worked_on_once_in_parts_of_nearly_one_size(n: int, n_threads: int) -> None:
    torch.set_num_threads(n_threads)
    parts: list[tuple[int, int]] = []
    in_parts(lambda first, stop: parts.append((first, stop)), n)
    parts.sort()
    assert [number for part in parts for number in range(*part)] == list(range(n))
    assert len(parts) == max(1, min(n, n_threads))
    sizes = [stop - first for first, stop in parts]
    assert max(sizes) - min(sizes) <= 1


def test_each_part_has_a_thread_of_its_own_and_its_share_of_torchs() -> None:
    torch.set_num_threads(4)
    seen: list[tuple[int, int, bool]] = []
    # Both must be there at the same time, or this waits in vain.
    together = threading.Barrier(2, timeout=20)

    def work(first: int, stop: int) -> None:
        together.wait()
        shares = torch.get_num_threads(), torch.is_inference_mode_enabled()
        seen.append((threading.get_ident(), *shares))

    in_parts(work, 2)
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
        in_parts(work, 3)
    assert sorted(done) == [0, 2]
    assert torch.get_num_threads() == 3


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

    callers = [threading.Thread(target=in_parts, args=(work, 4)) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert 1 <= most[0] <= 2
