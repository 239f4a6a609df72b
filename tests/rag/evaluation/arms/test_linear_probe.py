"""The probe: trained where there is something to train on, and said to be none where not."""

from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from earful.index.corpus import Exemplar
from earful.model import ClipRef
from earful.rag.evaluation.arms.linear_probe import probe_scores
from earful.rag.evaluation.items import Item
from earful.rag.retrieval import Candidates, Exclusions, Query

N = 20


def candidates(groups: list[str]) -> Candidates:
    """Two labels whose vectors lie apart."""
    rng = np.random.default_rng(0)
    vectors = 0.1 * rng.standard_normal((N, 4)) + np.eye(4)[np.arange(N) % 2]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Candidates(
        labels=["cat", "dog"],
        exemplars=[
            Exemplar(
                id=f"{row}", audio=PurePosixPath(f"{row}.wav"), labels=("cat",), group=groups[row]
            )
            for row in range(N)
        ],
        paths=[Path(f"/{row}.wav") for row in range(N)],
        content=[f"{row}" for row in range(N)],
        vectors=vectors.astype(np.float32),
        row_labels=[(row % 2,) for row in range(N)],
    )


def items(found: Candidates) -> list[Item]:
    return [
        Item(
            id=f"{row}",
            query=Query(
                name=f"{row}.wav",
                vector=found.vectors[row],
                reference=ClipRef(audio=found.paths[row]),
                exclusions=Exclusions(),
            ),
            labels=(found.labels[row % 2],),
            references=(),
            question="",
            group="",
        )
        for row in range(N)
    ]


def test_labels_that_lie_apart_are_told_by_a_probe_that_never_saw_the_item() -> None:
    found = candidates([f"{row}" for row in range(N)])
    scores, notes = probe_scores(items(found), found, exclusive=True, held_out=False)
    assert (scores.argmax(axis=1) == np.arange(N) % 2).all()
    assert scores.sum(axis=1) == pytest.approx(np.ones(N))
    assert len(notes) == 1


def test_a_probe_without_anything_to_train_on_is_said_to_be_no_baseline() -> None:
    found = candidates(["site"] * N)
    scores, notes = probe_scores(items(found), found, exclusive=True, held_out=False)
    assert not scores.any()
    assert f"no baseline for {N} of {N} recordings" in notes[-1]
