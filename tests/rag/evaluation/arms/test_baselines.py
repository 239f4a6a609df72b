from pathlib import Path, PurePosixPath

import numpy as np

from earful.index.corpus import Exemplar
from earful.index.search import Hit
from earful.rag.evaluation.arms.baselines import (
    label_frequencies,
    most_frequent_answer,
    vote_among_answers,
)
from earful.rag.retrieval import Candidates


def exemplar(row: int, answer: str, question: str = "") -> Exemplar:
    return Exemplar(id=f"{row}", audio=PurePosixPath("x.wav"), answer=answer, question=question)


def candidates(*answers: str, row_labels: list[tuple[int, ...]]) -> Candidates:
    return Candidates(
        labels=["cat", "dog", "owl"],
        exemplars=[exemplar(row, answer) for row, answer in enumerate(answers)],
        paths=[Path(f"/{row}.wav") for row in range(len(answers))],
        content=[f"{row}" for row in range(len(answers))],
        vectors=np.eye(len(answers), dtype=np.float32),
        row_labels=row_labels,
    )


def hit(answer: str, similarity: float, question: str = "") -> Hit:
    return Hit(
        exemplar=exemplar(0, answer, question),
        similarity=similarity,
        rank=0,
        path=Path("/x.wav"),
        content_sha256="",
    )


def test_a_labels_frequency_is_its_share_of_the_exemplars() -> None:
    found = candidates(*"abcd", row_labels=[(0,), (0, 1), (1,), (0,)])
    # Cat on three of four, dog on two of four; a row with two labels counts for both.
    assert label_frequencies(found).tolist() == [3 / 4, 2 / 4, 0.0]


def test_the_most_frequent_answer_is_counted_without_case_and_full_stops() -> None:
    found = candidates("Rain.", "a dog", "rain", row_labels=[()] * 3)
    assert most_frequent_answer(found) == ("rain", 2 / 3)


def test_equal_answers_vote_with_their_similarities() -> None:
    shots = [hit("Two", 0.9), hit("one", 0.5), hit("One.", 0.6), hit("three", -0.4)]
    # One has 0.5 + 0.6 of 2.0, in the words of its nearest shot; below 0 nothing counts.
    text, share = vote_among_answers(shots, "", is_caption=False)
    assert (text, round(share, 9)) == ("one", 1.1 / 2.0)
    assert vote_among_answers(shots[3:], "", is_caption=False) == ("three", 0.0)


def test_shots_that_answer_the_same_question_go_first() -> None:
    shots = [hit("two", 0.9, "How many?"), hit("yes", 0.3, "Is it near?"), hit("no", 0.2)]
    assert vote_among_answers(shots, "is it NEAR?", is_caption=False) == ("yes", 1.0)
    # Without such a shot all of them vote: 0.9 of 1.4.
    text, share = vote_among_answers(shots, "Where?", is_caption=False)
    assert (text, share) == ("two", 0.9 / 1.4)


def test_of_captions_the_nearest_is_taken_as_it_is() -> None:
    shots = [hit("A dog.", 0.9), hit("rain", 0.8), hit("rain", 0.8)]
    assert vote_among_answers(shots, "", is_caption=True) == ("A dog.", 0.0)
