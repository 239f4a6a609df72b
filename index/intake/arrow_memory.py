"""Arrow's memory during a build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def system_memory_for_arrow() -> Iterator[None]:
    """Make Arrow allocate from the system during a build.

    Its own allocator keeps the memory of every commit, which over hundreds of commits is
    more than everything that a build has to remember.
    """
    import pyarrow as pa

    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)
