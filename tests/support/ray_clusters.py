"""A Ray of this machine for the tests of a module, however busy the machine is."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from earful.index.distributed.engines.ray_session import ray_session

_ROOT = Path(__file__).resolve().parents[2]
_START_S = 240.0

MARKS = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs"),
]


@contextmanager
def patient_ray() -> Iterator[str]:
    """Start a Ray whose workers find what tests share; gives its address.

    Ray gives its raylet 30 s to start, which no option changes and a busy machine exceeds.
    """
    from ray._private import services

    get_node: Any = services.get_node

    def wait_for_node(*arguments: Any) -> Any:
        until = time.monotonic() + _START_S
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(_ROOT))
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setattr(services, "get_node", wait_for_node)
        with ray_session("") as ray:
            yield ray.get_runtime_context().gcs_address
