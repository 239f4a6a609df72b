"""A corpus of twelve recordings, for the tests of builds."""

from pathlib import Path

import pytest

from tests.support.levels import write_level


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Twelve recordings in three label folders, each with its own level."""
    folder = tmp_path / "sounds"
    for number in range(12):
        write_level(folder / "abc"[number % 3] / f"{number:02}.wav", 0.05 + number / 20)
    return folder
