"""What is fitted on an index and a task is fitted once, and anew once either is another."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earful.index import Index
from earful.index.builder import build_index
from earful.model import Fingerprint
from earful.rag import FewShot
from earful.rag.retrieval import Retriever, prepared_task
from earful.rag.retrieval.calibration import fit_calibration
from earful.rag.task import Label, Shots, Task, load_task
from tests.support.class_scorers import ScoredSamples
from tests.support.small_corpus import LABELS, Samples, write_corpus

Ask = Callable[..., Any]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "sounds", 30)


@pytest.fixture
def index(corpus: Path) -> Path:
    path = corpus.parent / "sounds.index"
    build_index(corpus, path, embedder=ScoredSamples())
    return path


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was fitted so far."""
    seen: list[object] = []
    fit = fit_calibration

    def count(*given: Any, **named: Any) -> Any:
        seen.append(named)
        return fit(*given, **named)

    monkeypatch.setattr(prepared_task, "fit_calibration", count)
    return seen


@pytest.fixture
def ask(index: Path, corpus: Path) -> Ask:
    """Open the index as another process would, and ask."""

    def answer(task: Task | None = None, **named: Any) -> Any:
        embedder = named.pop("embedder", None) or ScoredSamples()
        few = FewShot.open(index, embedder=embedder)
        found = few.classify(corpus / "dog/0000.wav", task=task, **named).to_dict()
        return {name: value for name, value in found.items() if name != "timings"}

    return answer


def test_another_process_does_not_fit_again(ask: Ask, fits: list[object]) -> None:
    first = ask()
    assert len(fits) == 1
    assert ask() == first
    assert len(fits) == 1


@pytest.mark.slow
def test_other_labels_tasks_shots_and_seeds_are_fitted_by_themselves(
    ask: Ask, fits: list[object]
) -> None:
    plain = Task(name="t", labels={label: Label() for label in LABELS})
    seen = 0
    questions: list[tuple[Task | None, dict[str, Any]]] = [
        (None, {}),
        (None, {"labels": LABELS[:2]}),
        (None, {"labels": LABELS[1::-1]}),
        (plain, {}),
        (replace(plain, labels={**plain.labels, "dog": Label(wording="a hound")}), {}),
        (replace(plain, labels={**plain.labels, "dog": Label(aliases=("hound",))}), {}),
        (plain, {"strategy": "random", "shots": 4}),
        (plain, {"strategy": "random", "shots": 5}),
        (plain, {"strategy": "random", "shots": 5, "seed": 1}),
    ]
    answers = []
    for task, named in questions:
        answers.append(ask(task, **named))
        assert len(fits) > seen, (task, named)
        seen = len(fits)
    assert [ask(task, **named) for task, named in questions] == answers
    assert len(fits) == seen


def test_another_embedder_fits_by_itself(
    ask: Ask, fits: list[object], index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    monkeypatch.setattr(Index, "require", lambda *_: None)
    other: Fingerprint = replace(ScoredSamples.fingerprint, weights_sha256="cd")
    embedder = ScoredSamples()
    embedder.fingerprint = other
    ask(embedder=embedder)
    assert len(fits) == 2


def test_rows_that_come_and_go_are_fitted_again(
    ask: Ask, fits: list[object], index: Path, corpus: Path
) -> None:
    before = ask()
    write_corpus(corpus, 35, seed=1)
    build_index(corpus, index, embedder=ScoredSamples())
    assert ask()["confidence"] != before["confidence"]
    assert len(fits) == 2
    Index.open(index).remove(["rain/0002.wav"])
    ask()
    assert len(fits) == 3


@pytest.mark.slow
def test_rows_that_changed_under_an_open_index_are_not_kept_as_those_of_another_state(
    index: Path, corpus: Path, fits: list[object]
) -> None:
    few = FewShot.open(index, embedder=ScoredSamples())
    Index.open(index).remove(["rain/0002.wav"])
    old = few.classify(corpus / "dog/0000.wav").to_dict()["confidence"]
    new = FewShot.open(index, embedder=ScoredSamples())
    found = new.classify(corpus / "dog/0000.wav").to_dict()["confidence"]
    assert len(fits) == 2
    new.index.refresh()  # type: ignore[union-attr]
    assert new.classify(corpus / "dog/0000.wav").to_dict()["confidence"] == found
    few.index.refresh()  # type: ignore[union-attr]
    assert few.classify(corpus / "dog/0000.wav").to_dict()["confidence"] == found
    assert isinstance(old, float)
    assert old > 0
    assert len(fits) == 2


@pytest.mark.slow
def test_a_damaged_file_is_fitted_again(ask: Ask, fits: list[object], index: Path) -> None:
    first = ask()
    for path in (index / "prepared").iterdir():
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert ask() == first
    assert len(fits) == 2
    shutil.rmtree(index / "prepared")
    assert ask() == first
    assert len(fits) == 3


def test_a_filter_of_exemplars_keeps_nothing(index: Path, corpus: Path, fits: list[object]) -> None:
    for _ in range(2):
        retriever = Retriever(
            embedder=ScoredSamples(),
            index=Index.open(index),
            exemplar_filter=lambda exemplar: "dog" in exemplar.labels or "rain" in exemplar.labels,
        )
        FewShot(retriever=retriever).classify(corpus / "dog/0000.wav")
    assert len(fits) == 2


# --- a task's own examples -------------------------------------------------------------------


def test_examples_are_embedded_once_until_their_file_is_another(
    index: Path, corpus: Path, tmp_path: Path
) -> None:
    shutil.copy(corpus / "door/0003.wav", tmp_path / "mine.wav")
    file = tmp_path / "t.toml"
    file.write_text('examples = [{audio = "mine.wav", label = "dog"}]')

    def embedded() -> tuple[int, list[str], float | None]:
        embedder = ScoredSamples()
        few = FewShot.open(index, embedder=embedder)
        answer = few.classify(corpus / "dog/0000.wav", task=load_task(file), shots=Shots().k)
        return embedder.n_clips, [hit.exemplar.id for hit in answer.evidence], answer.confidence

    n_clips, *first = embedded()
    assert n_clips == 2
    assert embedded() == (1, *first)
    shutil.copy(corpus / "siren/0001.wav", tmp_path / "mine.wav")
    n_clips, *second = embedded()
    assert n_clips == 2
    assert embedded() == (1, *second)
    shutil.copy(corpus / "door/0003.wav", tmp_path / "mine.wav")
    assert embedded() == (1, *first)  # the file as it was
    (tmp_path / "mine.wav").unlink()
    with pytest.raises(Exception, match=r"mine\.wav"):
        embedded()


def test_an_embedder_without_class_scores_does_not_find_those_of_one_with(
    index: Path, corpus: Path, tmp_path: Path
) -> None:
    shutil.copy(corpus / "door/0003.wav", tmp_path / "mine.wav")
    file = tmp_path / "t.toml"
    file.write_text('examples = [{audio = "mine.wav", label = "dog"}]')

    for embedder, has_scores in ((ScoredSamples(), True), (Samples(), False)) * 2:
        retriever = Retriever(embedder=embedder, index=Index.open(index))
        scores = retriever.prepare(load_task(file)).candidates.class_scores
        assert (scores is not None) is has_scores
