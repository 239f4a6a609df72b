"""Agreement of reviewers."""

import warnings
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.index.labels import LabelState, PairAgreement, Undo, find_agreement
from earful.index.labels.fold import Fold
from tests.index.labels.test_journal import label


def state(*said: tuple[str, str, str], **more: Any) -> LabelState:
    """Item, reviewer and word, such as ("a", "ana", "+wren")."""
    fold = Fold()
    for seq, (item, reviewer, word) in enumerate(said, start=1):
        polarity = {"+": "positive", "-": "negative", "?": "unknown"}[word[0]]
        name, _, source = word[1:].partition("!")
        given: dict[str, Any] = {"label": name, "polarity": polarity, "guess": "wren", "seq": seq}
        fold.add(label(item, reviewer, **given, source=source or "review", **more))
    return fold.state(())


def test_counts_and_differences_by_hand() -> None:
    found = find_agreement(
        state(
            *(("a", "ana", "+wren"), ("a", "ben", "+wren")),
            *(("b", "ana", "+wren"), ("b", "ben", "-wren"), ("b", "eva", "-wren!resolve")),
            *(("c", "ana", "-wren"), ("c", "ben", "+robin")),
            *(("d", "ana", "-wren"), ("d", "ben", "-wren")),
            *(("e", "ana", "+wren"), ("e", "ben", "?wren")),
            *(("f", "ana", "+wren"),),
            *(("g", "ana", "+owl"), ("g", "ben", "+robin")),
        )
    )
    (pair,) = [one for one in found.pairs if one.label == "wren"]
    assert (pair.first, pair.second) == ("ana", "ben")
    assert (pair.both, pair.only_first, pair.only_second, pair.neither) == (1, 1, 0, 3)
    assert pair.kappa == pytest.approx(0.5454545)  # (4/5 - 14/25) / (1 - 14/25)
    assert found.n_shared == 5
    # Of "c" both say that it is no wren.
    assert [one.item for one in found.differences] == ["b", "g"]
    assert found.differences[0].words == {
        "ana": ("positive", "wren"),
        "ben": ("negative", "wren"),
    }
    assert (found.differences[0].status, found.differences[1].status) == ("negative", "disputed")
    assert pair.to_dict()["n"] == pair.n


def test_several_reviewers_are_compared_in_pairs() -> None:
    found = find_agreement(
        state(("a", "ana", "+wren"), ("a", "ben", "+wren"), ("a", "eva", "-wren"))
    )
    assert [(one.first, one.second, one.agreed) for one in found.pairs] == [
        ("ana", "ben", 1.0),
        ("ana", "eva", 0.0),
        ("ben", "eva", 0.0),
    ]
    assert found.pairs[0].kappa is None


def test_what_was_taken_back_does_not_count() -> None:
    fold = Fold()
    fold.add(label("a", "ana", seq=1))
    fold.add(label("a", "ben", polarity="negative", seq=2))
    fold.add(Undo(undo=2, reviewer="ben", seq=3, at=datetime(2026, 5, 4, tzinfo=UTC)))
    assert find_agreement(fold.state(())).n_shared == 0


@settings(max_examples=10)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_kappa_is_that_of_scikit_learn(judged: list[tuple[bool, bool]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    counts = [judged.count(each) for each in ((True, True), (True, False), (False, True))]
    both, first, second = counts
    pair = PairAgreement(
        label="wren",
        first="a",
        second="b",
        both=both,
        only_first=first,
        only_second=second,
        neither=len(judged) - sum(counts),
    )
    if len(set(judged)) == 1 and judged[0][0] == judged[0][1]:
        assert pair.kappa is None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = cohen_kappa_score(*zip(*judged, strict=True), labels=[False, True])
    assert pair.kappa == pytest.approx(wanted)
