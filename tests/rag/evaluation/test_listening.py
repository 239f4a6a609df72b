"""Whether models listen: known listeners and known deaf ones are told apart."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import EvaluationError, ModelError
from earful.index.builder import build_index
from earful.model import Generation, GenerationOptions, Prompt, ScriptedLanguageModel
from earful.rag import check_listening
from earful.rag.evaluation.listening import Change, _depends
from tests.support.labelled_tones import label_of
from tests.support.tone_evaluations import follower, listener


def test_a_perfect_ear_listens_to_the_recording_alone(index: Path) -> None:
    found = check_listening(listener(), index=index, limit=6)
    assert found.by == "scores"
    assert (found.hears_query, found.hears_exemplars, found.reads_exemplars) == ("yes", "no", "no")
    # Silence has no label, so that every label is as likely; a score falls from 0.9 to 1/3.
    right, wrong = 1 / (1 + 2 * 2.718281828**-2.9), 1 / 3
    assert found.silence.mean == pytest.approx(right - wrong, abs=1e-6)
    assert found.repeated.largest == 0.0
    assert found.n_shots > 0
    told = found.describe()
    assert told.startswith("scripted listens: its answers depend on the recording\n")
    assert "it does not read what is said of them" in told
    # Scores alone are no changed answers, and are not told as such.
    moved = replace(found.silence, n_other_answers=0)
    scored = replace(found, silence=moved, other=None, hears_exemplars="yes", exemplar_audio=moved)
    assert scored.describe().splitlines()[:2] == [
        "scripted listens: the recording moves its scores clearly, and no answer here",
        "it listens to the exemplars: their audio moves its scores clearly, and no answer here",
    ]
    assert json.loads(json.dumps(found.to_dict()))["hears_query"] == "yes"


def test_a_model_that_only_follows_labels_is_exposed(index: Path) -> None:
    found = check_listening(follower(), index=index, limit=6)
    assert (found.hears_query, found.hears_exemplars, found.reads_exemplars) == ("no", "no", "yes")
    assert "does not listen: its answers are the same without the recording" in found.describe()


def test_a_model_that_compares_with_exemplars_listens_to_them(index: Path) -> None:
    """A model that finds the query among the labels of what it hears in the exemplars."""

    def log_probability(prompt: Prompt, answer: str) -> float:
        heard = [label_of(clip) for clip in prompt.clips[:-1]]
        return float(heard.count(answer))

    model = ScriptedLanguageModel(log_probability=log_probability)
    found = check_listening(model, index=index, limit=6)
    assert (found.hears_query, found.hears_exemplars, found.reads_exemplars) == ("no", "yes", "no")
    # The same words and as many recordings; only what is heard is another one.
    texts = {
        tuple(part for part in prompt.parts if not hasattr(part, "audio"))
        for prompt in model.prompts[3:4]
    }
    assert texts == {tuple(part for part in model.prompts[0].parts if not hasattr(part, "audio"))}


def test_without_an_index_words_are_compared(index: Path, corpus: Path) -> None:
    class Writer(ScriptedLanguageModel):
        def generate(
            self,
            prompt: Prompt,
            options: GenerationOptions = GenerationOptions(),
            *,
            on_text: Callable[[str], None] | None = None,
        ) -> Generation:
            self._replies = [f"a {prompt.clips[-1].audio}"]
            return super().generate(prompt, options, on_text=on_text)

    recordings = [corpus / "low/0.wav", corpus / "high/1.wav", corpus / "none.wav"]
    found = check_listening(Writer(), recordings=recordings)
    assert found.by == "words"
    assert (found.hears_query, found.hears_exemplars) == ("yes", "unknown")
    assert found.silence.n_other_answers == found.silence.n == 2
    assert len(found.faults) == 1
    told = found.describe()
    assert "silence in the recording's place: 2 of 2 answers changed" in told
    assert "not asked about: " in told
    assert "was not tried; give an index" in told
    deaf = check_listening(ScriptedLanguageModel(replies=["a dog"]), recordings=recordings[:1])
    assert deaf.hears_query == "no"
    assert deaf.other is None


def test_examples_of_a_task_are_exemplars_without_an_index(corpus: Path, tmp_path: Path) -> None:
    path = corpus / "tones.toml"
    examples = "".join(
        f'[[examples]]\naudio = "{label}/{take}.wav"\nlabel = "{label}"\n'
        for label in ("low", "high")
        for take in (0, 1)
    )
    path.write_text(f'name = "tones"\nkind = "classify"\nlabels = ["low", "high"]\n{examples}')
    recordings = [corpus / "low/4.wav", corpus / "high/5.wav"]
    # Of four labels drawn at random, two are often what they were; such a draw shows nothing.
    for seed in range(6):
        found = check_listening(follower(), recordings=recordings, task=path, shots=2, seed=seed)
        assert found.n_shots == 2
        assert (found.hears_query, found.reads_exemplars) == ("no", "yes")
        assert found.exemplar_labels is not None
        assert found.exemplar_labels.mean > 0.4


@pytest.mark.slow
def test_a_model_that_is_told_similarities_says_so(corpus: Path, tmp_path: Path) -> None:
    build_index(corpus, tmp_path / "s.index", embedder="earful-small")
    found = check_listening("earful-small", index=tmp_path / "s.index", limit=3)
    assert found.is_told
    assert "mind: retrieval has heard the recording" in found.describe()


def test_what_cannot_be_asked_is_told(index: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="nothing to ask about; give recordings or an index"):
        check_listening(listener())
    with pytest.raises(EvaluationError, match="none of the recordings could be asked about"):
        check_listening(listener(), recordings=[tmp_path / "none.wav"])
    with pytest.raises(ModelError, match="answers by labels only"):
        check_listening(listener(writes_captions=False), recordings=[tmp_path / "none.wav"])
    with pytest.raises(EvaluationError, match="limit=0: expected 1 or more"):
        check_listening(listener(), index=index, limit=0)


@given(
    noise=st.floats(0, 1), change=st.floats(0, 1), n_noise=st.integers(0, 5), n=st.integers(0, 5)
)
def test_no_dependence_is_claimed_within_the_noise(
    noise: float, change: float, n_noise: int, n: int
) -> None:
    again = Change(n=5, mean=noise, largest=noise, n_other_answers=n_noise)
    other = Change(n=5, mean=change, largest=change, n_other_answers=n)
    for by_scores in (True, False):
        said = _depends(again, other, by_scores)
        if n <= n_noise and (change <= noise or not by_scores):
            assert said == "no"
        if n > n_noise:
            assert said == "yes"
    assert _depends(again, None, True) == "unknown"
