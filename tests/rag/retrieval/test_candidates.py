from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.errors import TaskError
from earful.index.corpus import Exemplar
from earful.index.datasets import list_datasets, load_declaration
from earful.index.search import ClassScores, VectorSet
from earful.rag.retrieval import Candidates
from earful.rag.retrieval.gathering import gather_candidates
from earful.rag.task import ASK, CAPTION, Label, Task, load_task


def vector_set(
    rows: Sequence[tuple[str, Sequence[str]]], *, task: str = "", answer: str = ""
) -> VectorSet:
    """Rows of (id, labels); row ``i`` has the ``i``-th unit vector, in the order given."""
    return VectorSet(
        exemplars=[
            Exemplar(
                id=id_,
                audio=PurePosixPath(f"{id_}.wav"),
                labels=tuple(labels),
                task=task,
                answer=answer,
            )
            for id_, labels in rows
        ],
        paths=[Path(f"/sounds/{id_}.wav") for id_, _ in rows],
        content=[f"content of {id_}" for id_, _ in rows],
        vectors=np.eye(8, dtype=np.float32)[: len(rows)],
    )


INDEX = vector_set([("1", ["dog"]), ("2", ["cat"]), ("3", ["dog", "car"]), ("4", [])])


def contents(candidates: Candidates) -> list[tuple[str, list[str]]]:
    return [
        (exemplar.id, [candidates.labels[label] for label in labels])
        for exemplar, labels in zip(candidates.exemplars, candidates.row_labels, strict=True)
    ]


def test_without_labels_all_of_the_index_are_candidates() -> None:
    candidates = gather_candidates(Task(name="t"), index=INDEX, examples=None)
    assert candidates.labels == ("car", "cat", "dog")
    assert contents(candidates) == [("1", ["dog"]), ("2", ["cat"]), ("3", ["car", "dog"])]
    assert candidates.vectors.tolist() == INDEX.vectors[:3].tolist()


def test_labels_asked_for_narrow_the_candidates() -> None:
    candidates = gather_candidates(
        Task(name="t"), index=INDEX, examples=None, labels=["dog", "car"]
    )
    assert contents(candidates) == [("1", ["dog"]), ("3", ["dog", "car"])]


def test_aliases_lead_to_the_tasks_labels() -> None:
    task = Task(name="t", labels={"animal": Label(aliases=("dog", "cat")), "car": Label()})
    candidates = gather_candidates(task, index=INDEX, examples=None)
    assert contents(candidates) == [("1", ["animal"]), ("2", ["animal"]), ("3", ["animal", "car"])]


def test_a_label_matches_in_any_unicode_form() -> None:
    index = vector_set([("1", ["caf\u00e9"]), ("2", ["bar"])])
    candidates = gather_candidates(
        Task(name="t", labels={"cafe\u0301": Label(), "bar": Label()}), index=index, examples=None
    )
    assert candidates.missing == ()
    named = gather_candidates(Task(name="t"), index=index, examples=None, labels=["cafe\u0301"])
    assert named.labels == ("caf\u00e9",)


def test_examples_join_the_index_rows_that_have_their_labels() -> None:
    examples = vector_set([("t:b", ["dog"]), ("t:a", ["owl"])], task="t")
    candidates = gather_candidates(
        Task(name="t", labels={"dog": Label(), "owl": Label()}), index=INDEX, examples=examples
    )
    assert contents(candidates) == [
        ("1", ["dog"]),
        ("3", ["dog"]),
        ("t:a", ["owl"]),
        ("t:b", ["dog"]),
    ]
    # Each row kept its own vector through merging and sorting.
    positions = [int(row.argmax()) for row in candidates.vectors]
    assert positions == [0, 2, 1, 0]


def test_examples_alone_are_the_candidates_when_the_index_never_had_their_labels() -> None:
    examples = vector_set([("t:a", ["owl"]), ("t:b", ["fox"])], task="t")
    candidates = gather_candidates(Task(name="t"), index=INDEX, examples=examples)
    assert candidates.labels == ("fox", "owl")
    assert contents(candidates) == [("t:a", ["owl"]), ("t:b", ["fox"])]
    assert candidates.vectors is examples.vectors


def test_the_vectors_of_a_whole_index_are_not_copied() -> None:
    index = vector_set([("1", ["dog"]), ("2", ["cat"])])
    assert gather_candidates(Task(name="t"), index=index, examples=None).vectors is index.vectors


def test_an_example_replaces_an_index_row_of_its_id() -> None:
    index = vector_set([("t:a", ["dog"]), ("t:b", ["cat"])])
    examples = vector_set([("t:a", ["cat"])], task="t")
    task = Task(name="t", labels={"dog": Label(), "cat": Label()})
    candidates = gather_candidates(task, index=index, examples=examples)
    assert contents(candidates) == [("t:a", ["cat"]), ("t:b", ["cat"])]


def test_only_an_own_example_can_say_none_of_these() -> None:
    examples = vector_set([("t:none", []), ("t:dog", ["dog"])], task="t")
    task = Task(name="t", kind="multilabel", labels={"dog": Label()})
    candidates = gather_candidates(task, index=INDEX, examples=examples)
    assert contents(candidates) == [
        ("1", ["dog"]),
        ("3", ["dog"]),
        ("t:dog", ["dog"]),
        ("t:none", []),
    ]


def test_a_task_without_labels_takes_answers_meant_for_it() -> None:
    index = vector_set([("1", [])], task="other", answer="a dog barks")
    assert (
        len(gather_candidates(Task(name="other", kind="caption"), index=index, examples=None)) == 1
    )
    with pytest.raises(TaskError, match="there are no answered exemplars"):
        gather_candidates(Task(name="mine", kind="caption"), index=index, examples=None)


def test_a_declared_label_without_exemplars_is_known_to_be_missing() -> None:
    task = Task(name="t", labels={"dog": Label(), "owl": Label()})
    assert gather_candidates(task, index=INDEX, examples=None).missing == ("owl",)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (["dgo"], r"no exemplar has the label 'dgo'\. Did you mean 'dog'\? There are: car, cat"),
        (["dog", "dog"], "'dog' is given twice"),
        ([], "no labels to choose from"),
        (["dog", "owl", "fox"], r"no exemplar has the label 'owl', 'fox'"),
    ],
)
def test_labels_asked_for_must_have_exemplars(labels: list[str], match: str) -> None:
    with pytest.raises(TaskError, match=match):
        gather_candidates(Task(name="t"), index=INDEX, examples=None, labels=labels)


def test_labels_asked_for_must_be_the_tasks() -> None:
    task = Task(name="t", labels={"dog": Label(), "cat": Label()})
    with pytest.raises(TaskError, match="label 'car' is none of task 't'; it has dog, cat"):
        gather_candidates(task, index=INDEX, examples=None, labels=["car"])


def test_a_task_that_nothing_can_answer_is_refused() -> None:
    task = Task(name="t", labels={"owl": Label(), "fox": Label()})
    with pytest.raises(TaskError, match="no exemplar has the label 'owl', 'fox'"):
        gather_candidates(task, index=INDEX, examples=None)
    with pytest.raises(TaskError, match="there are no labelled exemplars"):
        gather_candidates(Task(name="t"), index=vector_set([("1", [])]), examples=None)


def test_memberships_and_hits_speak_of_the_rows_given() -> None:
    candidates = gather_candidates(Task(name="t"), index=INDEX, examples=None)
    rows = np.array([2, 0])
    assert candidates.memberships(rows).tolist() == [[1, 0, 1], [0, 0, 1]]
    hits = candidates.hits(rows, np.array([0.5, 0.25]))
    assert [(hit.exemplar.id, hit.rank, hit.similarity) for hit in hits] == [
        ("3", 0, 0.5),
        ("1", 1, 0.25),
    ]
    assert [str(hit.path) for hit in hits] == ["/sounds/3.wav", "/sounds/1.wav"]


# --- class scores ---------------------------------------------------------------------------


def with_scores(rows: VectorSet, first: float, reads: list[float]) -> VectorSet:
    """The same rows; row ``i`` has the scores ``first + i`` and 0, read when asked for."""

    def read() -> NDArray[np.float16]:
        reads.append(first)
        return np.array([[first + row, 0] for row in range(len(rows))], np.float16)

    return VectorSet(
        exemplars=rows.exemplars,
        paths=rows.paths,
        content=rows.content,
        vectors=rows.vectors,
        stored_scores=ClassScores(read),
    )


def test_candidates_bring_the_scores_of_their_rows_when_asked() -> None:
    reads: list[float] = []
    index = with_scores(INDEX, 10, reads)
    examples = with_scores(vector_set([("0", ["cat"]), ("t:b", ["dog"])], task="t"), 20, reads)
    task = Task(name="t")
    candidates = gather_candidates(task, index=index, examples=examples, labels=["dog", "cat"])
    some = candidates.subset(np.array([0, 3, 4]), [0, 1])
    assert reads == []
    assert [exemplar.id for exemplar in candidates.exemplars] == ["0", "1", "2", "3", "t:b"]
    assert candidates.class_scores is not None
    assert candidates.class_scores[:, 0].tolist() == [20, 10, 11, 12, 21]
    assert some.class_scores is not None
    assert some.class_scores[:, 0].tolist() == [20, 12, 21]
    assert sorted(reads) == [10, 20]
    alone = gather_candidates(task, index=index, examples=None, labels=["cat"])
    assert alone.class_scores is not None
    assert alone.class_scores[:, 0].tolist() == [11]


def test_candidates_have_no_scores_unless_all_have() -> None:
    examples = with_scores(vector_set([("t:b", ["owl"])], task="t"), 20, [])
    mixed = gather_candidates(Task(name="t"), index=INDEX, examples=examples, labels=["owl", "cat"])
    assert mixed.class_scores is None
    assert mixed.subset(np.array([0]), [0]).class_scores is None
    own = gather_candidates(Task(name="t"), index=INDEX, examples=examples)
    assert own.labels == ("owl",)
    assert own.class_scores is not None
    assert gather_candidates(Task(name="t"), index=INDEX, examples=None).class_scores is None


# What the declared data sets call the tasks whose answers are no labels.
WORDED = sorted(
    {
        emit.task
        for name in list_datasets()
        for emit in load_declaration(name).emits
        if not emit.labels
    }
)


@pytest.mark.parametrize("name", WORDED)
def test_published_captions_and_answers_may_answer_without_a_task(name: str) -> None:
    rows = vector_set([("1", []), ("2", [])], task=name, answer="a hum")
    describes = "captioning" in name or "description" in name
    for task in [ASK, *([CAPTION, load_task("describe")] if describes else [])]:
        assert len(gather_candidates(task, index=rows, examples=None)) == 2
    if not describes:
        assert not len(gather_candidates(CAPTION, index=rows, examples=None, need_exemplars=False))


def test_answers_to_other_tasks_are_counted_by_name() -> None:
    rows = vector_set([("1", ["jazz"]), ("2", ["rock"])], task="genre classification")
    found = gather_candidates(CAPTION, index=rows, examples=None, need_exemplars=False)
    assert found.n_of_other_tasks == {"genre classification": 2}
    with pytest.raises(TaskError, match="2 have an answer to another task, 'genre classification'"):
        gather_candidates(CAPTION, index=rows, examples=None)
