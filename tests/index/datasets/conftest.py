"""Trees of published datasets, each made once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.dataset_layouts import LAYOUTS


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a dataset's tree."""
    made: dict[str, Path] = {}

    def lay_out(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            LAYOUTS[name](made[name])
        return made[name]

    return lay_out
