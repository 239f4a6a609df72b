"""What a journal means, worked out the long way from all its lines, for tests of the fold."""

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
    opinions = [(p, label) for _, p, label, _ in words if p in ("positive", "negative")]
    if opinions:
        return _vote(opinions)
    quiet = [(polarity, label) for _, polarity, label, _ in words]
    unsure = [one for one in quiet if one[0] == "unknown"]
    return (unsure or quiet)[-1]


def _vote(opinions: list[tuple[str, str]]) -> tuple[str, str]:
    """Ask of each label whether the item is it; who names another label says no."""
    there = [label for polarity, label in opinions if polarity == "positive"]
    lead = {label: 2 * there.count(label) - len(there) for label in there}
    for polarity, label in opinions:
        if polarity == "negative" and label in lead:
            lead[label] -= 1
    if not lead:
        names = [label for _, label in opinions]
        return "negative", max(reversed(names), key=names.count)
    for label, votes in lead.items():
        if votes > 0:
            return "positive", label
    lowest = sorted(lead.values())
    if lowest[0] == 0 or lowest[1:2] == lowest[:1]:
        return "disputed", ""
    (lost,) = (label for label, votes in lead.items() if votes == lowest[0])
    return _vote([one for one in opinions if one != ("positive", lost)])


def rows_of(counts: Counts) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return labels and not_labels of each row that an index has to hold."""
    rows: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for item, (status, label) in counts.items():
        if status in ("positive", "negative"):
            own = (label,)
            rows[f"review/{item}"] = (own, ()) if status == "positive" else ((), own)
    return rows
