"""What the package tells others of its use: nothing."""

import os
import subprocess
import sys

import pytest

_ASK = """
import {first}
import earful
import earful.model.hub
from huggingface_hub import constants
print(constants.HF_HUB_DISABLE_TELEMETRY)
"""


def in_a_child(code: str, **environment: str) -> list[str]:
    """Run code in an interpreter of its own, without what the tests set; return its lines."""
    ours = ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "DISABLE_TELEMETRY")
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    child = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.splitlines()


def test_the_hubs_client_reports_nothing() -> None:
    assert in_a_child(_ASK.format(first="sys")) == ["True"]


@pytest.mark.parametrize("name", ["HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"])
def test_who_has_decided_about_telemetry_is_left_alone(name: str) -> None:
    (found,) = in_a_child(f"import os, earful; print(os.environ['{name}'])", **{name: "0"})
    assert found == "0"
