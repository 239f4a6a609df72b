"""What examples in docstrings find where they run: recordings, an index of them and a task."""

from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest_plugins = ["tests.support.fast_suite"]

RATE = 16_000
EXAMPLE = ">>> "
FILES = ("sounds", "street.wav", "urban.toml")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path,
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for examples only in files that have some.

    Pytest asks each name of a module whether it is a fixture: all that the doors load on first use,
    torch among it, for a file without any example.
    """
    found = yield
    if file_path.suffix == ".py" and EXAMPLE not in file_path.read_text(encoding="utf-8"):
        return [one for one in found if type(one).__name__ != "DoctestModule"]
    return found


def _write(path: Path, label: str, take: int) -> None:
    """Write half a second: a siren is a tone, rain is noise, a dog barks twice."""
    random = np.random.default_rng([take, len(label)])
    time_s = np.arange(RATE // 2) / RATE
    samples = random.normal(0, 0.01, time_s.size)
    if label == "siren":
        samples += 0.3 * np.sin(2 * np.pi * (900 + 5 * take + 200 * time_s) * time_s)
    else:
        samples += random.normal(0, 0.2, time_s.size)
    if label == "dog":
        samples *= np.abs(np.sin(2 * np.pi * 2 * time_s)) ** 8
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``sounds/``, ``sounds.index``, ``street.wav`` and ``urban.toml``."""
    import earful

    folder = tmp_path_factory.mktemp("examples")
    for label in ("dog", "rain", "siren"):
        for take in range(0, 10, 2):
            _write(folder / f"sounds/{label}/{take}.wav", label, take)
    _write(folder / "street.wav", "siren", 3)
    (folder / "urban.toml").write_text(
        'name = "urban"\nkind = "classify"\nquestion = "What is in the street?"\n'
        'labels = ["dog", "rain", "siren"]\n'
    )
    earful.build_index(folder / "sounds", folder / "sounds.index", embedder="logmel")
    return folder


@pytest.fixture(autouse=True)
def _examples_run_beside_recordings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        sources = [example.source for example in request.node.dtest.examples]
        if any(name in source for source in sources for name in FILES):
            monkeypatch.chdir(request.getfixturevalue("example_folder"))
