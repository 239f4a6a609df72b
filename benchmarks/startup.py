"""How long commands take from a cold start, beside the imports that others begin with.

Whole processes take turns: `earful --help`, `earful classify` on the demo's index, and plain
imports. Where the time of `classify` goes is read off ``-X importtime``.

    ./dev bench startup

writes ``benchmarks/results/startup.json``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.turns import in_turns, keep, machine, spread, times

ROOT = Path(__file__).resolve().parent.parent
SOUNDS = ROOT / "notebooks" / "demo" / "sounds"
QUERY = ROOT / "notebooks" / "demo" / "unseen" / "queries" / "door" / "doors-fencegate-close.flac"


def main() -> None:
    """Build the demo's index, let commands take turns, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    earful = [sys.executable, "-m", "earful"]
    with tempfile.TemporaryDirectory() as scratch:
        index = f"{scratch}/sounds.index"
        subprocess.run([*earful, "index", "build", str(SOUNDS), "--index", index], check=True)
        classify = ["classify", str(QUERY), "--index", index, "--labels", "dog,rain,siren"]
        commands = {
            "earful --help": [*earful, "--help"],
            "import torch, transformers, lancedb": python("import torch, transformers, lancedb"),
            "earful classify, 266 rows": [*earful, *classify],
            "import torch": python("import torch"),
        }
        seconds = in_turns(
            {name: partial(run, command) for name, command in commands.items()},
            n_rounds=arguments.rounds,
        )
        imports = import_seconds([*earful[1:], *classify])
    rows = {name: {"ms": spread(some, digits=1)} for name, some in seconds.items()}
    help_s, naive_s = (seconds[name] for name in list(commands)[:2])
    report: dict[str, Any] = {
        "machine": machine(),
        "rounds": arguments.rounds,
        "commands": rows,
        "imports_over_help": times(help_s, naive_s),
        "classify_imports_s": imports,
    }
    print(f"{'':<38}{'min':>9}{'median':>9}{'max':>9}  ms")
    for name, row in rows.items():
        print(f"{name:<38}" + "".join(f"{row['ms'][key]:>9.0f}" for key in row["ms"]))
    print(f"imports over help: {report['imports_over_help']}")
    print(f"of classify, seconds of imports: {imports}")
    keep("startup", report)


def python(code: str) -> list[str]:
    """Return the command that runs a line of Python."""
    return [sys.executable, "-c", code]


def run(command: list[str]) -> None:
    """Run a command to its end."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def import_seconds(arguments: list[str]) -> dict[str, float]:
    """Return what the largest packages' imports took, each with all that it imports first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = {}
    for line in done.stderr.splitlines():
        if match := re.fullmatch(r"import time:\s+\d+ \|\s+(\d+) \| +(\S+)", line):
            package = match[2]
            if package in ("numpy", "onnxruntime", "pyarrow", "typer"):
                found[package] = round(int(match[1]) / 1e6, 3)
    return found


if __name__ == "__main__":
    main()
