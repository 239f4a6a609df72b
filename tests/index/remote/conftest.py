"""A store in memory, and machines: each with a cache of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from earful.index.remote import forget_probes

pytest.importorskip("obstore")

Machine = Callable[[str], None]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The one store that every address leads to."""
    from obstore.store import MemoryStore

    store = MemoryStore()
    monkeypatch.setattr("earful.object_stores.store.open_client", lambda location: store)
    forget_probes()
    yield store
    forget_probes()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Go over to another machine: from now on its cache is used."""

    def go(name: str) -> None:
        monkeypatch.setenv("EARFUL_CACHE", str(tmp_path / f"cache-{name}"))

    go("here")
    return go
