"""What a journal means, worked out the long way from all its lines, for tests of the fold."""

from collections import Counter
from collections.abc import Iterable

from earful.index.labels import Label, Undo

Counts = dict[str, tuple[str, str]]


def what_counts(lines: Iterable[Label | Undo]) -> Counts:
    """Return status and label of each item; a disputed one has no label."""
    said = list(lines)
    undone = {one.undo for one in said if isinstance(one, Undo)}
    words: dict[str, dict[str, tuple[int, str, str, bool]]] = {}
    for one in said:
        if isinstance(one, Label) and one.seq not in undone:
            of_item = words.setdefault(one.item, {})
            of_item[one.reviewer] = (one.seq, one.polarity, one.label, one.source == "resolve")
    return {item: _of_item(sorted(own.values())) for item, own in words.items()}


def _of_item(words: list[tuple[int, str, str, bool]]) -> tuple[str, str]:
    for _, polarity, label, is_resolved in reversed(words):
        if is_resolved:
            return polarity, label
    votes = Counter((polarity, label) for _, polarity, label, _ in words)
    opinions = {vote: n for vote, n in votes.items() if vote[0] in ("positive", "negative")}
    n_all = sum(opinions.values())
    for vote, n in opinions.items():
        if n == n_all or (n_all >= 3 and n > n_all / 2):
            return vote
    if opinions:
        return "disputed", ""
    quiet = [(polarity, label) for _, polarity, label, _ in words]
    unsure = [one for one in quiet if one[0] == "unknown"]
    return (unsure or quiet)[-1]


def rows_of(counts: Counts) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return labels and not_labels of each row that an index has to hold."""
    rows: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for item, (status, label) in counts.items():
        if status in ("positive", "negative"):
            own = (label,)
            rows[f"review/{item}"] = (own, ()) if status == "positive" else ((), own)
    return rows
