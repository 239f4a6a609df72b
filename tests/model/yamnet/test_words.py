import json
import math
import shutil
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from earful.demo import DemoCorpus
from earful.errors import ModelError, PromptError
from earful.model import load_embedder
from earful.model.audio import load_audio
from earful.model.runtime import read_part
from earful.model.yamnet import (
    ClassWords,
    WordTable,
    YamnetEmbedder,
    load_yamnet,
    read_class_names,
    read_word_table,
    read_yamnet_release,
)

PIECES = ["dog", "bark", "##ing", "##s", "cafe", "!", "the", "sound", "鼓"]
ROWS = np.array(
    [[127, 0], [0, 127], [127, 0], [0, 0], [64, 64], [9, 9], [0, -127], [0, 127], [-127, 0]],
    dtype=np.int8,
)
SCALES = np.full(len(PIECES), 1 / 127, dtype=np.float16)


@cache
def shipped_table() -> WordTable:
    return read_word_table(read_part(read_yamnet_release(), "words", "yamnet"), "yamnet")


@cache
def shipped_words() -> ClassWords:
    return ClassWords(shipped_table(), read_class_names(read_yamnet_release()))


@cache
def embedder() -> YamnetEmbedder:
    return load_yamnet(device="cpu")


def small() -> WordTable:
    return WordTable(PIECES, ROWS, SCALES)


# --- pieces -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("dog", [1]),
        ("Barking DOGS", [2, 3, 1, 4]),  # bark ##ing dog ##s
        ("the dog's!", [7, 1, 0, 0, 6]),  # no apostrophe, no s alone
        ("Café", [5]),  # an accent goes
        ("cafe\u0301\tdog", [5, 1]),
        ("barkeep", [0]),  # a rest that is not known makes the word unknown
        ("鼓鼓", [9, 9]),  # each Chinese character is a word
        ("[UNK] [CLS]", [0] * 6),  # brackets and letters, no control tokens
        ("", []),
    ],
)
def test_a_text_is_cut_into_the_longest_pieces(text: str, ids: list[int]) -> None:
    assert small().piece_ids(text) == ids


# What the tokenizer published with the encoder (its tokenizer.json) makes of these texts.
PUBLISHED = {
    "A dog barking, whimpering & growling loudly": (
        "a dog barking , whimper ##ing & growling loudly"
    ),
    "Hi-hat: the drummer's cymbals!": "hi - hat : the drummer ' s cy ##mba ##ls !",
    "naïve CAFÉ déjà-vu": "naive cafe de ##ja - vu",
    "rain on a tin roof (20 m away)": "rain on a tin roof ( 20 m away )",
    "vuvuzela": "vu ##vu ##zel ##a",
    "太鼓 drum": "太 [UNK] drum",
    "snare\u00a0drum\u200b": "s ##nare drum",
}


@pytest.mark.parametrize("text", PUBLISHED)
def test_shipped_pieces_are_those_of_the_published_tokenizer(text: str) -> None:
    tensors = load(read_part(read_yamnet_release(), "words", "yamnet"))
    pieces = ["[UNK]", *tensors["pieces"].tobytes().decode().split("\n")]
    found = shipped_table().piece_ids(text)
    assert [pieces[number] for number in found] == PUBLISHED[text].split(" ")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_has_pieces_and_a_unit_vector_or_is_refused(text: str) -> None:
    table = shipped_table()
    try:
        found = table.vectors([text])
    except PromptError:
        found = table.vectors([f"{text} dog"])
        np.testing.assert_array_equal(found, table.vectors(["dog"]))
    assert np.linalg.norm(found[0]) == pytest.approx(1.0, abs=1e-5)


# --- vectors ----------------------------------------------------------------------------


def test_a_vector_is_the_mean_of_the_pieces_that_tell() -> None:
    found = small().vectors(["dog bark", "The sound of dog!!", "dog dog bark", "the"])
    root = 1 / math.sqrt(2)
    far = 1 / math.sqrt(5)
    # "of" is not known; "the" counts where there is nothing else.
    expected = [[root, root], [1, 0], [2 * far, far], [0, -1]]
    np.testing.assert_allclose(found, np.array(expected, dtype=np.float32), atol=1e-6)
    assert found.dtype == np.float32


def test_no_texts_give_no_rows() -> None:
    assert small().vectors([]).shape == (0, 2)
    assert shipped_words().mixtures([]).shape == (0, 521)
    assert embedder().embed_text([]).shape == (0, 1024)


@pytest.mark.parametrize("text", ["", " ", "?!", "zebra", "☃"])
def test_a_text_of_which_nothing_is_known_is_refused_by_name(text: str) -> None:
    with pytest.raises(PromptError, match="has no word that the table of words knows") as caught:
        small().vectors(["dog", text])
    assert repr(text) in str(caught.value)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(PromptError, match="half a character"):
        embedder().embed_text(["a dog \ud83d"])


# --- the file ---------------------------------------------------------------------------


def file_of(**changed: object) -> bytes:
    text = np.frombuffer("\n".join(PIECES).encode(), dtype=np.uint8)
    tensors = {"rows": ROWS, "scales": SCALES, "pieces": text} | changed
    return save({name: np.asarray(tensor) for name, tensor in tensors.items()})


def test_a_table_is_read_as_it_was_written() -> None:
    found = read_word_table(file_of(), "mine")
    texts = ["dog", "barking", "cafe dogs"]
    np.testing.assert_array_equal(found.vectors(texts), small().vectors(texts))
    assert found.piece_ids("barking 鼓") == [2, 3, 9]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"no table", "not a table of words"),
        (save({"rows": ROWS, "scales": SCALES}), "pieces"),
        (file_of(pieces=np.array([255], dtype=np.uint8)), "not a table of words"),
        (file_of(pieces=np.frombuffer(b"dog\ncat", dtype=np.uint8)), "2 pieces"),
        (file_of(rows=ROWS.astype(np.float32)), "float32 rows"),
        (file_of(rows=ROWS[:4]), r"rows of shape \(4, 2\)"),
        (file_of(scales=SCALES[:3]), r"scales of shape \(3,\)"),
        (file_of(scales=np.full(len(PIECES), np.nan, dtype=np.float16)), "not finite"),
    ],
)
def test_what_is_no_table_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(ModelError, match=f"^mine: .*{told}"):
        read_word_table(data, "mine")


# --- classes ----------------------------------------------------------------------------


def test_a_classs_name_counts_by_its_best_part() -> None:
    words = ClassWords(small(), ["bark, dog", "bark"])
    found = words.similarities(["dog", "bark"])
    np.testing.assert_allclose(found, np.array([[1.0, 0.0], [1.0, 1.0]]), atol=1e-6)
    # 1 and 0 at a temperature of 0.05.
    low = math.exp(-20) / (1 + math.exp(-20))
    np.testing.assert_allclose(words.mixtures(["dog"])[0], np.array([1 - low, low]), rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "wanted", "other"),
    [
        ("dog", "Dog", "Piano"),
        ("a dog barking", "Bark", "Piano"),
        ("someone laughing", "Laughter", "Thunder"),
        ("rain on a tin roof", "Rain", "Speech"),
        ("Grand Piano", "Piano", "Dog"),
    ],
)
def test_texts_are_nearer_to_the_classes_that_they_speak_of(
    text: str, wanted: str, other: str
) -> None:
    names = embedder().class_names
    mixture = shipped_words().mixtures([text])[0]
    assert mixture.shape == (521,)
    assert mixture.sum() == pytest.approx(1.0, abs=1e-5)
    assert names.index(wanted) in np.argsort(-mixture)[:5]
    assert mixture[names.index(wanted)] > 10 * mixture[names.index(other)]


def test_every_class_is_the_first_of_its_own_name() -> None:
    names = embedder().class_names
    found = shipped_words().similarities(names)
    np.testing.assert_array_less(0.4, found.diagonal())
    right = found.argmax(axis=1) == np.arange(521)
    assert right.mean() > 0.8  # a name of several parts is between them


# --- the shared space -------------------------------------------------------------------


def test_vectors_of_texts_are_unit_rows_whatever_stands_beside_them() -> None:
    texts = ["a dog barking", "Piano", "thunder and rain", "x"]
    together = embedder().embed_text(texts)
    assert together.shape == (4, 1024)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(together.mean(axis=1), 0.0, atol=1e-6)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(embedder().embed_text([text])[0], row, atol=1e-6)
    again = load_yamnet(device="cpu").embed_text(texts)
    np.testing.assert_array_equal(again, together)


def test_texts_weigh_what_they_mean_against_all_classes() -> None:
    words = shipped_words()
    (weights,) = words.search_weights(["thunder"])
    sharper = words.mixtures(["thunder"], temperature=0.03)[0]
    np.testing.assert_allclose(weights, sharper - 0.3 / 521, atol=1e-7)
    # A recording in which every class is heard alike by one unit more gains 0.7 of it.
    assert weights.sum() == pytest.approx(0.7, abs=1e-5)


def test_scores_of_texts_are_weighed_class_scores() -> None:
    demo = DemoCorpus.find().sounds
    clips = [load_audio(demo / path, sample_rate=16_000) for path in ("bird/bird.flac",)]
    texts = ["bird", "explosion"]
    found = embedder().score_texts(clips, texts)
    expected = embedder().class_scores(clips) @ shipped_words().search_weights(texts).T
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found[0, 0] > found[0, 1]


def test_a_folder_without_words_embeds_audio_and_says_what_it_lacks(tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(Path(str(files("earful.model.yamnet"))) / "weights", own)
    told = json.loads((own / "yamnet.json").read_text())
    del told["parts"]["words"]
    (own / "yamnet.json").write_text(json.dumps(told))
    made = load_embedder(str(own), device="cpu")
    assert isinstance(made, YamnetEmbedder)
    assert made.embed([]).shape == (0, 1024)
    with pytest.raises(ModelError, match="has no words; make the folder again"):
        made.embed_text(["dog"])


@pytest.mark.slow
def test_names_alone_tell_the_demos_sounds_apart() -> None:
    folders = sorted(path for path in DemoCorpus.find().sounds.iterdir() if path.is_dir())
    paths = [path for folder in folders for path in sorted(folder.iterdir())]
    wanted = np.array([folders.index(path.parent) for path in paths])
    clips = [load_audio(path, sample_rate=16_000) for path in paths]
    names = [folder.name.replace("-", " ") for folder in folders]
    pooled = embedder().pool(clips)
    by_cosine = embedder().unit_rows(pooled) @ embedder().embed_text(names).T
    by_score = embedder().scores_of(pooled) @ shipped_words().mixtures(names).T
    # Chance is 1 in 25; docs/small-model.md has the figures.
    for scores in (by_cosine, by_score):
        assert (scores.argmax(axis=1) == wanted).mean() > 0.35
