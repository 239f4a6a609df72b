"""What stands on the system most, without the facilities that others lack; the rest: run.py."""

import os
from pathlib import Path

import pytest

from tests.portable.run import environment_without, facilities, main, run_without

CORE = [
    "tests/test_files.py",
    "tests/system",
    "tests/index/storage/test_lock.py",
    "tests/index/labels/test_journal.py",
    "tests/index/builder/test_build.py",
    "tests/model/audio/test_sandbox.py",
    "tests/model/audio/test_stream.py",
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["fcntl", "resource", "all"])
def test_the_core_works_without_a_facility(name: str) -> None:
    # Within each other, runs of this very test would never end.
    status, last = run_without(name, ["-n", "0", "-p", "no:cacheprovider", *CORE])
    assert (status, "passed" in last) == (0, True), last


def test_what_is_taken_away_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert tuple(capsys.readouterr().out.split()) == facilities()
    assert {"fcntl", "resource", "memfd", "fork", "all"} <= set(facilities())
    environment = environment_without("all")
    assert set(environment["EARFUL_WITHOUT"].split(",")) == set(facilities()) - {"all"}
    assert (Path(environment["PYTHONPATH"].split(os.pathsep)[0]) / "sitecustomize.py").is_file()
