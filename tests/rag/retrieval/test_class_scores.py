"""Class scores of queries, of a task's examples and of what may answer."""

from pathlib import Path

import numpy as np
import pytest

from earful.index import Index
from earful.index.builder import build_index
from earful.model.audio import load_audio
from earful.rag.evaluation.items import items_of_index
from earful.rag.retrieval import Retriever, Stopwatch
from earful.rag.retrieval.query import Query, read_queries
from earful.rag.task import Task, load_task
from tests.support.class_scorers import ScoredSamples, logits_of
from tests.support.small_corpus import RATE, Samples, write_corpus


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("scored") / "sounds", 10)


@pytest.fixture(scope="module")
def index(sounds: Path) -> Path:
    path = sounds.parent / "sounds.index"
    build_index(sounds, path, embedder=ScoredSamples())
    return path


def read(path: Path, embedder: Samples) -> Query:
    (query,) = read_queries([path], embedder=embedder, sample_rate=RATE, watch=Stopwatch())
    assert isinstance(query, Query)
    return query


def test_a_query_has_the_scores_of_the_pass_that_embeds_it(sounds: Path) -> None:
    path, embedder = sounds / "dog/0000.wav", ScoredSamples()
    query = read(path, embedder)
    assert embedder.n_clips == 1
    assert query.class_scores is not None
    assert query.class_scores.dtype == np.float32
    np.testing.assert_array_equal(query.class_scores, logits_of(load_audio(path, sample_rate=RATE)))
    assert read(path, Samples()).class_scores is None


def test_examples_and_rows_have_scores_together_or_not_at_all(index: Path, sounds: Path) -> None:
    file = sounds.parent / "t.toml"
    audio = sounds / "door/0003.wav"
    file.write_text(f'examples = [{{audio = "sounds/door/{audio.name}", label = "dog"}}]')
    task = load_task(file)
    retriever = Retriever(embedder=ScoredSamples(), index=Index.open(index))
    candidates = retriever.prepare(task).candidates
    assert candidates.class_scores is not None
    for path, scores in zip(candidates.paths, candidates.class_scores, strict=True):
        wanted = logits_of(load_audio(path, sample_rate=RATE))
        np.testing.assert_allclose(scores, wanted, rtol=1e-3, atol=1e-3)
    assert candidates.class_scores.shape == (3, 3)
    plain = Retriever(embedder=Samples(), index=Index.open(index)).prepare(task).candidates
    assert (len(plain), plain.class_scores) == (3, None)


def test_items_of_an_index_have_their_rows_scores(index: Path) -> None:
    rows = Index.open(index).vectors()
    found = items_of_index(Task(name="t"), rows).items
    assert rows.class_scores is not None
    for item, scores in zip(found, rows.class_scores, strict=True):
        assert item.query.class_scores is not None
        assert item.query.class_scores.dtype == np.float32
        assert item.query.class_scores.tolist() == scores.tolist()
