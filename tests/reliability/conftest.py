"""What every trial shares: where the figures of ``docs/reliability.md`` are kept."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def keep_figures() -> Callable[..., None]:
    """Keep a trial's counts for ``docs/reliability.md``, when ``./dev trials`` asks for them.

    Called last, as ``keep_figures("kills-build", trials=60, survived=60)``: what has failed
    leaves no figures.
    """

    def keep(name: str, **counts: float | str) -> None:
        folder = os.environ.get("EARFUL_FIGURES")
        if folder:
            text = json.dumps(counts, indent=2, sort_keys=True)
            Path(folder, f"{name}.json").write_text(text + "\n", encoding="utf-8")

    return keep
