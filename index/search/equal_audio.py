"""Equal audio: rows of one recording under several ids count once, with all their labels.

One recording may stand in a corpus twice: two people labelled it, or its file lies in two label
folders. Such rows must not outvote each other by the order of their names, nor count twice. So
they are one exemplar, as if its one row had all the labels: in the vote and its calibration, in
evaluations and in health checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from earful.index.corpus import Exemplar


def group_equal(content: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Group rows of equal audio.

    Args:
        content: ``content_sha256`` of each row; a row without one is like no other.

    Returns:
        Row numbers of each group, ascending; the groups in the order of their first rows.

    >>> group_equal(["x", "y", "x", "", ""])
    ((0, 2), (1,), (3,), (4,))
    """
    together: dict[str, list[int]] = {}
    groups: list[list[int]] = []
    for row, digest in enumerate(content):
        known = together.get(digest) if digest else None
        if known is not None:
            known.append(row)
            continue
        groups.append([row])
        if digest:
            together[digest] = groups[-1]
    return tuple(map(tuple, groups))


def labels_of_all(exemplars: Iterable[Exemplar]) -> tuple[str, ...]:
    """Return the labels of some exemplars of equal audio, sorted, each once.

    >>> from pathlib import PurePosixPath
    >>> dog = Exemplar(id="a", audio=PurePosixPath("a.wav"), labels=("dog",))
    >>> cat = Exemplar(id="b", audio=PurePosixPath("b.wav"), labels=("cat",))
    >>> labels_of_all([dog, cat])
    ('cat', 'dog')
    """
    return tuple(sorted({label for exemplar in exemplars for label in exemplar.labels}))
