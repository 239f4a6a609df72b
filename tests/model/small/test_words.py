from functools import cache

import numpy as np
import pytest
from safetensors.numpy import save

from earful.demo import DemoCorpus
from earful.errors import ModelError, PromptError
from earful.model.audio import load_audio
from earful.model.label_words import LabelWords
from earful.model.small import SmallEmbedder, WordMaps, load_small
from earful.model.small.words import NameWords, read_word_maps
from earful.model.yamnet import N_CLASSES, ClassWords

SOUNDS = DemoCorpus.find().sounds
LABELS = ("bird", "cymbal", "gunshot", "piano", "water")


@cache
def load() -> SmallEmbedder:
    return load_small(device="cpu")


@pytest.fixture
def embedder() -> SmallEmbedder:
    return load()


@pytest.fixture
def class_words(embedder: SmallEmbedder) -> ClassWords:
    return embedder.ears.yamnet.class_words


def maps(dim: int = 3, word_dim: int = 64) -> WordMaps:
    """Classes of unit variance, independent of each other, all in direction 0."""
    return WordMaps(
        mean=np.full(N_CLASSES, -5.0),
        scale=np.full(N_CLASSES, 2.0),
        covariance=np.eye(N_CLASSES),
        directions=np.tile(np.eye(dim)[0], (N_CLASSES, 1)),
        text_mean=np.zeros(word_dim),
        text_map=np.zeros((word_dim, dim)),
    )


def test_scores_count_in_deviations_of_the_training_clips(class_words: ClassWords) -> None:
    found = NameWords(class_words, maps()).of_labels(["dog"])
    # By hand: the mean clip is at 0; where all classes are one deviation (2.0) higher, a mixture
    # of independent ones, whose weights add up to 1, is higher by 1 and has a deviation of the
    # root of its weights' squares.
    mixture = class_words.mixtures(["dog"])[0].astype(np.float64)
    assert found.weights @ np.full(N_CLASSES, -5.0) + found.offsets == pytest.approx(0.0)
    higher = found.weights @ np.full(N_CLASSES, -3.0) + found.offsets
    assert higher == pytest.approx(1 / np.sqrt((mixture**2).sum()))
    # The map says nothing, so that the classes' direction is what is imagined.
    assert found.imagined.tolist() == [[1.0, 0.0, 0.0]]


def test_a_demo_label_is_nearer_to_its_own_clips(embedder: SmallEmbedder) -> None:
    clips, own = [], []
    for number, label in enumerate(LABELS):
        for path in sorted((SOUNDS / label).glob("*.flac"))[:3]:
            clips.append(load_audio(path, sample_rate=44_100))
            own.append(number)
    vectors, scores = embedder.embed_and_score(clips)
    found = embedder.label_words(LABELS)
    heard = scores @ found.weights.T + found.offsets
    imagined = vectors @ found.imagined.T
    mine = np.asarray(own)
    for number, label in enumerate(LABELS):
        for what in (heard, imagined):
            is_own = mine == number
            assert what[is_own, number].mean() > what[~is_own, number].mean() + 0.1, label
    assert (heard.argmax(axis=1) == mine).mean() >= 0.7
    assert (imagined.argmax(axis=1) == mine).mean() >= 0.5


def test_rows_have_the_shapes_and_lengths_that_are_said(embedder: SmallEmbedder) -> None:
    found = embedder.label_words(LABELS)
    assert isinstance(found, LabelWords)
    for numbers, kind, shape in (
        (found.weights, "float64", (5, N_CLASSES)),
        (found.offsets, "float64", (5,)),
        (found.imagined, "float32", (5, 384)),
        (found.known, "float64", (5,)),
    ):
        assert (str(numbers.dtype), numbers.shape) == (kind, shape)
    np.testing.assert_allclose(np.linalg.norm(found.imagined, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(embedder.embed_text(LABELS), found.imagined, atol=1e-6)
    assert ((found.known > 0.9) & (found.known <= 1)).all()
    nothing = embedder.label_words([])
    assert (nothing.weights.shape, nothing.imagined.shape) == ((0, N_CLASSES), (0, 384))


def test_a_name_of_which_nothing_is_known_tells_nothing(embedder: SmallEmbedder) -> None:
    names = ["?!", "dog", "", "\ud800"]
    found = embedder.label_words(names)
    (alone,) = embedder.label_words(["dog"]).weights
    np.testing.assert_array_equal(found.weights[1], alone)
    for row in (0, 2, 3):
        assert not found.weights[row].any()
        assert not found.imagined[row].any()
        assert found.offsets[row] == found.known[row] == 0.0
    for name in ("?!", "\ud800"):
        with pytest.raises(PromptError):
            embedder.embed_text(["dog", name])


def test_a_name_is_read_without_the_marks_that_join_its_words(embedder: SmallEmbedder) -> None:
    plain, joined, other = embedder.label_words(["bow and arrow", "bow-and_arrow", "bow"]).imagined
    np.testing.assert_array_equal(plain, joined)
    assert np.abs(plain - other).max() > 1e-3


def test_what_is_stored_is_read_again() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(N_CLASSES, N_CLASSES)) / 20
    given = maps()
    given = WordMaps(
        mean=given.mean,
        scale=given.scale,
        covariance=half @ half.T,
        directions=given.directions,
        text_mean=rng.normal(size=64),
        text_map=rng.normal(size=(64, 3)),
    )
    found = read_word_maps(save(given.tensors()), "mine")
    np.testing.assert_allclose(found.covariance, given.covariance, atol=1e-3)
    np.testing.assert_array_equal(found.covariance, found.covariance.T)
    np.testing.assert_allclose(found.text_map, given.text_map, atol=2e-3)
    assert (found.mean == -5.0).all()


def test_damaged_weights_are_refused() -> None:
    good = maps().tensors()
    for wrong in (
        {name: good[name] for name in good if name != "mean"},
        {**good, "more": good["mean"]},
        {**good, "mean": good["mean"][1:]},
        {**good, "covariance": good["covariance"][1:]},
        {**good, "text_map": np.zeros(3)},
    ):
        with pytest.raises(ModelError, match=r"mine: .*weights of words"):
            read_word_maps(save(wrong), "mine")
    with pytest.raises(ModelError, match="mine: not the weights of words"):
        read_word_maps(b"no such file", "mine")
