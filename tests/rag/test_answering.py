"""Answers by a language model, with a scripted one in its place."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earful.errors import ModelError, PromptError, TaskError
from earful.index.builder import build_index
from earful.index.corpus import open_corpus
from earful.model import GenerationOptions, ScriptedLanguageModel
from earful.model.scripted import CAPABILITIES
from earful.rag import FewShot
from earful.rag.retrieval import LabelScoring
from earful.rag.task import Task
from tests.support.labelled_tones import prefers, texts


def test_a_model_decides_and_the_vote_stands_beside_it(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(log_probability=prefers("high"))
    answer = FewShot.open(index, model=model).classify(query, shots=3, arm="model")
    assert answer.text == "high"
    assert answer.model == "scripted"
    # exp(0) against twice exp(-2).
    assert answer.confidence == pytest.approx(1 / (1 + 2 * np.exp(-2)))
    assert answer.vote[0].label == "low"
    assert len(answer.evidence) == 3
    assert answer.slots == 4
    values = answer.to_dict()
    assert values["slots"] == 4
    assert values["vote"]
    (prompt,) = model.prompts
    assert prompt.n_clips == 4
    assert [ref.is_exemplar for ref in prompt.clips] == [True, True, True, False]
    # The most similar shot stands beside the question.
    assert prompt.clips[2].audio == answer.evidence[0].path
    assert texts(prompt, "exemplar", answers=True) == ["low"] * 3


def test_a_task_says_whether_labels_are_listed_and_who_answers(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(log_probability=prefers("high"))
    few = FewShot.open(index, model=model)
    few.classify(query, task=Task(name="t", lists_labels=False, arm="model"), shots=1)
    assert texts(model.prompts[0], "user") == ["Classify this sound."]
    # With arm = "model" no exemplar is asked about to weigh it against the vote.
    assert len(model.prompts) == 1
    voted = few.classify(query, task=Task(name="t"), arm="vote")
    assert (voted.text, voted.model) == ("low", "neighbour-vote")
    assert len(model.prompts) == 1
    # A model that is given takes part, though the task leaves the answer to the vote.
    task = Task(name="t", arm="vote")
    asked = few.classify(query, task=task, shots=1)
    assert (asked.model, asked.blend is not None) == ("scripted", True)
    assert few.classify(query, task=task, shots=1, arm="model").text == "high"


def test_the_vote_may_have_a_fixed_weight(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(log_probability=prefers("high"))
    few = FewShot.open(index, model=model)
    answer = few.classify(query, shots=3, arm="model")
    alone, vote = ({s.label: s.score for s in found} for found in (answer.scores, answer.vote))
    for weight in (0.0, 0.25, 1.0):
        scoring = LabelScoring(vote_weight=weight)
        answer = few.classify(query, shots=3, scoring=scoring)
        for found in answer.scores:
            wanted = (1 - weight) * alone[found.label] + weight * vote[found.label]
            assert found.score == pytest.approx(wanted)
        assert answer.blend is None
    assert len(model.prompts) == 4


def test_no_shots_is_a_question_of_its_own(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(log_probability=prefers("middle"))
    answer = FewShot.open(index, model=model).classify(query, shots=0)
    assert answer.text == "middle"
    assert not answer.evidence
    assert not answer.vote
    assert model.prompts[0].n_clips == 1
    assert texts(model.prompts[0], "system") == ["The task is event classification."]


def test_a_model_alone_needs_labels_and_no_index(query: Path) -> None:
    model = ScriptedLanguageModel(log_probability=prefers("cat"))
    few = FewShot(model=model)
    assert few.classify(query, labels=["dog", "cat"]).text == "cat"
    with pytest.raises(TaskError, match="no labels to choose from"):
        few.classify(query)
    with pytest.raises(TaskError, match="3 shots are asked for, but there is no index"):
        few.classify(query, labels=["dog", "cat"], shots=3)
    with pytest.raises(ValueError, match="only a language model"):
        FewShot()
    with pytest.raises(ValueError, match="no embedder"):
        _ = few.embedder
    with pytest.raises(ValueError, match="no index"):
        few.search(query)


def test_labels_without_exemplars_are_the_models_to_know(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(log_probability=prefers("whistle"))
    few = FewShot.open(index, model=model)
    answer = few.classify(query, labels=["low", "whistle"], shots=2)
    assert answer.text == "whistle"
    assert "no exemplar has the label 'whistle'" in answer.notes
    assert [hit.exemplar.labels for hit in answer.evidence] == [("low",), ("low",)]
    none_known = few.classify(query, labels=["bell", "whistle"], shots=None)
    assert none_known.evidence == ()
    assert none_known.notes == ("no exemplar has an answer to this, so none is shown",)


def test_a_question_is_answered_in_the_models_words(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(replies=["a low hum"])
    pieces: list[str] = []
    few = FewShot.open(index, model=model)
    answer = few.ask(query, "What hums?", shots=2, on_text=pieces.append)
    assert (answer.text, pieces) == ("a low hum", ["a low hum"])
    assert answer.scores == ()
    assert answer.confidence == 1.0
    prompt = model.prompts[0]
    assert texts(prompt, "user") == ["Please answer this question: What hums?"]
    assert texts(prompt, "exemplar") == ["Please answer this question: What is this sound?"] * 2
    short = few.ask(query, "What hums?", shots=0, options=GenerationOptions(max_new_tokens=2))
    assert short.text == "a low"
    assert short.notes == ("the answer was cut off after 2 tokens",)


def test_a_caption_has_its_own_question(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(replies=["a tone"])
    assert FewShot.open(index, model=model).caption(query, shots=1).text == "a tone"
    assert texts(model.prompts[0], "user") == ["Describe the sound in a sentence."]
    assert texts(model.prompts[0], "system") == [
        "Here are similar examples. The task is audio captioning."
    ]


def test_what_the_vote_cannot_do_is_refused(index: Path, query: Path) -> None:
    few = FewShot.open(index)
    with pytest.raises(ModelError, match="ask takes a language model, and there is none"):
        few.ask(query, "why?")
    with pytest.raises(TaskError, match="0 shots leave nothing to vote"):
        few.classify(query, shots=0)
    with_model = FewShot.open(index, model=ScriptedLanguageModel())
    with pytest.raises(TaskError, match="whose answers are labels"):
        with_model.ask(query, "why?", task="urban-sounds")
    with pytest.raises(PromptError, match="has no question"):
        with_model.ask(query, "")


def test_a_model_without_probabilities_writes_and_scores_nothing(index: Path, query: Path) -> None:
    mute = replace(CAPABILITIES, scoring="text")
    few = FewShot.open(index, model=ScriptedLanguageModel(replies=["hum"], capabilities=mute))
    with pytest.raises(ModelError, match="gives no log-probabilities"):
        few.classify(query)
    assert few.ask(query, "What hums?").text == "hum"


def test_a_misspelt_choice_is_no_silent_default(index: Path, query: Path) -> None:
    few = FewShot.open(index)
    misspelt: dict[str, Any] = {"shotz": 3}
    for ask in (few.classify, few.request, few.prompt_for):
        with pytest.raises(TypeError, match=r"unexpected shotz; .* may choose shots, strategy"):
            ask(query, **misspelt)


def test_published_exemplars_are_shown_and_others_named(
    corpus: Path, query: Path, tmp_path: Path
) -> None:
    """Rows of a published set name their task, which the tasks by default know."""
    names = [path.relative_to(corpus) for path in sorted(corpus.rglob("*.wav"))[:4]]
    for task in ("music captioning", "audio question answering"):
        table = tmp_path / f"{task}.csv"
        rows = "".join(f"{name},A sound.,What is it?,{task}\n" for name in names)
        table.write_text(f"file_name,answer,question,task\n{rows}")
        build_index(open_corpus(table, root=corpus), tmp_path / task, embedder="logmel")
    model = ScriptedLanguageModel(replies=["a low hum"] * 4)
    few = FewShot.open(tmp_path / "music captioning", model=model)
    assert len(few.caption(query, shots=3).evidence) == 3
    assert len(few.caption(query, task="describe", shots=3).evidence) == 3
    assert texts(model.prompts[0], "exemplar", answers=True) == ["A sound."] * 3
    few = FewShot.open(tmp_path / "audio question answering", model=model)
    assert len(few.ask(query, "What hums?", shots=3).evidence) == 3
    answer = few.caption(query)
    assert answer.evidence == ()
    assert answer.notes == (
        "no exemplar is shown: 4 have an answer to another task, 'audio question answering'; "
        "`aliases` of a task file take it in",
    )
