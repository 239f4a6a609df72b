"""The fast suite without each facility that other systems lack: ``./dev portable [NAME ...]``.

Each run takes one facility away, in the tests' process and in all that they start (``hook/``); the
last takes all at once. ``NAME`` is a facility, or ``all``; paths of tests and options go to pytest.
Ends with what passed, what was skipped for a facility, and what failed.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FAST = ("-m", "not slow and not trial")


def facilities() -> tuple[str, ...]:
    """Return what can be taken away, each alone and all at once."""
    from tests.portable.hook.sitecustomize import FACILITIES

    return (*sorted(FACILITIES), "all")


def environment_without(name: str) -> dict[str, str]:
    """Return the environment of a process that lacks a facility."""
    names = ",".join(facilities()[:-1]) if name == "all" else name
    path = os.pathsep.join(filter(None, [str(HERE / "hook"), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "EARFUL_WITHOUT": names, "PYTHONPATH": path}


def run_without(name: str, arguments: list[str]) -> tuple[int, str]:
    """Run tests without a facility; return pytest's status and its last line."""
    last = ""
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", *FAST, *arguments],
        cwd=ROOT,
        env=environment_without(name),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            last = line.strip() or last
    return process.returncode, last


def main(words: list[str]) -> int:
    """Run what a command line asks for."""
    if "--list" in words:
        print("\n".join(facilities()))
        return 0
    names = [word for word in words if word in facilities()] or list(facilities())
    arguments = [word for word in words if word not in facilities()]
    if not any(Path(word.partition("::")[0]).exists() for word in arguments):
        arguments = ["-n", "auto", "--maxprocesses", "4", "--dist", "worksteal", *arguments]
    found = {}
    for name in names:
        print(f"--- without {name}", flush=True)
        found[name] = run_without(name, arguments)
    print("\n--- without each")
    for name, (status, last) in found.items():
        print(f"{name:<12} {'passed' if status == 0 else 'FAILED'}: {last}")
    return int(any(status for status, _ in found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
