"""Settings every test runs under."""

import gc
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.facilities import lacking

# Machines are shared: how long an example takes says nothing. CI draws the same examples
# every time, everybody else new ones.
for name, derandomize in (("new examples", False), ("same examples", True)):
    settings.register_profile(
        name,
        deadline=None,
        derandomize=derandomize,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("same examples" if os.environ.get("CI") else "new examples")

# Of a property that asks for no number of its own, in place of Hypothesis' hundred.
_EXAMPLES_OF_FAST_SUITE = 20

# No test may reach a hub, whatever the machine it runs on can reach.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    """Draw fewer examples in the fast suite, and wait for no disk; the whole one does both."""
    if "not slow" not in config.getoption("markexpr"):
        return
    pytest.MonkeyPatch().setattr(os, "fsync", _check_descriptor)
    if not config.getoption("hypothesis_profile", None):
        settings.register_profile("fast suite", settings(), max_examples=_EXAMPLES_OF_FAST_SUITE)
        settings.load_profile("fast suite")


def _check_descriptor(descriptor: int) -> None:
    """Take the place of ``os.fsync``: fail where nothing is open."""
    os.fstat(descriptor)


def pytest_collection_finish() -> None:
    """Leave what imports made out of every later search for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def goldens() -> Path:
    """Folder with what the release of Audio Flamingo v1 computes; any set of that form."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "goldens" / "audio_flamingo_v1"
    folder = Path(os.environ.get("EARFUL_GOLDENS", beside))
    if not folder.is_dir():
        pytest.skip(f"no goldens in {folder}; set EARFUL_GOLDENS")
    return folder


@pytest.fixture
def earful_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process; gives exit code, standard output and error."""
    from earful import cli

    def call(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["earful", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return call


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not _has_cuda():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, Any, Any]:
    """Skip a test that asks for what this system lacks."""
    return (yield from _skipping())


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, Any, Any]:
    """Skip a test whose fixture asks for what this system lacks."""
    return (yield from _skipping())


def _skipping() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except Exception as error:
        if what := lacking(error):
            pytest.skip(f"the system lacks {what}")
        raise
