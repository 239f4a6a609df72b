"""A Ray of this machine for the tests of a module."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from earful.index.distributed.engines.ray_session import ray_session
from earful.system import n_processors

_ROOT = Path(__file__).resolve().parents[2]

MARKS = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(n_processors() < 2, reason="needs two CPUs"),
]


@contextmanager
def ray_cluster() -> Iterator[str]:
    """Start a Ray whose workers find what tests share; gives its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(_ROOT))
        patch.delenv("RAY_ADDRESS", raising=False)
        with ray_session("") as ray:
            yield ray.get_runtime_context().gcs_address
