"""Search by text in an index that keeps class scores."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earful import FewShot
from earful.demo import DemoCorpus
from earful.errors import ModelError, PromptError, UnknownNameError
from earful.index import Index
from earful.index.builder import build_index
from earful.index.search import SearchFilter
from earful.model import ExplainsTexts, load_embedder
from earful.model.audio import load_audio
from earful.model.yamnet import YamnetEmbedder
from tests.support.class_scorers import ScoredSamples, logits_of
from tests.support.small_corpus import RATE, Samples, write_corpus

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    sounds = write_corpus(folder / "sounds", 10)
    build_index(sounds, folder / "sounds.index", embedder=ScoredSamples())
    return folder / "sounds.index"


def test_rows_are_ranked_by_the_classes_that_the_words_mean(index: Path) -> None:
    few = FewShot.open(index, embedder=ScoredSamples())
    rows = Index.open(index).vectors()
    heard = {
        exemplar.id: logits_of(load_audio(path, sample_rate=RATE))[[0, 2]].mean()
        for exemplar, path in zip(rows.exemplars, rows.paths, strict=True)
    }
    found = few.search(text="first and third", k=4)
    assert [hit.exemplar.id for hit in found] == sorted(heard, key=lambda id_: -heard[id_])[:4]
    for hit in found:
        assert hit.similarity == pytest.approx(1 / (1 + np.exp(-heard[hit.exemplar.id])), abs=1e-3)
    only = SearchFilter(labels=frozenset({"dog"}), where="id != 'dog/0000.wav'")
    assert [hit.exemplar.id for hit in few.search(text="first", filter=only)] == ["dog/0005.wav"]


def test_recordings_and_plain_embedders_are_compared_by_vectors(index: Path) -> None:
    few = FewShot.open(index, embedder=ScoredSamples())
    path = index.parent / "sounds/rain/0002.wav"
    assert few.search(path, k=1)[0].similarity == pytest.approx(1)
    assert few.search(path, k=1, backend="half")[0].similarity == pytest.approx(1)
    plain = FewShot.open(index, embedder=Samples())
    assert plain.search(path, k=1) == few.search(path, k=1)
    assert plain.classify(path).text
    with pytest.raises(ModelError, match="'samples' has no text"):
        plain.search(text="first")


def test_a_text_without_scores_in_the_index_is_compared_by_vectors(tmp_path: Path) -> None:
    sounds = write_corpus(tmp_path / "sounds", 5)
    build_index(sounds, tmp_path / "i", embedder=Samples())
    few = FewShot.open(tmp_path / "i", embedder=ScoredSamples())
    rows = Index.open(tmp_path / "i").vectors()
    best = int(rows.vectors[:, 1].argmax())
    (hit,) = few.search(text="second", k=1, backend="faiss")
    assert hit.exemplar.id == rows.exemplars[best].id
    assert hit.similarity == pytest.approx(rows.vectors[best, 1])


def test_what_makes_no_sense_is_refused(index: Path) -> None:
    few = FewShot.open(index, embedder=ScoredSamples())
    with pytest.raises(PromptError, match="'fourth' names none"):
        few.search(text="fourth")
    with pytest.raises(ValueError, match=r"backend 'half' compares vectors.*expected 'exact'"):
        few.search(text="first", backend="half")
    with pytest.raises(UnknownNameError, match="half"):
        few.search(text="first", backend="hlaf")
    with pytest.raises(ValueError, match="is empty"):
        few.search(text=" ")


# --- YAMNet ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yamnet() -> YamnetEmbedder:
    embedder = load_embedder("yamnet", device="cpu")
    assert isinstance(embedder, YamnetEmbedder)
    return embedder


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, yamnet: YamnetEmbedder) -> Path:
    """An index of some of the demo's sounds."""
    folder = tmp_path_factory.mktemp("demo")
    for name in ("bird", "cymbal", "bell", "piano"):
        source = DemoCorpus.find().sounds / name
        (folder / "sounds" / name).mkdir(parents=True)
        for path in sorted(source.iterdir())[:2]:
            (folder / "sounds" / name / path.name).write_bytes(path.read_bytes())
    build_index(folder / "sounds", folder / "demo.index", embedder=yamnet)
    return folder / "demo.index"


def test_yamnet_finds_sounds_by_words(demo: Path, yamnet: YamnetEmbedder) -> None:
    index = Index.open(demo)
    assert index.n_classes == yamnet.n_classes == 521
    few = FewShot.open(index, embedder=yamnet)
    for words, label in (("a bird singing", "bird"), ("cymbal crash", "cymbal")):
        first, *others = few.search(text=words)
        assert first.exemplar.labels == (label,)
        assert 1 > first.similarity > others[0].similarity > others[-1].similarity > 0
    clips = [load_audio(path, sample_rate=16_000) for path in index.vectors().paths]
    scores = yamnet.score_texts(clips, ["a bird singing"])[:, 0]
    found = {hit.exemplar.id: hit.similarity for hit in few.search(text="a bird singing")}
    for exemplar, logit in zip(index.vectors().exemplars, scores, strict=True):
        assert found[exemplar.id] == pytest.approx(1 / (1 + np.exp(-logit)), rel=5e-3)


@pytest.mark.slow
def test_a_text_that_is_no_class_of_audioset_gets_a_note(
    demo: Path,
    yamnet: YamnetEmbedder,
    earful_command: CommandLine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert isinstance(yamnet, ExplainsTexts)
    assert yamnet.explain_text("a dog barking") == ""
    note = yamnet.explain_text("quarterly tax report")
    assert note.startswith("AudioSet has no class like 'quarterly tax report', nearest are '")
    assert note.endswith("'; what is found may be arbitrary")
    few = FewShot.open(demo, embedder=yamnet)
    with caplog.at_level(logging.WARNING, logger="earful"):
        few.search(text="a bird singing")
        assert not caplog.records
        few.search(text="quarterly tax report")
    (logged,) = caplog.messages
    assert logged.startswith(note)
    search = ("search", "--index", demo, "--text")
    code, out, _ = earful_command(*search, "quarterly tax report", "-k", 1)
    assert code == 0
    assert out.splitlines()[-1].startswith(f"  note: {note}")
    code, out, _ = earful_command(*search, "quarterly tax report", "--json")
    assert json.loads(out)["notes"][0].startswith(note)
    code, out, _ = earful_command(*search, "a bird singing", "--json")
    assert (code, json.loads(out)["notes"]) == (0, [])
    code, _, err = earful_command(*search, "a dog barking", "--backend", "half")
    assert code == 2
    assert "a text is compared with the class scores of this index" in err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("eine Katze miaut", "'Katze', 'miaut'"),
        ("perro ladrando", "no word of 'perro ladrando' is known"),
        ("собака лает", "no word of 'собака лает' is known"),
        ("犬が吠える", "no word of '犬が吠える' is known"),
        ("qwxz blorpt", "no word of 'qwxz blorpt' is known"),
        ("dog qwxz", "'qwxz'"),
        ("the of and", "no word of 'the of and' is known"),
    ],
)
def test_words_that_are_not_known_are_told(yamnet: YamnetEmbedder, text: str, told: str) -> None:
    assert told in yamnet.explain_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "dog barking",
        "heavy rain on a tin roof",
        "Chainsaw",
        "didgeridoo solo",
        "hip-hop!",
        "birdsong",
        "thunderstorm at night",
        "a dog, barking",
        "footsteps on gravel",
        "church bells",
    ],
)
def test_english_words_and_names_of_classes_are_known(yamnet: YamnetEmbedder, text: str) -> None:
    assert yamnet.explain_text(text) == ""


def test_a_search_says_when_nothing_is_likely(
    demo: Path, yamnet: YamnetEmbedder, earful_command: CommandLine
) -> None:
    few = FewShot.open(demo, embedder=yamnet)
    for text, likely in (("a bird singing", True), ("a dog barking", False)):
        found = few.search(text=text, k=3)
        assert (found[0].similarity >= 0.5) is likely
        note = few.retriever.text_note(text, found)
        assert ("more likely than not" in note) is not likely
        _, out, _ = earful_command("search", "--index", demo, "--text", text)
        assert ("more likely than not" in out) is not likely
    code, _, err = earful_command("search", "--index", demo, "--text", "   ")
    assert code == 2
    assert "expected a sentence" in err
