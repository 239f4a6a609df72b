"""Write who made the demo's and the training corpus' recordings into ``ATTRIBUTION.md``.

The tables between the markers of ``ATTRIBUTION.md`` are this script's output, from the
manifests::

    ./dev run python training/attribution.py
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO_PARTS = ("sounds", "unseen/examples", "unseen/queries")
Source = tuple[str, str, str]


def demo() -> Iterator[Source]:
    """Yield package, author and licence of every demo clip."""
    for part in DEMO_PARTS:
        with (ROOT / "notebooks" / "demo" / part / "metadata.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield f"{row['package']} {row['package_version']}", row["author"], row["licence"]


def training() -> Iterator[Source]:
    """Yield package, author and licence of every clip that something was trained on."""
    with (ROOT / "training" / "corpus" / "manifest.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == "train":
                yield row["source"], row["author"], row["licence"]


def table(clips: Iterable[Source]) -> str:
    """Return the attribution table as Markdown, one row per package and author."""
    lines = ["| package (Debian) | author | licence | clips |", "|---|---|---|---|"]
    lines += [
        f"| {package} | {author} | {licence} | {n} |"
        for (package, author, licence), n in sorted(Counter(clips).items())
    ]
    return "\n".join(lines)


def main() -> None:
    """Write both tables."""
    target = ROOT / "ATTRIBUTION.md"
    text = target.read_text(encoding="utf-8")
    for name, clips in (("demo recordings", demo()), ("training recordings", training())):
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{table(clips)}\n{end}{after}"
    target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
