"""Task files and recordings for the tests of tasks."""

import wave
from pathlib import Path

from earful.rag.task import check_task


def write_wave(path: Path) -> Path:
    """Write a tenth of a second of silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    return path


def write_task(folder: Path, text: str, name: str = "mine.toml") -> Path:
    """Write a task file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(path: Path) -> list[str]:
    """Every problem as "line: what"."""
    found = [str(problem) for problem in check_task(path)]
    assert all(text.startswith(f"{path}:") for text in found)
    return [text.removeprefix(f"{path}:") for text in found]
