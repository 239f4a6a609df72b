"""One recording under several labels votes once, with all of them, whatever sorts first."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from earful.index import Index
from earful.index.builder import build_index
from earful.index.corpus import open_corpus
from earful.index.health import check_health
from earful.rag import FewShot
from earful.rag.evaluation.items import items_of_corpus, items_of_index
from earful.rag.retrieval import Exclusions
from earful.rag.retrieval.vote import label_prior
from earful.rag.task import Task
from tests.support.labelled_vectors import candidates_of, unit
from tests.support.tone_evaluations import HZ, TASK, write_take


def folders(root: Path, one: str, two: str) -> Path:
    """Write two labels of three takes each, and one recording that lies in both."""
    for take in range(3):
        write_take(root / one / f"{take}.wav", HZ["low"], take)
        write_take(root / two / f"{take}.wav", HZ["high"], 10 + take)
    same = write_take(root / one / "same.wav", HZ["middle"], 20)
    (root / two / "same.wav").write_bytes(same.read_bytes())
    return root


def test_two_folders_with_one_recording_share_its_vote(tmp_path: Path) -> None:
    same = write_take(tmp_path / "corpus/cat/same.wav", 700.0, 1)
    (tmp_path / "corpus/dog").mkdir()
    (tmp_path / "corpus/dog/same.wav").write_bytes(same.read_bytes())
    query = write_take(tmp_path / "q.wav", 705.0, 1)
    report = build_index(tmp_path / "corpus", tmp_path / "i", embedder="logmel")
    assert report.contested.n == 1
    assert report.contested.rows == ((("cat/same.wav", ("cat",)), ("dog/same.wav", ("dog",))),)
    answer = FewShot.open(tmp_path / "i").classify(query, always_answer=True)
    assert {s.label: s.score for s in answer.scores} == pytest.approx({"cat": 0.5, "dog": 0.5})
    assert [hit.exemplar.labels for hit in answer.evidence] == [("cat", "dog")]
    (note,) = [note for note in answer.notes if "labels differ" in note]
    assert note.startswith("1 recording stands in several rows whose labels differ")


def test_no_name_of_a_folder_turns_an_answer_round(tmp_path: Path) -> None:
    query = write_take(tmp_path / "q.wav", HZ["middle"] * 1.02, 33)
    scores = []
    for number, (one, two) in enumerate([("a", "b"), ("b", "a")]):
        corpus = folders(tmp_path / f"c{number}", one, two)
        build_index(corpus, tmp_path / f"i{number}", embedder="logmel")
        answer = FewShot.open(tmp_path / f"i{number}").classify(query, always_answer=True)
        found = {score.label: score.score for score in answer.scores}
        scores.append([found[one], found[two]])
    # Calibration draws its cases by row, so the last digits may differ.
    np.testing.assert_allclose(scores[0], scores[1], atol=0.005)


@pytest.mark.slow
def test_two_rows_answer_as_one_row_with_both_labels(tmp_path: Path) -> None:
    corpus = folders(tmp_path / "c", "a", "b")
    query = write_take(tmp_path / "q.wav", HZ["middle"] * 1.02, 33)
    audio = [f"{label}/{take}.wav" for label, take in itertools.product("ab", range(3))]
    rows = "".join(f"{name},{name[0]}\n" for name in audio)
    (corpus / "two.csv").write_text(f"audio,label\n{rows}a/same.wav,a\nb/same.wav,b\n")
    (corpus / "one.csv").write_text(f"audio,label\n{rows}a/same.wav,a|b\n")
    (corpus / "ids.csv").write_text(
        f"audio,label,id\n{''.join(f'{x},{x[0]},{x}' + chr(10) for x in audio)}"
        "a/same.wav,a,z1\na/same.wav,b,z2\n"
    )
    answers = {}
    for name in ("two", "one", "ids"):
        build_index(corpus / f"{name}.csv", tmp_path / f"{name}.index", embedder="logmel")
        answer = FewShot.open(tmp_path / f"{name}.index").classify(query, always_answer=True)
        answers[name] = {s.label: round(s.score, 9) for s in answer.scores}
    assert answers["two"] == answers["one"] == answers["ids"]


VECTORS = unit(np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]))


def test_candidates_of_equal_audio_have_the_labels_of_all() -> None:
    content = ["x", "x", "y", "z"]
    found = candidates_of(VECTORS, [["b"], ["a"], ["a"], ["b"]], content=content)
    assert found.row_labels[:2] == ((0, 1), (0, 1))
    assert found.contested == ((0, 1),)
    assert found.distinct.tolist() == [0, 2, 3]
    assert found.once(np.array([False, True, True, False])).tolist() == [False, True, True, False]
    # Equal labels are one voter too, and nobody's are in question.
    agreed = candidates_of(VECTORS, [["a"], ["a"], ["b"], ["b"]], content=content)
    assert agreed.contested == ()
    assert agreed.distinct.tolist() == [0, 2, 3]


def test_the_frequency_of_a_label_counts_equal_audio_once() -> None:
    found = candidates_of(
        VECTORS, [["a"], ["a"], ["a"], ["b"]], content=["x", "x", "y", "z"], kind="multilabel"
    )
    np.testing.assert_allclose(label_prior(found), [3 / 5, 2 / 5])


def test_what_is_excluded_by_one_group_is_so_in_every_other() -> None:
    found = candidates_of(
        VECTORS,
        [["a"], ["b"], ["a"], ["b"]],
        content=["x", "x", "y", "z"],
        groups=["g", "h", "h", "i"],
    )
    assert found.allowed(Exclusions(group="g")).tolist() == [False, False, True, True]
    assert found.exclusions_of(0).groups == {"g", "h"}
    assert found.allowed(found.exclusions_of(0)).tolist() == [False, False, False, True]


def test_an_evaluation_asks_about_equal_audio_once(tmp_path: Path) -> None:
    corpus = folders(tmp_path / "c", "a", "b")
    (corpus / "a/again.wav").write_bytes((corpus / "a/0.wav").read_bytes())
    build_index(corpus, tmp_path / "i", embedder="logmel")
    few = FewShot.open(tmp_path / "i")
    for items in (
        items_of_index(TASK, Index.open(tmp_path / "i").vectors()),
        items_of_corpus(TASK, open_corpus(corpus), few.embedder),
    ):
        assert [item.id for item in items.items] == [f"{x}/{n}.wav" for x in "ab" for n in range(3)]
        assert "2 rows carry several of the labels" in items.notes[0]
        assert "1 row is of the same audio as another" in items.notes[1]
    several = items_of_index(
        Task(name="t", kind="multilabel"), Index.open(tmp_path / "i").vectors()
    )
    by_id = {item.id: item.labels for item in several.items}
    assert by_id["a/same.wav"] == ("a", "b")
    assert "b/same.wav" not in by_id


def test_health_says_what_to_do_about_labels_that_differ(tmp_path: Path) -> None:
    corpus = folders(tmp_path / "c", "a", "b")
    build_index(corpus, tmp_path / "i", embedder="logmel")
    health = check_health(Index.open(tmp_path / "i"), audio=False)
    (copy,) = [one for one in health.findings if one.kind == "copy"]
    assert "it counts once, as 'a' + 'b'" in copy.what
    assert "one row with the labels 'a|b'" in copy.next
    assert "remove all but one" not in copy.next
    neighbours = [set(one.neighbours) for one in health.findings if one.neighbours]
    assert not any({"a/same.wav", "b/same.wav"} <= near for near in neighbours)
