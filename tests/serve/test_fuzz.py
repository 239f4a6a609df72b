"""Every route fuzzed from our own OpenAPI by schemathesis: no fault, nothing undeclared or private.

Needs an environment of its own, so it runs only when asked to:

    EARFUL_PARITY=1 pytest tests/serve/test_fuzz.py -s
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = "schemathesis==4.32.5"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(
    not os.environ.get("EARFUL_PARITY"), reason="set EARFUL_PARITY=1 to make its environment"
)
def test_no_request_finds_a_fault() -> None:
    uv = os.environ.get("UV", "uv")
    environment = ["--locked", "--inexact", "--extra", "all", "--group", "dev"]
    command = [uv, "run", "--project", str(ROOT), "--quiet", *environment, "--with", SCHEMATHESIS]
    ended = subprocess.run(
        [*command, "python", "-m", "tests.serve.fuzz_routes"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout
    # A request that reaches nothing finds nothing.
    assert "200: " in ended.stdout
