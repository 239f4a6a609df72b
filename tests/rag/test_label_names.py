"""Answers that the names of labels help to give, and those that abstain."""

from pathlib import Path

import numpy as np
import pytest

from earful.errors import TaskError
from earful.index.builder import build_index
from earful.model import ScriptedLanguageModel
from earful.rag import FewShot
from earful.rag.task import Label, Task
from tests.support.label_namers import NamedSamples, write_heard
from tests.support.labelled_tones import prefers

NAMED = ("first", "second", "third")


@pytest.fixture
def few(tmp_path: Path) -> FewShot:
    """Two exemplars of ``first`` and one each of ``second`` and ``x17``."""
    root = tmp_path / "corpus"
    write_heard(root / "first/1.wav", [0.6, 0.8])
    write_heard(root / "first/2.wav", [0.6, -0.8])
    write_heard(root / "second/1.wav", [0.6, 0, 0.8])
    write_heard(root / "x17/1.wav", [0, 0, 1])
    build_index(root, tmp_path / "heard.index", embedder=NamedSamples())
    return FewShot.open(tmp_path / "heard.index", embedder=NamedSamples())


@pytest.fixture
def query(tmp_path: Path) -> Path:
    """As like ``first`` as ``second``; what is heard best is ``third``, then ``second``."""
    return write_heard(tmp_path / "query.wav", [1], {"second": 1.0, "third": 3.0})


def test_a_name_decides_between_labels_that_are_alike(few: FewShot, query: Path) -> None:
    answer = few.classify(query, labels=["first", "second"])
    assert answer.text == "second"
    # Without what is heard, there is no telling.
    silent = write_heard(query.with_name("silent.wav"), [1])
    even = few.classify(silent, labels=["first", "second"])
    assert even.scores[0].score == pytest.approx(even.scores[1].score, abs=1e-6)
    assert even.abstained
    assert even.reason == "'first' and 'second' cannot be told apart"
    assert even.summary().startswith("not sure ('first' and 'second' cannot be told apart); best")
    sure = few.classify(silent, labels=["first", "second"], always_answer=True)
    assert (sure.text, sure.abstained, sure.reason) == ("first", False, "")


def test_a_label_without_exemplars_is_answered_by_its_name(few: FewShot, query: Path) -> None:
    answer = few.classify(query, labels=["first", "third"])
    assert answer.text == "third"
    assert answer.notes[0] == "no exemplar has the label 'third', so only its name speaks for it"
    assert {hit.exemplar.labels for hit in answer.evidence} == {("first",)}
    # Nothing is known of a code without exemplars, so it is an error as ever.
    with pytest.raises(TaskError, match=r"no exemplar has the label 'x18'\. Did you mean 'x17'"):
        few.classify(query, labels=["first", "second", "x18"])
    # A task may have such a label: it is no answer, and the note says so.
    task = Task(name="t", labels={name: Label() for name in ("first", "third", "second", "x18")})
    noted = few.classify(query, task=task)
    assert noted.notes[:2] == (
        "no exemplar has the label 'x18'",
        "no exemplar has the label 'third', so only its name speaks for it",
    )
    assert noted.scores[-1].label == "x18"


def test_a_label_that_is_spelt_nearly_like_one_of_the_index_is_asked_about(
    tmp_path: Path, query: Path
) -> None:
    for name in ("first", "Thirds"):
        write_heard(tmp_path / f"spelt/{name}/1.wav", [0.6, 0.8])
    build_index(tmp_path / "spelt", tmp_path / "spelt.index", embedder=NamedSamples())
    few = FewShot.open(tmp_path / "spelt.index", embedder=NamedSamples())
    note = "no exemplar has the label 'third', so only its name speaks for it"
    assert few.classify(query, labels=["first", "third"]).notes[0] == (
        f"{note}; did you mean 'Thirds'?"
    )
    # Who asks for both knows both.
    assert few.classify(query, labels=["Thirds", "third"]).notes[0] == note


def test_a_choice_of_one_label_is_told_to_be_none(few: FewShot, query: Path) -> None:
    (note, *_) = few.classify(query, labels=["first"]).notes
    assert note == "'first' is the only label, so that nothing else could be answered"


def test_names_are_read_as_a_task_words_them(few: FewShot, query: Path) -> None:
    labels = {"first": Label(), "y2": Label(wording="third")}
    assert few.classify(query, task=Task(name="t", labels=labels)).text == "y2"


def test_codes_do_not_count(few: FewShot, query: Path) -> None:
    # The median of 0.2, 0.2 and 1 is that of a code: "second" is not heard any more.
    answer = few.classify(query, labels=["x17", "second"])
    assert few.retriever.prepare(Task(name="all-labels"), ["x17", "second"]).means.names is not None
    codes = Task(name="t", labels={"first": Label(wording="x1"), "second": Label(), "x17": Label()})
    prepared = few.retriever.prepare(codes)
    assert prepared.means.names is None
    scores = {score.label: score.score for score in few.classify(query, task=codes).scores}
    assert scores["first"] == pytest.approx(scores["second"], abs=1e-6)
    assert answer.text == "second"
    # With several labels right there is no telling by how much each is heard.
    several = Task(name="t", kind="multilabel", labels=dict.fromkeys(NAMED[:2], Label()))
    assert few.retriever.prepare(several).means.names is None


def test_names_alone_answer_without_any_exemplar(query: Path) -> None:
    few = FewShot(embedder=NamedSamples())
    answer = few.classify(query, labels=["first", "second", "third"])
    assert answer.text == "third"
    assert answer.model == "label-names"
    assert answer.evidence == ()
    assert answer.notes == ("no exemplar was used: the names of the labels alone speak for them",)
    # Heard by 0, 1 and 3 standard deviations; 0.4 of them make a label e times as likely.
    weights = np.exp(np.array([3, 1, 0]) / 0.4)
    found = [score.score for score in answer.scores]
    np.testing.assert_allclose(found, weights / weights.sum(), atol=1e-5)
    batch = few.classify_batch([query, query], labels=["first", "second", "third"])
    assert [one.scores for one in batch if not isinstance(one, Exception)] == [answer.scores] * 2
    silent = write_heard(query.with_name("silent.wav"), [1])
    assert few.classify(silent, labels=["first", "second"]).reason.endswith("cannot be told apart")


def test_names_alone_answer_only_where_all_are_known(few: FewShot, query: Path) -> None:
    alone = FewShot(embedder=NamedSamples())
    for labels in (["first", "second", "x17"], ["x17", "x18"]):
        with pytest.raises(TaskError, match="no exemplar has the label 'x17'"):
            alone.classify(query, labels=labels)
    with pytest.raises(TaskError, match="no labels to choose from"):
        alone.classify(query)
    with pytest.raises(TaskError, match="3 shots are asked for, but there is no exemplar to show"):
        alone.classify(query, labels=["first", "second"], shots=3)
    several = Task(name="t", kind="multilabel", labels=dict.fromkeys(NAMED, Label()))
    with pytest.raises(TaskError, match="no exemplar has the label 'first', 'second', 'third'"):
        alone.classify(query, task=several)
    # An index that has none of the labels is no worse than none.
    answer = few.classify(query, labels=["third"])
    assert (answer.text, answer.model) == ("third", "label-names")


def test_a_task_without_examples_is_answered_by_the_names_of_its_labels(query: Path) -> None:
    task = Task(name="t", labels=dict.fromkeys(NAMED, Label()))
    few = FewShot.from_task(task, embedder=NamedSamples())
    assert few.classify(query, task=task).text == "third"
    with pytest.raises(TaskError, match="brings no examples"):
        FewShot.from_task(task, embedder="logmel")
    with pytest.raises(TaskError, match="brings no examples"):
        FewShot.from_task(Task(name="t"), embedder=NamedSamples())


def test_a_language_model_is_weighed_against_names_that_speak(few: FewShot, query: Path) -> None:
    few.model = ScriptedLanguageModel(log_probability=prefers("first"))
    answer = few.classify(query, labels=["first", "third"])
    assert answer.blend is not None
    assert answer.vote[0].label == "third"
    voted = few.classify(query, labels=["third", "second"], arm="vote")
    assert voted.model == "neighbour-vote"


def near(seed: int, axis: int) -> list[float]:
    """A direction near an axis."""
    noise = 0.1 * np.random.default_rng([seed, axis]).standard_normal(6)
    noise[axis] += 1
    return list(noise / np.linalg.norm(noise))


def test_a_query_unlike_everything_abstains_and_says_so(tmp_path: Path) -> None:
    for axis, label in enumerate(("a1", "b2")):
        for take in range(30):
            write_heard(tmp_path / f"corpus/{label}/{take}.wav", near(take, axis))
    build_index(tmp_path / "corpus", tmp_path / "two.index", embedder=NamedSamples())
    few = FewShot.open(tmp_path / "two.index", embedder=NamedSamples())
    usual = few.classify(write_heard(tmp_path / "usual.wav", near(99, 0)))
    assert (usual.text, usual.abstained, usual.reason) == ("a1", False, "")
    strange = write_heard(tmp_path / "strange.wav", [0.1, 0.2, 0, 0, 0, 1])
    answer = few.classify(strange)
    assert answer.abstained
    assert answer.text == "b2"
    assert answer.reason == "nothing here is like it"
    assert answer.to_dict()["reason"] == answer.reason
    insisted = few.classify(strange, always_answer=True)
    assert (insisted.text, insisted.abstained, insisted.reason) == ("b2", False, "")
    assert insisted.scores == answer.scores
    # What the task asks for counts in any case.
    task = Task(name="t", labels={"a1": Label(), "b2": Label()}, abstain_below=1.0)
    wanted = few.classify(strange, task=task, always_answer=True)
    assert wanted.reason.endswith("is below 100%, as the task wants it")
    # A language model beside the vote changes nothing of what the index holds.
    few.model = ScriptedLanguageModel(log_probability=prefers("a1"))
    for arm in ("model", "blend"):
        doubted = few.classify(strange, arm=arm)
        assert doubted.reason.startswith("nothing here is like it")
    assert few.classify(strange, shots=0).reason == ""
