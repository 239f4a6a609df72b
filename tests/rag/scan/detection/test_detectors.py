"""Detectors on steps that are made by hand."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.errors import CorpusError
from earful.index.annotations import Annotation, Polarity
from earful.rag.scan import ScanSettings
from earful.rag.scan.detection import Detectors, ExampleRecording, fit_detectors
from tests.support.step_embedders import HandSteps, hand_recording

SETTINGS = ScanSettings(window_s=1.0, n_background=50)
WREN = [(20, 24), (60, 64), (100, 104), (140, 144), (180, 184), (300, 304), (340, 346)]
OWL = [(40, 43), (80, 83), (120, 123), (320, 323)]


def annotation(
    span: tuple[int, int], label: str = "wren", polarity: Polarity = "positive"
) -> Annotation:
    return Annotation(
        recording="night.wav",
        start_s=span[0] / 2,
        end_s=span[1] / 2,
        label=label,
        polarity=polarity,
        where=f"calls.txt:{span[0]}",
    )


def night() -> NDArray[np.float16]:
    return hand_recording(400, {1: WREN, 2: OWL})


def recording(*annotations: Annotation, **changes: object) -> ExampleRecording:
    fields: dict[str, object] = {
        "name": "night.wav",
        "sha256": "a" * 64,
        "steps": night(),
        "annotations": annotations,
        "complete_until_s": 92.0,
    }
    return ExampleRecording(**(fields | changes))  # type: ignore[arg-type]


def fit(*recordings: ExampleRecording, **changes: object) -> Detectors:
    values = {name: getattr(SETTINGS, name) for name in ("window_s", "n_background")} | changes
    return fit_detectors(recordings, HandSteps(), ScanSettings(**values))


WREN_EXAMPLES = [annotation(span) for span in WREN[:5]]


def spans(
    detectors: Detectors, label: str = "wren", **changes: object
) -> list[tuple[float, float]]:
    found = detectors.detect(night(), sha256="a" * 64)
    return [(one.start_s, one.end_s) for one in found.events if one.label == label]


def test_every_call_is_found_where_it_is() -> None:
    found = spans(fit(recording(*WREN_EXAMPLES)))
    assert len(found) == len(WREN)
    for (start_s, end_s), (first, stop) in zip(found, WREN, strict=True):
        assert start_s == pytest.approx(first / 2, abs=0.51)
        assert end_s == pytest.approx(stop / 2, abs=0.51)


def test_an_event_says_what_it_resembles_and_how_far_others_are() -> None:
    owls = [annotation(span, "owl") for span in OWL[:3]]
    found = fit(recording(*WREN_EXAMPLES, *owls)).detect(night(), sha256="a" * 64)
    assert found.labels == ("owl", "wren")
    assert found.scores.shape == (2, 399)
    assert found.scores.dtype == np.float32
    last = [event for event in found.events if event.label == "owl"][-1]
    assert last.start_s == pytest.approx(160, abs=0.51)
    assert last.nearest_example.startswith("night.wav ")
    assert last.similarity > 0.9
    assert last.margin is not None
    assert last.margin > 0.5
    assert (last.probability, last.n_reviewed) == (None, None)


def test_scores_are_0_at_the_background_and_1_at_an_example() -> None:
    found = fit(recording(*WREN_EXAMPLES)).detect(night(), sha256="a" * 64)
    assert np.median(found.scores) == pytest.approx(0, abs=1e-5)
    best = [event.score for event in found.events]
    assert np.median(best) == pytest.approx(1.0, abs=0.25)


def test_another_recording_is_held_against_its_own_background() -> None:
    # Its background sounds like an owl, its calls are the same.
    detectors = fit(recording(*WREN_EXAMPLES))
    other = hand_recording(300, {1: [(50, 54), (200, 206)], 2: [(0, 50), (54, 200), (206, 300)]})
    found = detectors.detect(other, sha256="b" * 64)
    assert [round(event.start_s) for event in found.events] == [25, 100]
    again = detectors.detect(other, sha256="b" * 64)
    assert found.events == again.events
    np.testing.assert_array_equal(found.scores, again.scores)


def test_nothing_is_found_where_nothing_is() -> None:
    empty = hand_recording(400, {2: OWL}, seed=5)
    assert fit(recording(*WREN_EXAMPLES)).detect(empty, sha256="c" * 64).events == ()


def test_blocks_and_short_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    detectors = fit(recording(*WREN_EXAMPLES))
    whole = detectors.detect(night(), sha256="a" * 64)
    monkeypatch.setattr("earful.rag.scan.detection.windows.AT_ONCE", 37)
    parts = detectors.detect(night(), sha256="a" * 64)
    np.testing.assert_allclose(parts.scores, whole.scores, atol=1e-5)
    # One step is shorter than a window, and none is nothing.
    short = detectors.detect(night()[20:21], sha256="d" * 64, duration_s=0.5)
    assert short.scores.shape == (1, 1)
    assert all(event.end_s <= 0.5 for event in short.events)
    assert detectors.detect(night()[:0], sha256="e" * 64).events == ()


def test_a_clip_that_is_all_call_is_held_against_the_recording_of_the_examples() -> None:
    detectors = fit(recording(*WREN_EXAMPLES))
    call, owl = (hand_recording(8, {way: [(0, 8)]}, seed=9) for way in (1, 2))
    (event,) = detectors.detect(call, sha256="d" * 64).events
    assert event.start_s < 0.6
    assert event.end_s > 3.4
    assert detectors.detect(owl, sha256="e" * 64).events == ()


def test_steps_are_read_from_a_mapped_file(tmp_path: Path) -> None:
    path = tmp_path / "night.npy"
    np.save(path, night())
    mapped = np.load(path, mmap_mode="r")
    detectors = fit(recording(*WREN_EXAMPLES, steps=mapped))
    assert detectors.detect(mapped, sha256="a" * 64).events == (
        fit(recording(*WREN_EXAMPLES)).detect(night(), sha256="a" * 64).events
    )


def test_unknown_stretches_are_no_negatives() -> None:
    # A call between the examples that nobody is sure of would hide all others.
    sure = [*WREN_EXAMPLES[:2], *WREN_EXAMPLES[3:]]
    hidden = fit(recording(*sure))
    told = fit(recording(*sure, annotation(WREN[2], polarity="unknown")))
    scores = [
        detectors.detect(night(), sha256="a" * 64).scores[0, 301] for detectors in (hidden, told)
    ]
    assert scores[1] > scores[0]


def test_a_negative_takes_away_what_sounds_like_it() -> None:
    # The third example is in truth an owl: owls are found until one is a negative.
    wrong = [*WREN_EXAMPLES[:2], annotation(OWL[0])]
    changes = {"complete_until_s": 0.0}
    before = fit(recording(*wrong, **changes)).detect(night(), sha256="a" * 64)
    after = fit(
        recording(*wrong, *(annotation(span, polarity="negative") for span in OWL[1:3]), **changes)
    ).detect(night(), sha256="a" * 64)
    assert after.scores[0, 321] < before.scores[0, 321] - 0.2


def test_clips_of_an_index_are_examples_too() -> None:
    clips = [
        ExampleRecording(
            name=f"clip-{number}.wav",
            sha256=f"{number:064}",
            steps=night()[start:stop],
            annotations=[
                Annotation(recording="clip", start_s=0, end_s=(stop - start) / 2, label="wren")
            ],
            is_clip=True,
        )
        for number, (start, stop) in enumerate(WREN[:5])
    ]
    detectors = fit(*clips)
    found = detectors.detect(night(), sha256="a" * 64)
    assert len(found.events) == len(WREN)
    assert found.events[0].nearest_example.startswith("clip-")
    assert detectors["wren"].edges.start_s == 0.0


def test_one_example_is_enough_and_says_so() -> None:
    detectors = fit(recording(WREN_EXAMPLES[0], complete_until_s=0.0))
    assert "mark five" in detectors["wren"].notes[0]
    assert len(spans(detectors)) >= 6


@pytest.mark.parametrize("kind", ["probe", "auto"])
def test_a_probe_finds_them_as_well(kind: str) -> None:
    detectors = fit(recording(*WREN_EXAMPLES), detector=kind)
    # Five examples are too few to choose by.
    assert detectors["wren"].kind == ("probe" if kind == "probe" else "neighbours")
    assert len(spans(detectors)) == len(WREN)


def test_from_twenty_reviews_on_there_are_probabilities_and_a_choice() -> None:
    calls = [(10 + 20 * place, 14 + 20 * place) for place in range(10)]
    others = [(20 + 20 * place, 24 + 20 * place) for place in range(10)]
    steps = hand_recording(400, {1: calls, 2: others})
    annotations = [
        *(annotation(span) for span in calls),
        *(annotation(span, polarity="negative") for span in others),
    ]
    detectors = fit(recording(*annotations, steps=steps, complete_until_s=0.0), detector="auto")
    own = detectors["wren"]
    assert own.calibration is not None
    assert own.calibration.n_reviewed == 20
    assert "average precisions over 20" in own.notes[-1]
    event = detectors.detect(steps, sha256="a" * 64).events[0]
    assert event.probability is not None
    assert event.probability > 0.8
    assert event.n_reviewed == 20
    few = fit(recording(*annotations[:15], steps=steps, complete_until_s=0.0))
    assert few["wren"].calibration is None


def test_thresholds_are_by_label() -> None:
    owls = [annotation(span, "owl") for span in OWL[:3]]
    detectors = fit(recording(*WREN_EXAMPLES, *owls), thresholds={"owl": 50.0})
    assert spans(detectors, "owl") == []
    assert len(spans(detectors, "wren")) == len(WREN)
    assert dict(detectors)["owl"].threshold == 50.0
    assert repr(detectors) == "Detectors('owl': neighbours, 'wren': neighbours)"


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(CorpusError, match=r"calls\.txt:500.*200\.00 s"):
        fit(recording(annotation((500, 502))))
    with pytest.raises(CorpusError, match="no positive example"):
        fit(recording(annotation((20, 24), polarity="negative")))
    with pytest.raises(CorpusError, match="'owl' has no example"):
        fit_detectors([recording(*WREN_EXAMPLES)], HandSteps(), SETTINGS, labels=["owl"])
    with pytest.raises(CorpusError, match="threshold of 'owl'"):
        fit(recording(*WREN_EXAMPLES), thresholds={"owl": 0.5})
