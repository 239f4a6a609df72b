import threading
import time

import pytest
import torch
from training.threads import use_threads

from earful.model.runtime import in_threads


def test_encoders_compute_in_no_more_threads_than_were_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    before = torch.get_num_threads()

    def thread_of(_: int) -> int:
        time.sleep(0.01)
        return threading.get_ident()

    try:
        use_threads(1)
        assert torch.get_num_threads() == 1
        assert set(in_threads(thread_of, 8)) == {threading.get_ident()}
        use_threads(2)
        assert len(set(in_threads(thread_of, 8))) == 2
    finally:
        torch.set_num_threads(before)
