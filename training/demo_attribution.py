"""Print who made the demo recordings, from their manifests, for ``ATTRIBUTION.md``.

The table between the two markers of ``ATTRIBUTION.md`` is this script's output::

    ./dev run python training/demo_attribution.py --write
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("sounds", "unseen/examples", "unseen/queries")
BEGIN, END = "<!-- demo recordings: begin -->", "<!-- demo recordings: end -->"


def table() -> str:
    """Return the attribution table as Markdown, one row per package and author."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for part in PARTS:
        with (ROOT / "notebooks" / "demo" / part / "metadata.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = (row["package"], row["package_version"], row["author"], row["licence"])
                counts[key] += 1
    lines = ["| package (Debian) | author | licence | clips |", "|---|---|---|---|"]
    lines += [
        f"| {package} {version} | {author} | {licence} | {n} |"
        for (package, version, author, licence), n in sorted(counts.items())
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table, or with ``--write`` put it into ATTRIBUTION.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    if not parser.parse_args().write:
        print(table())
        return
    target = ROOT / "ATTRIBUTION.md"
    before, _, rest = target.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    target.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
