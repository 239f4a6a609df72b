"""A table of a million rows is read as a stream: memory stays bounded.

Run it with ``./dev bench manifest``; results go to ``benchmarks/results/``. Three manifests
are written into a temporary folder, each naming the same few recordings again and again: a
CSV table, JSON Lines, and a data set by its declaration, MusicQA's one JSON array. Each is
read to its end in a process of its own, whose peak memory is the operating system's,
beside the same of a thousand rows. A step that brings rows together, such as the votes of
annotators, holds them all and is not measured here.

What grows with the rows is 16 to 32 bytes each, the hashes by which an id that stands twice
is found.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RESULTS = Path(__file__).resolve().parent / "results" / "manifest.json"
N_CLIPS = 10


def csv_table(root: Path, n: int) -> None:
    """Write a table of one's own."""
    with open(root / "list.csv", "w", encoding="utf-8") as file:
        file.write("audio,label,id,group\n")
        file.writelines(f"{row % N_CLIPS}.wav,dog,{row},g{row}\n" for row in range(n))


def json_lines(root: Path, n: int) -> None:
    """Write the same as JSON Lines."""
    with open(root / "list.jsonl", "w", encoding="utf-8") as file:
        for row in range(n):
            told = {"audio": f"{row % N_CLIPS}.wav", "label": "dog", "id": str(row)}
            file.write(json.dumps(told) + "\n")


def musicqa(root: Path, n: int) -> None:
    """Write MusicQA's array."""
    with open(root / "EvalMusicQA.json", "w", encoding="utf-8") as file:
        file.write("[")
        for row in range(n):
            said = [
                {"from": "human", "value": f"Question {row}?"},
                {"from": "gpt", "value": "Yes."},
            ]
            told = {"audio_name": f"{row % N_CLIPS}.wav", "conversation": said}
            file.write(("," if row else "") + json.dumps(told))
        file.write("]")


FORMS: dict[str, tuple[Callable[[Path, int], None], str]] = {
    "CSV table": (csv_table, "list.csv"),
    "JSON Lines": (json_lines, "list.jsonl"),
    "musicqa": (musicqa, ""),
}


def read(form: str, root: Path) -> dict[str, Any]:
    """Read a manifest to its end in this process."""
    from earful.index.corpus import Corpus, open_corpus
    from earful.index.datasets import load_dataset

    name = FORMS[form][1]
    corpus: Corpus = open_corpus(root / name) if name else load_dataset(form, root)
    began = time.perf_counter()
    n = sum(1 for _ in corpus)
    missing = getattr(corpus, "account", None)
    return {
        "rows": n + (missing.n_missing if missing else 0),
        "seconds": round(time.perf_counter() - began, 2),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    """Write manifests of two lengths, read them, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the long manifests")
    parser.add_argument("--read", nargs=2, metavar=("FORM", "ROOT"))
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read(arguments.read[0], Path(arguments.read[1]))))
        return
    print(f"{'':<18} {'rows':>9} {'seconds':>8} {'peak MiB':>9} {'bytes a further row':>20}")
    results: dict[str, Any] = {}
    for form, (write, _) in FORMS.items():
        runs = []
        for n in (1000, arguments.rows):
            with tempfile.TemporaryDirectory() as folder:
                root = Path(folder)
                for clip in range(N_CLIPS):
                    for above in (root, root / "audios"):
                        above.mkdir(exist_ok=True)
                        soundfile.write(above / f"{clip}.wav", np.zeros(800), 8000)
                write(root, n)
                command = [sys.executable, "-m", "benchmarks.manifest", "--read", form, folder]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            runs.append(json.loads(done.stdout))
        few, many = runs
        if many["rows"] != arguments.rows:
            raise SystemExit(f"{form}: {many['rows']} rows of {arguments.rows}")
        grown = (many["peak_rss_bytes"] - few["peak_rss_bytes"]) / (many["rows"] - few["rows"])
        results[form] = {"few": few, "many": many, "bytes_per_further_row": round(grown, 1)}
        print(
            f"{form:<18} {many['rows']:>9,} {many['seconds']:>8.1f} "
            f"{many['peak_rss_bytes'] / 2**20:>9.0f} {grown:>20.0f}",
            flush=True,
        )
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
