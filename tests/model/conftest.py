"""A watch on the disk."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def watch_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """From the call on, list what is flushed and renamed, as ``sync NAME`` and ``rename NAME``."""

    def watch() -> list[str]:
        events: list[str] = []
        fsync, replace = os.fsync, os.replace

        def note_sync(descriptor: int) -> None:
            events.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
            fsync(descriptor)

        def note_rename(source: Path, target: Path) -> None:
            events.append(f"rename {target.name}")
            replace(source, target)

        monkeypatch.setattr(os, "fsync", note_sync)
        monkeypatch.setattr(os, "replace", note_rename)
        return events

    return watch
