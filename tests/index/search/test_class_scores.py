"""Rows ranked by how sure the network was of what a text speaks of."""

from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from earful.index import Index
from earful.index.corpus import Exemplar
from earful.index.search import ClassScores, SearchFilter, VectorSet
from earful.index.search.class_scores import logistic, rank_by_scores

LOGITS = [[2.0, -1.0], [0.0, 3.0], [2.0, -1.0], [-5.0, 4.0]]


def rows(ids: str, logits: object = LOGITS, *, labels: str = "") -> VectorSet:
    """Rows of equal vectors; a row's label is a letter."""
    return VectorSet(
        exemplars=[
            Exemplar(id=id_, audio=PurePosixPath(f"{id_}.wav"), labels=(label,))
            for id_, label in zip(ids, labels or "x" * len(ids), strict=True)
        ],
        paths=[Path(f"/{id_}.wav") for id_ in ids],
        content=list(ids),
        vectors=np.eye(1, 2, dtype=np.float32).repeat(len(ids), axis=0),
        stored_scores=ClassScores.of(np.array(logits, np.float16)),
    )


def weights(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def test_the_most_probable_rows_come_first_and_ties_break_by_id() -> None:
    # Half and half: d -0.5, c 0.5, b 1.5, a 0.5.
    found = rows("dcba"[::-1], LOGITS).search_classes(weights(0.5, 0.5), k=3)
    assert [hit.exemplar.id for hit in found] == ["b", "a", "c"]
    assert [hit.rank for hit in found] == [0, 1, 2]
    wanted = [1 / (1 + np.exp(-1.5)), 1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(-0.5))]
    assert [hit.similarity for hit in found] == pytest.approx(wanted)
    assert found[1].similarity == found[2].similarity
    # In another order, scores go with their rows.
    again = rows("dcba", LOGITS[::-1]).search_classes(weights(0.5, 0.5), k=3)
    assert again == found
    assert rows("ba", LOGITS[:2]).subset(np.array([0])).class_scores == pytest.approx(
        np.array([[0.0, 3.0]])
    )


def test_filters_hold() -> None:
    stored = rows("abcd", labels="xyxy")
    only_x = SearchFilter(labels=frozenset("x"))
    assert [h.exemplar.id for h in stored.search_classes(weights(0, 1), k=4, filter=only_x)] == [
        "a",
        "c",
    ]
    sure = SearchFilter(min_similarity=0.9)
    assert [h.exemplar.id for h in stored.search_classes(weights(0, 1), k=4, filter=sure)] == [
        "d",
        "b",
    ]
    among = stored.search_classes(weights(0, 1), k=4, only=np.array([0, 3]))
    assert [hit.exemplar.id for hit in among] == ["d", "a"]
    assert stored.search_classes(weights(0, 1), k=4, only=np.array([], np.intp)) == []


def test_what_cannot_be_ranked_is_refused(index: Index) -> None:
    stored = rows("abcd")
    for wrong in (weights(1), weights(1, np.nan), weights(1, 2)[None]):
        with pytest.raises(ValueError, match=r"weights: expected finite ones of shape \(2,\)"):
            stored.search_classes(wrong, k=1)
    with pytest.raises(ValueError, match="k=0"):
        stored.search_classes(weights(0, 1), k=0)
    with pytest.raises(ValueError, match="needs an Index"):
        stored.search_classes(weights(0, 1), k=1, filter=SearchFilter(where="true"))
    with pytest.raises(ValueError, match="no class scores"):
        index.search_classes(weights(0, 1))


@given(
    arrays(
        np.float16, st.tuples(st.integers(0, 12), st.just(3)), elements=st.floats(-8, 8, width=16)
    ),
    arrays(np.float32, 3, elements=st.floats(0, 1, width=32)),
    st.integers(1, 6),
)
def test_the_ranking_is_that_of_sorting_all_rows(
    scores: NDArray[np.float16], wanted: NDArray[np.float32], k: int
) -> None:
    logits = [
        float(sum(float(x) * float(w) for x, w in zip(row, wanted, strict=True))) for row in scores
    ]
    order = sorted(range(len(scores)), key=lambda row: (-logits[row], row))[:k]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earful.index.search.class_scores._ROWS_AT_ONCE", 5)
        found, ranked = rank_by_scores(scores, wanted, k)
    assert ranked == pytest.approx([logits[row] for row in order], abs=1e-9)
    # Sums in another order may differ in the last bit, so only clear winners must agree.
    for row, mine in zip(found.tolist(), order, strict=True):
        assert logits[row] == pytest.approx(logits[mine], abs=1e-9)
    some = np.arange(0, len(scores), 2)
    among, _ = rank_by_scores(scores, wanted, len(scores) or 1, some)
    assert sorted(among.tolist()) == some.tolist()


@given(st.floats(-1e4, 1e4))
def test_probabilities_of_opposite_logits_add_up_to_one(logit: float) -> None:
    one, other = logistic(np.array([logit, -logit]))
    assert one + other == pytest.approx(1)
    assert 0 <= one <= 1
