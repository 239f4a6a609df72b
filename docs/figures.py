"""Write the README's tables from ``benchmarks/results/``; ``--check`` only compares.

Run it with ``./dev docs``. No number in the README is typed by hand: each block between
``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` is made here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"


def _results(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def accuracy() -> str:
    """Return the table of the demo corpus's accuracy."""
    results = _results("demo_accuracy")
    parts = {
        "across sources": "leave one source out",
        "across packages": "leave one package out",
        "unseen labels": "unseen labels",
    }
    ours = [results["earful-tiny"][part] for part in parts.values()]
    heads = [
        f"{words}: {part['n']} clips, {part['n_labels']} labels"
        for words, part in zip(parts, ours, strict=True)
    ]
    table = [["arm", *heads], ["---"] * (1 + len(parts))]
    for words, baseline in (("chance", "chance"), ("majority class", "majority")):
        table.append([words, *(f"{part[baseline]:.1%}" for part in ours)])
    arms = (("1-NN", "nearest clip"), ("vote", "vote, as `earful classify`"))
    for name in ("logmel", "earful-tiny", "difference"):
        for arm, words in arms:
            cells = [_interval(results[name][part].get(arm)) for part in parts.values()]
            title = f"`{name}`, {words}" if name != "difference" else f"difference, {words}"
            table.append([title, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in table)


def _interval(values: list[float] | None) -> str:
    if values is None:
        return ""
    mean, low, high = values
    return f"{mean:.1%} ({low:.1%} to {high:.1%})"


def speed() -> str:
    """Return the sentences on search and memory."""
    search, memory = _results("search"), _results("build_memory")["logmel"]
    ms = {name: row["median"] for name, row in search["search_ms"].items()}
    small, large = memory["1000 rows"], memory["10000 rows"]
    return "\n".join(
        [
            f"- `./dev bench search`: the {search['k']} nearest of {search['rows']:,} rows x "
            f"{search['dim']} in {ms['earful']:.1f} ms (median of {search['queries']} queries, "
            f"{search['threads']} thread, {search['machine']}); in the same run naive NumPy took "
            f"{ms['NumPy argsort']:.1f} ms, FAISS flat {ms['FAISS flat']:.1f} ms, LanceDB flat "
            f"{ms['LanceDB flat']:.1f} ms.",
            f"- `./dev bench build_memory`: building {large['rows']:,} rows peaked at "
            f"{large['peak_rss_bytes'] / 1e6:.0f} MB, {small['rows']:,} rows at "
            f"{small['peak_rss_bytes'] / 1e6:.0f} MB (`logmel`).",
        ]
    )


BLOCKS: dict[str, Callable[[], str]] = {"accuracy": accuracy, "speed": speed}


def render(readme: str) -> str:
    """Return the README with every block renewed."""
    for name, make in BLOCKS.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, found, rest = readme.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise SystemExit(f"README.md: has no block {begin} … {end}")
        readme = f"{before}{begin}\n{make()}\n{end}{after}"
    return readme


def main() -> None:
    """Write the README, or with ``--check`` fail when it is not current."""
    old = README.read_text(encoding="utf-8")
    new = render(old)
    if "--check" not in sys.argv[1:]:
        README.write_text(new, encoding="utf-8")
    elif old != new:
        raise SystemExit("README.md is behind benchmarks/results/; run ./dev docs and commit it")


if __name__ == "__main__":
    main()
