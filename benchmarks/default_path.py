"""What a plain install costs and how long its answers take, beside the same of another checkout.

Each checkout has an environment of its own, with no extras, made by uv from its own lock file.
Whole processes take turns, so that a busy moment of the machine hits both, and ratios are those
of medians.

    git worktree add /tmp/before COMMIT
    ./dev bench default_path --before /tmp/before

writes ``benchmarks/results/default_path.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.startup import QUERY, ROOT, SOUNDS
from benchmarks.turns import keep, machine, one_round

# By how many times less each is wanted to be.
WANTED = {
    "classify": 8.0,
    "first classify": 10.0,
    "classify, memory": 4.0,
    "demo": 2.0,
    "warm": 2.0,
    "size": 7.0,
    "search": 4.0,
    "search, memory": 3.0,
}
NAMES = {
    "classify": "`earful classify`, one clip, 266 rows",
    "first classify": "the same, the first question that an index is asked",
    "classify, memory": "peak memory of `earful classify`",
    "demo": "`earful demo` in an empty folder",
    "warm": "`FewShot.classify`, one clip, in a process that has answered before",
    "size": "size of a plain install's environment",
    "search": "open {rows:,} rows and search them once",
    "search, memory": "peak memory of that",
}
WARM_CALLS = 20
WARM = """
import json, sys, time
from statistics import median
from earful import FewShot
few, times_s = FewShot.open(sys.argv[1]), []
for _ in range(int(sys.argv[3]) + 2):
    began = time.perf_counter()
    few.classify(sys.argv[2])
    times_s.append(time.perf_counter() - began)
print(json.dumps(median(times_s[2:])))
"""
WRITE = """
import sys
from pathlib import Path
import numpy as np
from benchmarks.synthetic import rows_of, vectors_and_queries, write_index
vectors, queries = vectors_and_queries(int(sys.argv[2]), 1)
write_index(rows_of(vectors), Path(sys.argv[1]), rows_per_add=10_000)[0].compact()
np.save(sys.argv[1] + ".npy", queries[0])
"""
SEARCH = """
import json, sys
import numpy as np
from earful import Index
hits = Index.open(sys.argv[1]).search(np.load(sys.argv[1] + ".npy"), k=10)
print(json.dumps([hit.exemplar.id for hit in hits]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two checkouts, with what was made for it.

    Attributes:
        environment: Folder of its environment.
        folder: Its indexes.
    """

    environment: Path
    folder: Path

    def command(self, *words: str) -> list[str]:
        """Return a command of its ``earful``."""
        return [str(self.environment / "bin/earful"), *words]

    def program(self, code: str, *words: str) -> list[str]:
        """Return a command that runs a program in its environment."""
        # -P: nothing is imported from the folder it runs in.
        return [str(self.environment / "bin/python"), "-P", "-c", code, *words]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A process that has ended.

    Attributes:
        seconds: From its start to its end.
        peak_bytes: The most memory that it, or a process that it started, held.
        output: What it wrote.
    """

    seconds: float
    peak_bytes: int
    output: str


def main() -> None:
    """Make both environments and indexes, let them take turns, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000, help="of the large index")
    arguments = parser.parse_args()
    checkouts = {"before": arguments.before.resolve(), "now": ROOT}
    # Read first: a checkout may move on while it is measured.
    commits = {name: commit_of(checkout) for name, checkout in checkouts.items()}
    with tempfile.TemporaryDirectory() as scratch:
        sides = {
            name: made(checkout, Path(scratch, name), arguments.rows)
            for name, checkout in checkouts.items()
        }
        # What imports compile is written in the first round, and no part of the size.
        sizes = {name: size_of(side.environment) for name, side in sides.items()}
        found = measured(sides, arguments.rounds)
    found["size"] = {name: [float(size)] for name, size in sizes.items()}
    rows = {name: told(values, WANTED[name]) for name, values in found.items()}
    report: dict[str, Any] = {
        "machine": machine(),
        "commits": commits,
        "rounds": arguments.rounds,
        "rows": arguments.rows,
        "measured": {name: rows[name] for name in WANTED},
    }
    print(f"{'':<20}{'before':>16}{'now':>16}{'ratio':>8}{'wanted':>8}")
    for name, row in report["measured"].items():
        both = "".join(f"{row[side]:>16,.3f}" for side in sides)
        print(f"{name:<20}{both}{row['ratio']:>8.2f}{row['wanted']:>8.0f}")
    keep("default_path", report)


def made(checkout: Path, folder: Path, n_rows: int) -> Side:
    """Make a checkout's environment, and in it the demo's index and a large one."""
    environment = folder / "environment"
    folder.mkdir()
    print(f"installing {checkout}", file=sys.stderr, flush=True)
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".uv/bin/uv")
    # What was committed: a folder that is built in keeps modules that are gone.
    source = folder / "source"
    clone = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet"]
    subprocess.run([*clone, str(checkout), str(source)], check=True)
    subprocess.run(
        [uv, "sync", "--quiet", "--locked", "--no-editable", "--project", str(source)],
        check=True,
        env=plain_environment(UV_PROJECT_ENVIRONMENT=str(environment)),
    )
    side = Side(environment=environment, folder=folder)
    print("building indexes", file=sys.stderr, flush=True)
    run(side.command("index", "build", str(SOUNDS), "--index", str(folder / "built")))
    shutil.copytree(folder / "built", folder / "asked")
    run(side.program(WRITE, str(folder / "large"), str(n_rows)), PYTHONPATH=str(ROOT))
    return side


def measured(sides: Mapping[str, Side], n_rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return what each measure found on each side, round by round.

    Raises:
        RuntimeError: The two did not find the same rows.
    """
    found: dict[str, dict[str, list[float]]] = {
        name: {side: [] for side in sides} for name in WANTED if name != "size"
    }
    hits: set[str] = set()
    for number in range(n_rounds + 1):
        turns = one_round({name: partial(round_of, side) for name, side in sides.items()}, number)
        for side, (_, result) in turns.items():
            hits.add(result.pop("hits"))
            if number:  # the first round writes bytecode, and what is kept for later
                for name, value in result.items():
                    found[name][side].append(value)
        print(f"round {number} of {n_rounds}", file=sys.stderr, flush=True)
    if len(hits) != 1:
        raise RuntimeError(f"the two found other rows: {hits}")
    return found


def round_of(side: Side) -> dict[str, Any]:
    """Measure everything once."""
    fresh = side.folder / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    # As the build left it, beside the other one so that its recordings are found.
    shutil.copytree(side.folder / "built", fresh)
    first = run(side.command("classify", str(QUERY), "--index", str(fresh)))
    again = run(side.command("classify", str(QUERY), "--index", str(side.folder / "asked")))
    warm = run(side.program(WARM, str(side.folder / "asked"), str(QUERY), str(WARM_CALLS)))
    search = run(side.program(SEARCH, str(side.folder / "large")))
    with tempfile.TemporaryDirectory(dir=side.folder) as empty:
        demo = run(side.command("demo"), cwd=empty, EARFUL_DEMO=str(SOUNDS.parent))
    return {
        "classify": again.seconds,
        "first classify": first.seconds,
        "classify, memory": again.peak_bytes,
        "demo": demo.seconds,
        "warm": float(json.loads(warm.output)),
        "search": search.seconds,
        "search, memory": search.peak_bytes,
        "hits": search.output,
    }


def run(command: list[str], *, cwd: str | None = None, **environment: str) -> Run:
    """Run a command to its end.

    Raises:
        RuntimeError: It failed; what it said stands on stderr.
    """
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd or tempfile.gettempdir(),
            env=plain_environment(**environment),
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {said}")
        output.seek(0)
        return Run(seconds=seconds, peak_bytes=usage.ru_maxrss * 1024, output=output.read())


def plain_environment(**more: str) -> dict[str, str]:
    """Return the environment of a user's shell: one that writes bytecode, in no environment."""
    ours = ("PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")
    return {name: value for name, value in os.environ.items() if name not in ours} | more


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""

    def sizes() -> Iterator[int]:
        for parent, _, names in os.walk(folder):
            yield from (os.lstat(os.path.join(parent, name)).st_size for name in names)

    return sum(sizes())


def told(values: Mapping[str, list[float]], wanted: float) -> dict[str, float]:
    """Return the medians of both sides, and how many times less the second is."""
    before, now = (median(values[side]) for side in ("before", "now"))
    return {"before": before, "now": now, "ratio": round(before / now, 2), "wanted": wanted}


def commit_of(checkout: Path) -> str:
    """Return the commit of a checkout."""
    words = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
