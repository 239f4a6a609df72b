import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import MissingExtraError
from earful.rag.evaluation.metrics import (
    bleu_of_rows,
    caption_scores,
    captions_java,
    java_scores,
)
from earful.rag.evaluation.metrics.captions import CAPTION_METRICS, CocoTexts, tokenise

# Known by heart: the words of a caption in any order.
WORDS = [
    "a",
    "dog",
    "barks",
    "loudly",
    "while",
    "car",
    "passes",
    "by",
    "rain",
    "falls",
    "on",
    "the",
    "tin",
    "roof",
]
sentence = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
corpus = st.lists(
    st.tuples(sentence, st.lists(sentence, min_size=1, max_size=4)), min_size=2, max_size=8
)


@given(corpus)
def test_scores_are_as_the_coco_tools_compute_them(
    items: list[tuple[str, list[str]]],
) -> None:
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu")
    cider = pytest.importorskip("pycocoevalcap.cider.cider")
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge")
    candidates, references = [caption for caption, _ in items], [texts for _, texts in items]
    expected = dict(enumerate(references))
    captions = {row: [text] for row, text in enumerate(candidates)}
    ours = caption_scores(candidates, references)
    total, each = bleu.Bleu(4).compute_score(expected, captions, verbose=0)
    for n in range(4):
        assert ours.corpus[f"bleu-{n + 1}"] == pytest.approx(total[n], abs=1e-12)
        np.testing.assert_allclose(ours.items[f"bleu-{n + 1}"], each[n], atol=1e-12)
        by_rows = bleu_of_rows(candidates, references, n=n + 1)
        assert by_rows(np.arange(len(items))) == pytest.approx(total[n], abs=1e-12)
    for name, scorer in (("cider", cider.Cider()), ("rouge-l", rouge.Rouge())):
        total, each = scorer.compute_score(expected, captions)
        assert ours.corpus[name] == pytest.approx(total, abs=1e-12)
        np.testing.assert_allclose(ours.items[name], each, atol=1e-12)


def test_bleu_and_rouge_of_a_worked_case() -> None:
    found = caption_scores(["a dog barks"], [["a dog barks loudly"]])
    # Three of three words, two of two pairs; too short by a quarter: exp(1 - 4/3).
    assert found.corpus["bleu-1"] == pytest.approx(np.exp(-1 / 3), abs=1e-6)
    assert found.corpus["bleu-2"] == pytest.approx(np.exp(-1 / 3), abs=1e-6)
    # Precision 1, recall 3/4, beta 1.2.
    assert found.corpus["rouge-l"] == pytest.approx(2.44 * 0.75 / (0.75 + 1.44))


def test_bleu_of_some_rows_is_that_of_their_captions() -> None:
    texts, references = ["a dog barks", "it rains", "a car"], [["a dog"], ["rain"], ["a red car"]]
    found = bleu_of_rows(texts, references, n=2)
    rows = [2, 0, 2]
    expected = caption_scores([texts[row] for row in rows], [references[row] for row in rows])
    assert found(np.array(rows)) == expected.corpus["bleu-2"]
    # Of the captions' seven words six are right, of their four pairs one; they are seven long
    # where the references have eight words.
    assert found(np.array(rows)) == pytest.approx(np.exp(1 - 8 / 7) * np.sqrt(6 / 7 * 1 / 4))


def test_without_the_extra_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'earful\[captions\]'"):
        caption_scores(["x"], [["x"]])


def test_words_of_all_references_are_worth_nothing_to_cider() -> None:
    references = [["a dog barks"], ["a car passes"]]
    both = caption_scores(["a dog barks", "a dog barks"], references, metrics=("cider",))
    assert both.items["cider"][0] == pytest.approx(7.5)  # of four lengths one has no n-gram
    # Only the article is shared with the second, which every reference has.
    assert both.items["cider"][1] == 0.0


def test_words_are_taken_without_case_and_punctuation() -> None:
    assert tokenise("Rain falls on the tin-roof; it\u2019s loud!") == (
        *("rain", "falls", "on", "the", "tin-roof", "it", "'s", "loud"),
    )
    assert tokenise("They don't, 3.5 s.") == ("they", "do", "n't", "3.5", "s")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_words_are_those_of_the_coco_tools() -> None:
    tokenizer = pytest.importorskip("pycocoevalcap.tokenizer.ptbtokenizer")
    captions = ["A dog barks, then a car passes by.", "It's loud; they don't talk!", "tin-roof 3.5"]
    words = tokenizer.PTBTokenizer().tokenize(
        {row: [{"caption": text}] for row, text in enumerate(captions)}
    )
    assert [words[row][0] for row in range(3)] == [" ".join(tokenise(text)) for text in captions]


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="1 captions and references of 0 items"):
        caption_scores(["x"], [])
    with pytest.raises(ValueError, match="item 1 has no reference"):
        caption_scores(["x", "y"], [["x"], []])
    with pytest.raises(ValueError, match="metric 'cidre'"):
        caption_scores(["x"], [["x"]], metrics=("cidre",))
    assert caption_scores([""], [["x"]]).corpus["cider"] == 0.0
    assert caption_scores(["x"], [["..."]]).corpus["cider"] == 0.0
    assert set(caption_scores(["x"], [["x"]]).corpus) == set(CAPTION_METRICS)


def in_place(
    patch: pytest.MonkeyPatch,
    folder: Path,
    *,
    has_models: bool = True,
    spice: float | Exception = 0.1,
) -> None:
    """Put functions in the programs' places, and a package's folder."""
    (folder / "spice/lib").mkdir(parents=True, exist_ok=True)
    jar = folder / "spice/lib/stanford-corenlp-3.6.0.jar"
    jar.touch() if has_models else jar.unlink(missing_ok=True)

    def spiced(_folder: Path, references: CocoTexts, captions: CocoTexts) -> float:
        assert set(references) == set(captions)
        if isinstance(spice, Exception):
            raise spice
        return spice

    patch.setattr(shutil, "which", lambda _: "/usr/bin/java")
    patch.setattr(captions_java, "_package_folder", lambda: folder)
    patch.setattr(captions_java, "_meteor", lambda *_: 0.3)
    patch.setattr(captions_java, "_spice", spiced)


def test_spider_is_the_mean_of_cider_and_spice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_place(monkeypatch, tmp_path)
    captions, expected = ["a dog barks", "a car"], [["a dog barks"], ["a car passes"]]
    found = java_scores(captions, expected)
    cider = caption_scores(captions, expected).corpus["cider"]
    assert found.corpus == {"meteor": 0.3, "spice": 0.1, "spider": pytest.approx((cider + 0.1) / 2)}
    assert found.notes == ()


def test_a_program_that_cannot_run_is_a_note(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_place(monkeypatch, tmp_path, spice=OSError("no memory"))
    found = java_scores(["x"], [["x"]])
    assert found.corpus == {"meteor": 0.3}
    assert found.notes == ("SPICE is left out: its program cannot run (no memory)",)
    in_place(monkeypatch, tmp_path, has_models=False)
    found = java_scores(["x"], [["x"]])
    assert found.corpus == {"meteor": 0.3}
    assert "fetches 350 MB at its first use" in found.notes[0]
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "they need Java" in java_scores(["x"], [["x"]]).notes[0]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_meteor_that_dies_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "meteor/data").mkdir(parents=True)
    (tmp_path / "meteor/meteor-1.5.jar").write_bytes(b"no jar")
    monkeypatch.setattr(captions_java, "_package_folder", lambda: tmp_path)
    found = java_scores(["x"], [["x"]])
    assert found.corpus == {}
    assert any(note.startswith("METEOR is left out: its program") for note in found.notes)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_meteor_is_computed_where_java_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    meteor = pytest.importorskip("pycocoevalcap.meteor.meteor")
    # From a folder with a space in its name it would not find its tables.
    spaced = tmp_path / "a b"
    shutil.copytree(Path(meteor.__file__).parent, spaced / "meteor")
    monkeypatch.setattr(captions_java, "_package_folder", lambda: spaced)
    alike = java_scores(["a dog is barking", "it rains"], [["a dog barks"], ["rain falls"]])
    equal = java_scores(["a dog barks", "rain falls"], [["a dog barks"], ["rain falls"]])
    assert 0.05 < alike.corpus["meteor"] < 0.5 < equal.corpus["meteor"] <= 1.0
