"""Language models that are shown labels, each with all of its exemplars."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from earful.index.builder import build_index
from earful.model import Prompt, Prototype, ScriptedLanguageModel, Text
from earful.model.flamingo import Control, render_prompt
from earful.model.scripted import CAPABILITIES
from earful.rag import FewShot
from earful.rag.blend import Blend
from earful.rag.generation.prototypes import MOST_HEARD
from earful.rag.task import Task
from tests.support.label_namers import NamedSamples, write_heard

SEVEN = replace(
    CAPABILITIES,
    max_audios=8,
    prototypes_by=NamedSamples.fingerprint.weights_sha256,
    blend=(0.25, 2.0),
)


def scripted(favourite: str = "second", **limits: object) -> ScriptedLanguageModel:
    """Make a model that says one label three times as likely as any other."""
    return ScriptedLanguageModel(
        log_probability=lambda _prompt, answer: math.log(3.0) if answer == favourite else 0.0,
        capabilities=replace(SEVEN, **limits),  # type: ignore[arg-type]
    )


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Two exemplars of ``first``, one of ``second`` and ten of ``third``."""
    root = tmp_path / "corpus"
    write_heard(root / "first/1.wav", [0.6, 0.8])
    write_heard(root / "first/2.wav", [0.6, -0.8])
    write_heard(root / "second/1.wav", [0.8, 0, 0.6])
    for number in range(10):
        write_heard(root / f"third/{number}.wav", [0, 0, 0, 1, number / 10])
    build_index(root, tmp_path / "heard.index", embedder=NamedSamples())
    return tmp_path / "heard.index"


def shown(prompt: Prompt) -> list[Prototype]:
    return [place for place in prompt.places if isinstance(place, Prototype)]


def test_labels_are_shown_with_their_exemplars_the_best_last(index: Path, tmp_path: Path) -> None:
    query = write_heard(tmp_path / "query.wav", [1], {"first": -1.0, "second": 2.0})
    model = scripted()
    answer = FewShot.open(index, embedder=NamedSamples(), model=model).classify(query)
    (prompt,) = model.prompts
    labels = shown(prompt)
    assert [label.label for label in labels] == ["third", "first", "second"]
    assert [len(label.clips) for label in labels] == [MOST_HEARD, 2, 1]
    assert [label.similarity for label in labels] == pytest.approx([0.0, 0.6, 0.8], abs=1e-6)
    assert [label.heard for label in labels] == pytest.approx([0.0, -1.0, 2.0], abs=1e-6)
    words = [(part.text, part.is_answer) for part in prompt.parts if isinstance(part, Text)]
    assert [text for text, is_answer in words if is_answer] == ["third", "first", "second"]
    # What stands as evidence is the nearest exemplars, as ever.
    assert [hit.exemplar.labels for hit in answer.evidence[:3]] == [
        ("second",),
        ("first",),
        ("first",),
    ]
    assert "[audio 1] label 'third': 8 exemplars, similarity +0.00, name +0.0" in prompt.render()
    assert render_prompt(prompt).count(Control.AUDIO) == len(labels) + 1


def test_the_blend_has_the_weight_that_training_found(index: Path, tmp_path: Path) -> None:
    query = write_heard(tmp_path / "query.wav", [1])
    answer = FewShot.open(index, embedder=NamedSamples(), model=scripted()).classify(query)
    assert answer.blend == Blend(weight=0.25, temperature=2.0, is_trained=True)
    votes, own, both = (
        {score.label: score.score for score in scores}
        for scores in (answer.vote, answer.model_scores, answer.scores)
    )
    assert own == pytest.approx({"first": 0.2, "second": 0.6, "third": 0.2})
    raw = {label: votes[label] ** 0.75 * own[label] ** 0.125 for label in votes}
    assert both == pytest.approx({label: raw[label] / sum(raw.values()) for label in raw})


def test_a_weight_of_training_makes_no_undecided_vote_firm(index: Path, tmp_path: Path) -> None:
    # As far from all exemplars as can be: the vote is even, and the model is sure.
    query = write_heard(tmp_path / "query.wav", [-0.5, 0, 0, -0.5, 0, 0, 0, 1])
    sure = ScriptedLanguageModel(
        log_probability=lambda _prompt, answer: 0.0 if answer == "second" else -30.0,
        capabilities=SEVEN,
    )
    few = FewShot.open(index, embedder=NamedSamples(), model=sure)
    answer = few.classify(query)
    first, second, _ = (score.score for score in answer.vote)
    assert first - second < 0.02 * (first + second)
    assert answer.model_scores[0].score == pytest.approx(1.0)
    assert answer.scores[0].score > 1.3 * answer.scores[1].score
    assert (answer.text, answer.abstained) == ("second", True)
    assert "nothing here is like it" in answer.reason or "cannot be told apart" in answer.reason
    assert not few.classify(query, always_answer=True).abstained
    near = write_heard(tmp_path / "near.wav", [0.8, 0, 0.6])
    assert not few.classify(near).abstained


def test_labels_that_do_not_fit_keep_the_votes_share(index: Path, tmp_path: Path) -> None:
    query = write_heard(tmp_path / "query.wav", [1])
    model = scripted(max_audios=3)  # two labels and the query
    answer = FewShot.open(index, embedder=NamedSamples(), model=model).classify(query)
    (prompt,) = model.prompts
    assert [label.label for label in shown(prompt)] == ["first", "second"]
    votes, own = (
        {x.label: x.score for x in scores} for scores in (answer.vote, answer.model_scores)
    )
    assert own["third"] == votes["third"]
    assert own["second"] == pytest.approx(3 * own["first"])
    assert sum(own.values()) == pytest.approx(1.0)


def test_a_label_left_out_for_its_words_keeps_the_votes_share(index: Path, tmp_path: Path) -> None:
    query = write_heard(tmp_path / "query.wav", [1])
    whole = scripted()
    FewShot.open(index, embedder=NamedSamples(), model=whole).classify(query)
    size = whole.measure(whole.prompts[0]).n_tokens
    model = scripted(max_text_tokens=size - 1)
    answer = FewShot.open(index, embedder=NamedSamples(), model=model).classify(query)
    assert [label.label for label in shown(model.prompts[-1])] == ["first", "second"]
    assert any("2 of 3 labels are shown" in note for note in answer.notes)
    votes = {score.label: score.score for score in answer.vote}
    own = {score.label: score.score for score in answer.model_scores}
    assert own["third"] == votes["third"] > 0
    assert sum(own.values()) == pytest.approx(1.0)


def test_equal_audio_is_in_a_prototype_once(index: Path, tmp_path: Path) -> None:
    copied = tmp_path / "corpus/first/again.wav"
    copied.write_bytes((tmp_path / "corpus/first/1.wav").read_bytes())
    build_index(tmp_path / "corpus", index, embedder=NamedSamples())
    model = scripted()
    query = write_heard(tmp_path / "query.wav", [1])
    FewShot.open(index, embedder=NamedSamples(), model=model).classify(query)
    heard = {label.label: label.clips for label in shown(model.prompts[-1])}
    assert len(heard["first"]) == 2


def test_a_label_may_have_a_name_alone_and_a_name_may_mean_nothing(
    index: Path, tmp_path: Path
) -> None:
    query = write_heard(tmp_path / "query.wav", [1], {"second": 1.0})
    model = scripted()
    few = FewShot.open(index, embedder=NamedSamples(), model=model)
    bare = Task(name="t", examples=())
    few = FewShot(embedder=NamedSamples(), model=model)
    answer = few.classify(query, task=bare, labels=["first", "second"])
    assert [(x.label, x.clips, x.heard) for x in shown(model.prompts[-1])] == [
        ("first", (), 0.0),
        ("second", (), 1.0),
    ]
    assert answer.text == "second"
    # The model says nothing that counts where there is no exemplar at all.
    assert (answer.blend.weight if answer.blend else None) == 0.0
    assert answer.scores == answer.vote
    assert answer.notes[0].startswith("no exemplar was used: the names of the labels alone")
    # Of codes without exemplars nobody knows anything: the model is asked without a shot.
    few.classify(query, task=bare, labels=["x17", "x18"])
    assert shown(model.prompts[-1]) == []


def test_what_answers_for_the_query_is_not_in_a_prototype(index: Path, tmp_path: Path) -> None:
    model = scripted()
    few = FewShot.open(index, embedder=NamedSamples(), model=model)
    few.classify(tmp_path / "corpus/first/1.wav")
    heard = {label.label: label.clips for label in shown(model.prompts[-1])}
    assert [clip.audio for clip in heard["first"]] == [tmp_path / "corpus/first/2.wav"]


def test_text_only_shots_and_other_models_show_exemplars(index: Path, tmp_path: Path) -> None:
    query = write_heard(tmp_path / "query.wav", [1])
    one, other = scripted(), scripted(prototypes_by="of another embedder")
    FewShot.open(index, embedder=NamedSamples(), model=one).classify(
        query, shots=3, shot_mode="text"
    )
    FewShot.open(index, embedder=NamedSamples(), model=other).classify(query, shots=3, arm="model")
    for prompt in (*one.prompts, *other.prompts):
        assert not shown(prompt)


def test_equal_prototypes_have_equal_digests() -> None:
    one = Prototype(label="a", clips=(), similarity=0.5, heard=1.0)
    words = Text(kind="user", text="What is it?")

    def digest(place: Prototype) -> str:
        return Prompt(parts=(place, words)).digest

    assert digest(one) == digest(replace(one, similarity=0.5 + 1e-9))
    others = (replace(one, label="b"), replace(one, similarity=0.4), replace(one, heard=None))
    assert len({digest(one), *map(digest, others)}) == 4
