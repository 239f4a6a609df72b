"""Limits on a process that the system does not enforce, and what is said of a system."""

import subprocess
import sys
import time

import pytest

from earful.system import TOO_LONG_STATUS, TOO_MUCH_STATUS, describe_system, memory_bytes
from tests.portable.run import environment_without
from tests.support.facilities import needs

SPIN = "limit_cpu_time(0.2)\nwhile True: pass"
BLOAT = "limit_memory(100 << 20)\nkept = []\nwhile True: kept.append(bytearray(b'x' * (8 << 20)))"


@pytest.mark.parametrize(("script", "status"), [(SPIN, TOO_LONG_STATUS), (BLOAT, TOO_MUCH_STATUS)])
def test_a_watchdog_ends_a_process_that_takes_too_much(script: str, status: int) -> None:
    code = f"from earful.system import limit_cpu_time, limit_memory\n{script}"
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment_without("resource"), check=False
    )
    assert done.returncode == status
    assert time.monotonic() - began_s < 60


@needs("resource")
def test_memory_is_told_in_bytes() -> None:
    before = memory_bytes()
    kept = bytearray(b"x" * (64 << 20))
    after = memory_bytes()
    assert before is not None
    assert after is not None
    assert after >= before
    assert (1 << 20) < after < (1 << 40)
    del kept


def test_what_a_system_lacks_is_said() -> None:
    script = (
        "from earful.system import describe_system\n"
        "print(*sorted(each.name for each in describe_system() if each.lost), sep='\\n')"
    )
    found = {}
    for name in ("all", "affinity"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment_without(name),
            check=True,
            capture_output=True,
            text=True,
        )
        found[name] = done.stdout.splitlines()
    assert set(found["all"]) - set(found["affinity"]) >= {
        "file locks",
        "flushing to the disk",
        "memory of decoding",
        "processor time of decoding",
        "samples of decoding",
    }
    assert "processors" in found["affinity"]
    names = [each.name for each in describe_system()]
    assert len(set(names)) == len(names)
