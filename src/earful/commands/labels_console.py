"""What ``earful labels`` prints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earful import console
from earful.wording import counted

if TYPE_CHECKING:
    from earful.index.labels import Agreement, ItemState, Label, LabelState
    from earful.rag.review import CommitReport


def what_counts(line: Label, item: ItemState | None, undone: Collection[int]) -> str:
    """Return in a word what has become of a label."""
    if line.seq in undone:
        return "taken back"
    if item is None or item.words.get(line.reviewer) != line:
        return "replaced"
    if item.label is None:
        return "disputed"
    if item.label == line:
        return "yes" if line.polarity in ("positive", "negative") else line.polarity
    if (item.label.label, item.label.polarity) == (line.label, line.polarity):
        return "agrees"
    return "outvoted" if line.is_opinion else line.polarity


def label_table(lines: Sequence[Label], counts: Sequence[str]) -> str:
    """Render labels in a table; flags and comments have columns where there are any."""
    header = ["seq", "item", "at", "reviewer", "recording", "seconds", "label", "", "counts"]
    rows = [_label_row(line, said) for line, said in zip(lines, counts, strict=True)]
    if any(line.flagged for line in lines):
        header.append("flag")
        for line, row in zip(lines, rows, strict=True):
            row.append("flagged" if line.flagged else "")
    if any(line.comment for line in lines):
        header.append("comment")
        for line, row in zip(lines, rows, strict=True):
            row.append(" ".join(line.comment.split()))
    return console.table(rows, header=header, right="0")


def _label_row(line: Label, counts: str) -> list[str]:
    """Return a label as the cells of a table."""
    at = "" if line.at is None else line.at.strftime("%Y-%m-%d %H:%M:%S")
    seconds = f"{line.start_s:.2f}-{line.end_s:.2f}"
    return [
        *(str(line.seq), line.item, at, line.reviewer, line.recording, seconds),
        *(line.label, line.polarity, counts),
    ]


def summarise(state: LabelState) -> dict[str, Any]:
    """Count items by what counts of them."""
    found: dict[str, int] = {}
    for one in state.items.values():
        found[one.status] = found.get(one.status, 0) + 1
    by_label: dict[str, dict[str, int]] = {}
    for label in state.counted:
        own = by_label.setdefault(label.label, {"positive": 0, "negative": 0})
        own[label.polarity] += 1
    return {
        "n_items": len(state.items),
        "by_status": dict(sorted(found.items())),
        "by_label": dict(sorted(by_label.items())),
    }


def summary_line(folder: Path, summary: dict[str, Any]) -> str:
    """Render how many items there are, and what counts of them."""
    statuses = ", ".join(f"{n:,} {status}" for status, n in summary["by_status"].items())
    of = f": {statuses}" if statuses else ""
    return console.printable(f"{folder}: {counted(summary['n_items'], 'labelled item')}{of}")


def describe_commit(report: CommitReport, index: Path) -> str:
    """Render what a commit did, or would do."""
    would = "would be: " if report.is_dry_run else ""
    lines = [console.printable(f"{index}: {would}{report.text}")]
    if report.left_out:
        left = ", ".join(f"{n:,} {status}" for status, n in report.left_out.items())
        lines.append(f"left out: {left}")
    lines += [
        console.printable(
            f"  waits for {recording}, which is not there: {counted(n, 'label')}; put it beside "
            "the scan, or run the command where the scan was run"
        )
        for recording, n in report.missing
    ]
    lines += [
        console.printable(f"  failed {recording}: {why.removeprefix(f'{recording}: ')}")
        for recording, why in report.failed
    ]
    return "\n".join([*lines, *(console.printable(f"note: {one}") for one in report.notes)])


def describe_agreement(found: Agreement) -> str:
    """Render kappas with their counts, and the items that reviewers differ about."""
    if not found.n_shared:
        return "no item has the opinions of two reviewers"
    rows = [
        [
            one.label,
            one.first,
            one.second,
            "-" if one.kappa is None else f"{one.kappa:.2f}",
            *(f"{n:,}" for n in (one.n, one.both, one.only_first, one.only_second, one.neither)),
        ]
        for one in found.pairs
    ]
    header = [
        *("label", "first", "second", "kappa", "items", "both"),
        *("only first", "only second", "neither"),
    ]
    lines = [console.table(rows, header=header, right="345678")]
    n_settled = sum(one.status != "disputed" for one in found.differences)
    differ = f"they differ about {len(found.differences):,}, of which {n_settled:,} are settled"
    lines.append(f"{counted(found.n_shared, 'item')} with two opinions or more; {differ}")
    for one in found.differences:
        words = "; ".join(
            f"{name}: {polarity} {label}" for name, (polarity, label) in one.words.items()
        )
        settled = "disputed" if one.status == "disputed" else f"counts as {one.status} {one.label}"
        lines.append(
            console.printable(
                f"  {one.item}  {one.recording} {one.start_s:.2f}-{one.end_s:.2f} s: {words} "
                f"({settled})"
            )
        )
    return "\n".join(lines)
