"""Settings every test runs under."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Test folders are no packages: what tests share is found by its folder.
sys.path.insert(0, str(Path(__file__).parent))

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

# No test may reach a hub, whatever the machine it runs on can reach.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(scope="session")
def goldens() -> Path:
    """Folder with what the release of Audio Flamingo v1 computes; any set of that form."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "goldens" / "audio_flamingo_v1"
    folder = Path(os.environ.get("EARFUL_GOLDENS", beside))
    if not folder.is_dir():
        pytest.skip(f"no goldens in {folder}; set EARFUL_GOLDENS")
    return folder


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not _has_cuda():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
