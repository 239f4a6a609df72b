"""Rows of an index that say what is not there are negative examples of a scan."""

import os
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

import earful
from earful.errors import CorpusError
from earful.index import Exemplar, Index, Row
from earful.rag.scan.examples import ExampleSources, gather_examples
from tests.support.tone_recordings import ToneSteps, every, record

# So rare that the background of the recording alone does not tell the owls.
WRENS = [(at_s, at_s + 0.3, label) for at_s, _, label in every(20, 5, "wren")]
OWLS = [(at_s, at_s + 0.3, label) for at_s, _, label in every(20, 5, "owl", first_s=15.0)]


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """A night of wrens and owls, and an index whose wrens were recorded while an owl called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EARFUL_DECODE", "here")
    monkeypatch.setattr(os, "fsync", lambda _: None)
    record(Path("night.wav"), 300, [*WRENS, *OWLS])
    index = Index.create("sounds.index", ToneSteps.fingerprint)
    index.add([row("wren+owl", seed, labels=("wren",)) for seed in (1, 2)])
    return index


def row(
    sound: str, seed: int, *, labels: tuple[str, ...] = (), not_labels: tuple[str, ...] = ()
) -> Row:
    name = f"clips/{sound}{seed}.wav"
    record(Path(name), 1, [(0.0, 1.0, one) for one in sound.split("+")], seed=seed)
    return Row(
        exemplar=Exemplar(id=name, audio=PurePosixPath(name), labels=labels, not_labels=not_labels),
        root=Path.cwd(),
        duration_s=1.0,
        file_sha256="",
        content_sha256="",
        vector=np.eye(16, dtype=np.float32)[0],
    )


def n_at(events: earful.Events, beeps: list[tuple[float, float, str]]) -> int:
    return sum(
        any(event.start_s < end_s and start_s < event.end_s for event in events)
        for start_s, end_s, _ in beeps
    )


def test_what_an_index_denies_lowers_false_events(sounds: Index) -> None:
    def scan(out: str) -> tuple[earful.Events, int, int]:
        settings = earful.ScanSettings(threshold=0.5)
        events = earful.scan(
            "night.wav", index=sounds, embedder=ToneSteps(), out=out, settings=settings
        )
        return events, n_at(events, WRENS), n_at(events, OWLS)

    assert scan("before.scan")[1:] == (5, 5)
    sounds.add([row("owl", seed, not_labels=("wren",)) for seed in (3, 4)])
    after, *found = scan("after.scan")
    assert found == [5, 0]
    assert after.labels == ("wren",)
    (summary,) = after.summaries
    assert summary.n_examples == 2
    written = Path("after.scan/examples.csv").read_text()
    assert written.count(",negative,") == 2


def test_only_what_is_looked_for_is_taken(sounds: Index) -> None:
    sounds.add(
        [
            row("owl", 3, not_labels=("wren", "fox")),
            row("fox", 4, labels=("fox",), not_labels=("wren",)),
            row("fox", 5, not_labels=("fox",)),
        ]
    )
    found = gather_examples(ExampleSources(index=sounds, labels=("wren",)), ["night.wav"])
    marks = {
        (one.label, one.polarity, Path(marked.path).stem)
        for marked in found.marked
        for one in marked.marks(1.0)
    }
    assert found.labels == ("wren",)
    assert {mark for mark in marks if mark[0] == "wren"} == {
        ("wren", "positive", "wren+owl1"),
        ("wren", "positive", "wren+owl2"),
        ("wren", "negative", "owl3"),
        ("wren", "negative", "fox4"),
    }
    assert "fox5" not in {stem for _, _, stem in marks}
    with pytest.raises(CorpusError, match=r"did you mean 'wren'\? known: fox, wren"):
        gather_examples(ExampleSources(index=sounds, labels=("wrens",)), ["night.wav"])
