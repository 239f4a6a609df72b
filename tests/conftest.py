"""Settings every test runs under."""

import os

import pytest
from hypothesis import HealthCheck, settings

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


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not _has_cuda():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
