"""``earful evaluate`` on the demo corpus: every arm over the same clips.

Run it with ``./dev bench evaluation`` (some minutes on two cores); the numbers go to
``benchmarks/results/``, from where README's table is made. Each clip is asked about with
everything of its own author, kit or instrument left out, among all 25 labels. ``--out
FILE`` keeps the run itself, ``--html FILE`` its report.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import earful
from earful import console
from earful.commands.evaluate import describe_evaluation
from earful.demo import DemoCorpus
from earful.rag.evaluation import EvaluationSettings, evaluate, write_report
from earful.rag.task import Task

RESULTS = Path(__file__).resolve().parent / "results" / "evaluation.json"
SETTINGS = EvaluationSettings(shots=(0, 1, 2, 4, 7))


def main() -> None:
    """Evaluate, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="keep the run in this file")
    parser.add_argument("--html", type=Path, help="write its report")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "demo.index"
        earful.build_index(DemoCorpus.find().sounds, index)
        few = earful.FewShot.open(index, model="earful-small")
        started = time.monotonic()
        with console.counter("asking", sys.stderr) as progress:
            found = evaluate(
                few, Task(name="demo"), settings=SETTINGS, out=arguments.out, progress=progress
            )
        print(describe_evaluation(found.scorecard))
        print(f"{time.monotonic() - started:.0f} s")
        if arguments.html:
            write_report(found.scorecard, arguments.html)
    told = found.to_dict()
    del told["per_class"]
    told["model"] = found.document["model"]["name"]
    told["versions"] = found.document["versions"]
    RESULTS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
