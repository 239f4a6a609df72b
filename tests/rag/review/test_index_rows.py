"""A review of the doubtful rows of an index."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.index import Index
from earful.index.builder import build_index
from earful.rag.review import ReviewSession
from tests.support.review_scans import said

RATE = 8000


def write(path: Path, hz: float, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    at = np.arange(RATE // 4) / RATE
    samples = 0.3 * np.sin(2 * np.pi * hz * random.uniform(0.9, 1.1) * at)
    soundfile.write(path, samples + random.normal(0, 0.02, at.size), RATE, subtype="PCM_16")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """Two tones, one clip among the wrong ones, and one clip twice."""
    monkeypatch.setenv("EARFUL_DECODE", "here")
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for take in range(5):
        write(tmp_path / f"corpus/low/{take}.wav", 200.0, take)
        write(tmp_path / f"corpus/high/{take}.wav", 2000.0, 10 + take)
    write(tmp_path / "corpus/low/wrong.wav", 2000.0, 20)
    (tmp_path / "corpus/low/copy.wav").write_bytes((tmp_path / "corpus/low/0.wav").read_bytes())
    build_index(tmp_path / "corpus", tmp_path / "tones.index", embedder="logmel")
    return Index.open(tmp_path / "tones.index")


def test_rows_that_somebody_should_listen_to(index: Index, tmp_path: Path) -> None:
    session = ReviewSession.open(index=index)
    assert session.name == "index"
    assert session.labels == ("high", "low")  # by name
    items = session.next_items(10, reviewer="ana")
    assert [item.source.name for item in items] == ["wrong.wav", "0.wav", "copy.wav"]
    wrong, first, copy = items
    assert wrong.item == wrong.exemplar
    assert (wrong.exemplar, wrong.guess, wrong.start_s, wrong.end_s) == (
        *("low/wrong.wav", "low", 0.0, 0.25),
    )
    assert "labelled 'low'" in wrong.why
    assert "says 'high'" in wrong.why
    assert wrong.nearest is not None
    assert wrong.nearest.exemplar.startswith("high/")
    assert 0 < (wrong.nearest.similarity or 0) < 1
    assert "the same audio 2 times" in first.why
    assert copy.nearest is not None
    assert copy.nearest.exemplar == first.exemplar
    done = session.label(said(wrong, label="high"))
    assert (done.label.source, done.label.guess) == ("index", "low")
    assert session.journal.path == tmp_path / "tones.index" / "labels.jsonl"
    assert session.item(wrong.item).said == ("high",)
    assert session.refit() is None  # the index is as it was
    index.remove([copy.exemplar])
    refit = session.refit()
    assert refit is not None
    # What was labelled stays, and so do the other two while somebody looks at them.
    assert refit.text == "index: 3 doubtful rows"
    session.release("")
    index.remove(["low/4.wav"])
    refit = session.refit()
    assert refit is not None
    assert refit.text == "index: 3 → 1 doubtful rows"
    assert Index.open(index.path).path == index.path  # a journal does not make it damaged
