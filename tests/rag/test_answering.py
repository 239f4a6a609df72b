"""Answers by a language model, with a scripted one in its place."""

import math
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from earful.errors import AudioError, ModelError, PromptError, TaskError
from earful.index import Index
from earful.index.builder import build_index
from earful.index.cache import FeatureCacheFolder
from earful.index.corpus import Exemplar
from earful.index.search import Hit
from earful.model import ClipRef, GenerationOptions, Prompt, ScriptedLanguageModel, Text
from earful.model.audio import Clip
from earful.model.protocols import FeatureCache
from earful.model.scripted import CAPABILITIES
from earful.rag import FewShot, default_model
from earful.rag.generation import precompute_features
from earful.rag.generation.prompt import build_prompt
from earful.rag.retrieval import LabelScoring, label_probabilities
from earful.rag.task import Answerer, Label, Shots, Task

RATE = 16_000
HZ = {"low": 200.0, "middle": 900.0, "high": 3500.0}


def write(path: Path, hz: float, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    time_s = np.arange(RATE // 4) / RATE
    samples = 0.3 * np.sin(2 * np.pi * hz * rng.uniform(0.95, 1.05) * time_s)
    samples += rng.normal(size=time_s.size) * 0.02
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    for label, hz in HZ.items():
        for take in range(4):
            write(root / label / f"{take}.wav", hz, take)
    path = tmp_path_factory.mktemp("indexes") / "tones.index"
    build_index(root, path, embedder="logmel")
    return path


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("query") / "q.wav", 210.0, 99)


def prefers(label: str) -> Callable[[Prompt, str], float]:
    return lambda _prompt, answer: 0.0 if answer == label else -2.0


def texts(prompt: Prompt, kind: str, *, answers: bool = False) -> list[str]:
    return [
        part.text
        for part in prompt.parts
        if isinstance(part, Text) and part.kind == kind and part.is_answer == answers
    ]


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


def test_labels_are_listed_for_a_model_that_wants_them(index: Path, query: Path) -> None:
    questions = []
    for lists_labels in (True, False):
        capabilities = replace(CAPABILITIES, lists_labels=lists_labels)
        model = ScriptedLanguageModel(
            log_probability=prefers("high"), capabilities=capabilities, replies=["a hum"]
        )
        few = FewShot.open(index, model=model)
        # Either way the labels are what it chooses from, and how many shots fit is told by
        # the prompt that it gets.
        answer = few.classify(query, shots=3, arm="model")
        assert answer.text == "high"
        assert answer.prompt == model.prompts[0]
        assert few.ask(query, "What is it?", shots=1).text == "a hum"
        questions.append([texts(prompt, "user")[0] for prompt in model.prompts])
    asked = "Classify this sound."
    assert questions[0][0] == f"{asked}\nOPTIONS:\n - high.\n - low.\n - middle."
    assert questions[1][0] == asked
    assert questions[0][1] == questions[1][1] == "Please answer this question: What is it?"


def test_a_task_says_whether_labels_are_listed_and_who_answers(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(log_probability=prefers("high"))
    few = FewShot.open(index, model=model)
    few.classify(query, task=Task(name="t", lists_labels=False, arm="model"), shots=1)
    assert texts(model.prompts[0], "user") == ["Classify this sound."]
    # With arm = "model" nothing is replayed to weigh it against the vote.
    assert len(model.prompts) == 1
    voted = few.classify(query, task=Task(name="t"), arm="vote")
    assert (voted.text, voted.model) == ("low", "neighbour-vote")
    assert len(model.prompts) == 1
    # Whoever gives a model wants to hear it, though the task leaves the answer to the vote.
    task = Task(name="t", arm="vote")
    asked = few.classify(query, task=task, shots=1)
    assert (asked.model, asked.blend is not None) == ("scripted", True)
    assert few.classify(query, task=task, shots=1, arm="model").text == "high"
    assert default_model(task) is None
    assert default_model(Task(name="t")) == default_model(None) == "earful-tiny"


def test_the_former_way_to_ask_for_a_blend_works_for_one_release(index: Path, query: Path) -> None:
    few = FewShot.open(index, model=ScriptedLanguageModel(log_probability=prefers("high")))
    arms: dict[bool, Answerer] = {False: "model", True: "blend"}
    for blend, arm in arms.items():
        with pytest.warns(DeprecationWarning, match="blend= is now"):
            old = few.classify(query, shots=3, blend=blend)
        assert old.scores == few.classify(query, shots=3, arm=arm).scores
    with pytest.warns(DeprecationWarning, match=r"FewShot\.request"):
        old_request = few.inquiry(query, shots=3)
    assert old_request == few.request(query, shots=3)
    with pytest.warns(DeprecationWarning, match=r"FewShot\.index"):
        assert few.index_or_none is few.index


def test_yes_no_options_stand_under_questions_answered_so(tmp_path: Path) -> None:
    task = Task(name="t", kind="ask", question="Is it near?", yes_no_options=True)

    def hit(answer: str) -> Hit:
        return Hit(
            exemplar=Exemplar(id=answer, audio=PurePosixPath("a.wav"), answer=answer),
            similarity=1.0,
            rank=0,
            path=Path("a.wav"),
            content_sha256="",
        )

    prompt = build_prompt(task, [hit("yes"), hit("a dog")], ClipRef(audio=Path("q.wav")))
    assert texts(prompt, "exemplar") == [
        "Please answer this question: Is it near?\nOPTIONS:\nyes.\nno.",
        "Please answer this question: Is it near?",
    ]


def test_labels_that_are_not_listed_leave_room_for_shots(index: Path, query: Path) -> None:
    # Opening 9 words, question 3, a shot 4: the six words of the options are a shot and more.
    for lists_labels, shown in ((True, 3), (False, 5)):
        capabilities = replace(CAPABILITIES, lists_labels=lists_labels, max_text_tokens=32)
        model = ScriptedLanguageModel(capabilities=capabilities)
        answer = FewShot.open(index, model=model).classify(query, shots=6)
        assert len(answer.evidence) == shown


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


def test_the_prior_is_what_silence_gets(index: Path, query: Path) -> None:
    def biased(prompt: Prompt, answer: str) -> float:
        last = prompt.clips[-1].audio
        heard = not (isinstance(last, Clip) and not last.samples.any())
        # Likes "high" whatever it hears, and hears a little of "low".
        return (0.0 if answer == "high" else -3.0) + (1.0 if heard and answer == "low" else 0.0)

    few = FewShot.open(index, model=ScriptedLanguageModel(log_probability=biased))
    assert few.classify(query, shots=2, arm="model").text == "high"
    corrected = few.classify(query, shots=2, arm="model", scoring=LabelScoring(prior=True))
    assert corrected.text == "low"
    assert corrected.confidence == pytest.approx(np.e / (np.e + 2))


def test_scores_worked_by_hand() -> None:
    two = [np.log([0.2, 0.5]), np.log([0.4])]
    summed = label_probabilities(two, scoring=LabelScoring())
    np.testing.assert_allclose(summed, [0.1 / 0.5, 0.4 / 0.5])
    mean = label_probabilities(two, scoring=LabelScoring(length="mean"))
    np.testing.assert_allclose(mean[0] / mean[1], np.sqrt(0.1) / 0.4)
    prior = [np.log([0.1]), np.log([0.1])]
    np.testing.assert_allclose(
        label_probabilities(two, scoring=LabelScoring(), prior=prior), summed
    )
    with pytest.raises(ValueError, match=r"vote_weight=1.5"):
        LabelScoring(vote_weight=1.5)
    with pytest.raises(ValueError, match="length='longest'"):
        LabelScoring(length="longest")  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    ("limit", "shown", "why"),
    [
        ({"max_audios": 3}, 2, "3 recordings"),
        # Opening 9 words, question and options 10, a shot 4.
        ({"max_text_tokens": 31}, 3, "31 tokens"),
    ],
)
def test_whole_shots_are_dropped_farthest_first_and_said(
    index: Path, query: Path, limit: dict[str, int], shown: int, why: str
) -> None:
    model = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, **limit))  # type: ignore[arg-type]
    few = FewShot.open(index, model=model)
    all_hits = FewShot.open(index).classify(query, shots=6).evidence
    answer = few.classify(query, shots=6)
    assert answer.evidence == all_hits[:shown]
    assert answer.notes == (f"{shown} of 6 shots are shown, the nearest; scripted takes {why}",)
    assert answer.prompt is not None
    assert answer.prompt.n_clips == shown + 1


def test_a_question_too_long_by_itself_is_refused(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, max_text_tokens=20))
    few = FewShot.open(index, model=model)
    with pytest.raises(PromptError, match=r"takes \d+ tokens without any shot; scripted takes 20"):
        few.ask(query, "why " * 30, shots=2)


def test_text_shots_take_no_place_for_audio(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, max_audios=1))
    answer = FewShot.open(index, model=model).classify(query, shots=4, shot_mode="text")
    assert len(answer.evidence) == 4
    assert answer.slots == 1
    assert texts(model.prompts[0], "exemplar", answers=True) == ["low"] * 4


def test_several_labels_are_asked_one_by_one(index: Path, query: Path) -> None:
    def hears(prompt: Prompt, answer: str) -> float:
        asked = texts(prompt, "user")[0]
        return math.log(0.9 if ("low" in asked) == (answer == "yes") else 0.1)

    task = Task(
        name="bands", kind="multilabel", labels={"low": Label(wording="low tone"), "high": Label()}
    )
    model = ScriptedLanguageModel(log_probability=hears)
    answer = FewShot.open(index, model=model).classify(query, task=task, shots=2, arm="model")
    assert answer.text == "low"
    assert {s.label: round(s.score, 6) for s in answer.scores} == {"low": 0.9, "high": 0.1}
    assert texts(model.prompts[0], "user") == [
        "Please answer this question: is there low tone in this sound?\nOPTIONS:\nyes.\nno."
    ]
    assert texts(model.prompts[0], "exemplar", answers=True) == ["yes", "yes"]
    assert texts(model.prompts[1], "exemplar", answers=True) == ["no", "no"]


def test_a_question_is_answered_in_the_models_words(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(replies=["a low hum"])
    told: list[str] = []
    few = FewShot.open(index, model=model)
    answer = few.ask(query, "What hums?", shots=2, on_text=told.append)
    assert (answer.text, told) == ("a low hum", ["a low hum"])
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


def test_random_shots_are_announced_as_such(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel()
    task = Task(name="t", shots=Shots(strategy="random", k=2))
    FewShot.open(index, model=model).classify(query, task=task)
    assert texts(model.prompts[0], "system")[0].startswith("Here are random examples. ")


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
    mute = replace(CAPABILITIES, logprobs=False)
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


class Keeping(ScriptedLanguageModel):
    cache: FeatureCache | None = None

    def __init__(self) -> None:
        super().__init__()
        self.encoded: list[ClipRef] = []

    def keep_features(self, cache: FeatureCache) -> None:
        self.cache = cache

    def encode_exemplar(self, clip: ClipRef) -> None:
        if not Path(str(clip.audio)).exists():
            raise AudioError(f"{clip.audio}: no such file")
        self.encoded.append(clip)


def test_features_are_kept_with_the_index(index: Path, query: Path) -> None:
    model = Keeping()
    few = FewShot.open(index, model=model)
    assert isinstance(model.cache, FeatureCacheFolder)
    model.cache.fault = "features of exemplars cannot be kept"
    assert model.cache.fault in few.classify(query, shots=1).notes


def test_all_exemplars_can_be_encoded_ahead(index: Path, tmp_path: Path) -> None:
    model = Keeping()
    told: list[tuple[int, int]] = []
    opened = Index.open(index)
    report = precompute_features(
        opened, model, progress=lambda done, total: told.append((done, total))
    )
    assert report.kept == 12
    assert report.failed == ()
    assert told[-1] == (12, 12)
    assert {clip.content_sha256 for clip in model.encoded} == set(opened.vectors().content)
    with pytest.raises(ModelError, match="scripted keeps no features"):
        precompute_features(opened, ScriptedLanguageModel())


def test_an_exemplar_that_is_gone_stops_no_other(tmp_path: Path) -> None:
    for take in range(3):
        write(tmp_path / "low" / f"{take}.wav", 200.0, take)
    build_index(tmp_path, tmp_path / "s.index", embedder="logmel")
    (tmp_path / "low" / "1.wav").unlink()
    report = precompute_features(Index.open(tmp_path / "s.index"), Keeping())
    assert report.kept == 2
    ((id_, error),) = report.failed
    assert id_ == "low/1.wav"
    assert "no such file" in error


def test_the_prompt_can_be_had_without_an_answer(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, max_audios=2))
    few = FewShot.open(index, model=model)
    prompt = few.prompt_for(query, shots=3)
    assert prompt.n_clips == 2
    assert not model.prompts
    text_only = few.prompt_for(query, shots=3, shot_mode="text")
    assert [isinstance(part, ClipRef) for part in text_only.parts].count(True) == 1
