"""Exemplars asked about as if they were queries, by a scripted language model."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earful.index import Index
from earful.index.builder import build_index
from earful.index.cache.scores import REPLAYS_NAME
from earful.model import Prompt, ScriptedLanguageModel
from earful.model.scripted import CAPABILITIES
from earful.rag import FewShot
from earful.rag.blend import UNFITTED
from earful.rag.generation.leave_one_out import held_out_rows
from earful.rag.retrieval import LabelScoring
from earful.rag.task import Label, Task
from tests.support.labelled_tones import RATE, tone, write_wav

# Two bands that overlap, so that the vote is often wrong.
HZ = {"low": (200.0, 700.0), "high": (500.0, 1200.0)}
N_EACH = 15
KNOWN = replace(CAPABILITIES, weights_sha256="a" * 64)


def write(path: Path, hz: float, seed: int) -> Path:
    return write_wav(path, tone(hz, seed, rate=RATE, seconds=0.125, noise=0.02), RATE)


def corpus(root: Path, n_each: int = N_EACH) -> Path:
    rng = np.random.default_rng(5)
    for label, (low, high) in HZ.items():
        for take in range(n_each):
            write(root / label / f"{take}.wav", rng.uniform(low, high), take)
    return root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("indexes") / "tones.index"
    build_index(corpus(tmp_path_factory.mktemp("corpus")), path, embedder="logmel")
    return path


@pytest.fixture
def index(built: Path) -> Path:
    for kept in (built / REPLAYS_NAME).glob("*"):
        kept.unlink()
    return built


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("high") / "q.wav", 600.0, 99)


def asked_about(prompt: Prompt) -> str:
    """Return the label in a prompt's last recording's path: the right answer."""
    return Path(str(prompt.clips[-1].audio)).parent.name.rstrip("0123456789")


def scripted(odds: Callable[[Prompt], dict[str, float]]) -> ScriptedLanguageModel:
    return ScriptedLanguageModel(
        log_probability=lambda prompt, answer: math.log(odds(prompt)[answer]), capabilities=KNOWN
    )


def right(prompt: Prompt) -> dict[str, float]:
    return {label: 0.9 if label == asked_about(prompt) else 0.1 for label in HZ}


def wrong(prompt: Prompt) -> dict[str, float]:
    return {label: 0.1 if label == asked_about(prompt) else 0.9 for label in HZ}


def drawn(prompt: Prompt) -> dict[str, float]:
    share = np.random.default_rng(int(prompt.digest[:8], 16)).uniform(0.02, 0.98)
    return dict(zip(HZ, (share, 1 - share), strict=True))


def test_a_model_that_is_right_decides(index: Path, query: Path) -> None:
    model = scripted(right)
    answer = FewShot.open(index, model=model).classify(query, shots=5)
    blend = answer.blend
    assert blend is not None
    assert blend.n_held_out == 2 * N_EACH
    assert len(model.prompts) == 1 + 2 * N_EACH
    assert blend.weight > 0
    assert blend.model_accuracy == blend.blend_accuracy == 1.0
    assert blend.vote_accuracy < 1.0
    assert answer.text == "high"
    assert "blend_s" in answer.timings
    values = answer.to_dict()
    assert values["blend"] == blend.to_dict()
    assert values["model_scores"] == [
        {"label": "high", "score": 0.9},
        {"label": "low", "score": 0.1},
    ]


@pytest.mark.parametrize("odds", [wrong, drawn])
def test_a_model_that_is_no_help_leaves_the_vote_alone(
    index: Path, query: Path, odds: Callable[[Prompt], dict[str, float]]
) -> None:
    answer = FewShot.open(index, model=scripted(odds)).classify(query, shots=5)
    assert answer.blend is not None
    assert answer.blend.weight == 0.0
    assert answer.scores == answer.vote
    voted = FewShot.open(index).classify(query, shots=5)
    assert (answer.text, answer.confidence) == (voted.text, voted.confidence)


def test_an_exemplar_meets_neither_itself_nor_its_group(tmp_path: Path, query: Path) -> None:
    rows = ["file_name,label,group"]
    for take in range(16):
        label = list(HZ)[take % 2]
        write(tmp_path / "corpus" / f"{take}.wav", HZ[label][0] + 10 * take, take)
        rows.append(f"{take}.wav,{label},site {take // 4}")
    (tmp_path / "corpus" / "metadata.csv").write_text("\n".join(rows) + "\n")
    build_index(tmp_path / "corpus", tmp_path / "s.index", embedder="logmel")
    model = ScriptedLanguageModel()
    FewShot.open(tmp_path / "s.index", model=model).classify(query, shots=5)
    held_out = [prompt for prompt in model.prompts if prompt.clips[-1].is_exemplar]
    assert len(held_out) == 16
    for prompt in held_out:
        *shots, asked = (int(Path(str(clip.audio)).stem) // 4 for clip in prompt.clips)
        assert len(shots) == 5
        assert asked not in shots


def test_a_second_question_costs_one_pass(index: Path, query: Path) -> None:
    model = scripted(right)
    few = FewShot.open(index, model=model)
    first = few.classify(query, shots=5)
    n_first = len(model.prompts)
    second = few.classify(query, shots=5)
    assert len(model.prompts) == n_first + 1
    # And one in another process.
    again = scripted(wrong)
    third = FewShot.open(index, model=again).classify(query, shots=5)
    assert len(again.prompts) == 1
    assert first.blend == second.blend == third.blend


def test_weights_that_are_unknown_are_not_remembered(index: Path, query: Path) -> None:
    few = FewShot.open(index, model=ScriptedLanguageModel())
    few.classify(query, shots=5)
    assert not list((index / REPLAYS_NAME).glob("*"))
    other = ScriptedLanguageModel()
    few.model = other
    few.classify(query, shots=5)
    assert len(other.prompts) == 1 + 2 * N_EACH


def test_what_the_scores_depend_on_has_them_asked_anew(index: Path, query: Path) -> None:
    model = scripted(right)
    few = FewShot.open(index, model=model)
    task = Task(name="t", labels={"low": Label(), "high": Label()})

    def n_asked(**choices: object) -> int:
        before = len(model.prompts)
        few.classify(query, **{"shots": 5, "task": task, **choices})  # type: ignore[call-overload]
        return len(model.prompts) - before

    assert n_asked() == 31
    assert n_asked() == 1
    assert n_asked(shots=4) == 31
    assert n_asked(strategy="balanced") == 31
    assert n_asked(shot_mode="text") == 31
    assert n_asked(task=replace(task, question="Which band?")) == 31
    assert n_asked(scoring=LabelScoring(length="mean")) == 31
    # Neither the seed of choices that are not drawn nor what only the answer is held to.
    assert n_asked(seed=3) == 1
    assert n_asked(task=replace(task, name="other", abstain_below=0.9)) == 1
    assert n_asked(strategy="random", seed=3) == 31
    assert n_asked(strategy="random", seed=4) == 31
    few.model = model = scripted(right)
    model._capabilities = replace(KNOWN, weights_sha256="b" * 64)
    assert n_asked() == 31


def test_a_changed_index_has_them_asked_anew(tmp_path: Path, query: Path) -> None:
    root = corpus(tmp_path / "corpus", 5)
    build_index(root, tmp_path / "s.index", embedder="logmel")
    model = scripted(right)
    few = FewShot.open(tmp_path / "s.index", model=model)
    few.classify(query, shots=3)
    assert len(model.prompts) == 11
    assert few.index is not None
    few.index.remove(["low/0.wav"])
    few.classify(query, shots=3)
    assert len(model.prompts) == 11 + 10


def test_an_interrupted_fit_resumes_where_it_was(index: Path, query: Path) -> None:
    def impatient(prompt: Prompt) -> dict[str, float]:
        if len(model.prompts) == 11:
            raise KeyboardInterrupt
        return right(prompt)

    model = scripted(impatient)
    with pytest.raises(KeyboardInterrupt):
        FewShot.open(index, model=model).classify(query, shots=5)
    progress: list[tuple[int, int]] = []
    calm = scripted(right)
    few = FewShot.open(index, model=calm)
    few.classify(query, shots=5, progress=lambda *counts: progress.append(counts))
    assert len(calm.prompts) == 1 + 30 - 9
    assert progress == [(n, 30) for n in range(10, 31)]


def test_an_index_that_takes_nothing_is_noted_and_serves(index: Path, query: Path) -> None:
    (index / REPLAYS_NAME).rmdir() if (index / REPLAYS_NAME).is_dir() else None
    (index / REPLAYS_NAME).write_text("in the way, as a read-only folder would be")
    try:
        model = scripted(right)
        few = FewShot.open(index, model=model)
        answer = few.classify(query, shots=5)
        assert any("cannot be kept in" in note for note in answer.notes)
        few.classify(query, shots=5)
        assert len(model.prompts) == 32
    finally:
        (index / REPLAYS_NAME).unlink()


def test_exemplars_that_are_gone_stop_no_other(tmp_path: Path, query: Path) -> None:
    def hears(prompt: Prompt) -> dict[str, float]:
        from earful.errors import AudioError

        if Path(str(prompt.clips[-1].audio)).stem == "0" and prompt.clips[-1].is_exemplar:
            raise AudioError("no such file")
        return right(prompt)

    build_index(corpus(tmp_path / "corpus", 5), tmp_path / "s.index", embedder="logmel")
    answer = FewShot.open(tmp_path / "s.index", model=scripted(hears)).classify(query, shots=3)
    assert answer.blend is not None
    assert answer.blend.n_held_out == 8


def test_with_too_few_exemplars_nothing_is_fitted(tmp_path: Path, query: Path) -> None:
    build_index(corpus(tmp_path / "corpus", 3), tmp_path / "s.index", embedder="logmel")
    model = scripted(right)
    answer = FewShot.open(tmp_path / "s.index", model=model).classify(query, shots=3)
    assert answer.blend == UNFITTED
    assert len(model.prompts) == 1
    votes, own = ({s.label: s.score for s in x} for x in (answer.vote, answer.model_scores))
    raw = {x: votes[x] ** 0.5 * own[x] ** 0.25 for x in votes}
    for score in answer.scores:
        assert score.score == pytest.approx(raw[score.label] / sum(raw.values()))


def test_where_the_vote_knows_nothing_nothing_is_blended(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(
        log_probability=lambda _prompt, answer: 0.0 if answer == "bell" else -2.0
    )
    few = FewShot.open(index, model=model)
    answer = few.classify(query, labels=["low", "bell"], shots=2)
    assert (answer.text, answer.blend, len(model.prompts)) == ("bell", None, 1)
    assert any("the model decides alone" in note for note in answer.notes)
    alone = few.classify(query, shots=0)
    assert (alone.blend, alone.vote, alone.notes) == (None, (), ())


def test_without_a_blend_the_models_scores_stand_alone(index: Path, query: Path) -> None:
    model = scripted(wrong)
    answer = FewShot.open(index, model=model).classify(query, shots=5, arm="model")
    assert answer.text == "low"
    assert answer.confidence == pytest.approx(0.9)
    assert (answer.blend, answer.model_scores, len(model.prompts)) == (None, (), 1)


def test_of_several_labels_each_is_asked_about(index: Path, query: Path) -> None:
    def hears(prompt: Prompt, answer: str) -> float:
        asked = str(prompt.parts[-1])
        return math.log(0.9 if (asked_about(prompt) in asked) == (answer == "yes") else 0.1)

    model = ScriptedLanguageModel(log_probability=hears)
    task = Task(name="bands", kind="multilabel", labels={"low": Label(), "high": Label()})
    answer = FewShot.open(index, model=model).classify(query, task=task, shots=5)
    assert answer.blend is not None
    assert answer.blend.weight > 0
    assert answer.blend.model_accuracy == 1.0
    assert len(model.prompts) == 2 * (1 + 2 * N_EACH)
    assert answer.text == "high"


def test_held_out_exemplars_are_the_same_ones_and_labels_take_turns(built: Path) -> None:
    few = FewShot.open(Index.open(built))
    found = few.retriever.prepare(Task(name="t")).candidates
    rows = list(held_out_rows(found, exclusive=True, most=9))
    assert rows == list(held_out_rows(found, exclusive=True, most=9))
    assert len(set(rows)) == 9
    labels = [found.row_labels[row][0] for row in rows]
    assert labels == [0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert len(list(held_out_rows(found, exclusive=True))) == 2 * N_EACH
    alone = found.subset(np.array([0, N_EACH]), [0, 1])
    assert not list(held_out_rows(alone, exclusive=True))
