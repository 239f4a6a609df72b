"""What stands out in clips that are padded, and the scans that are given such clips."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from benchmarks.scan_bed import DEMO, RATE
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import earful
from earful import ExampleSources
from earful.index.annotations import Annotation
from earful.model import load_step_embedder
from earful.model.audio import load_audio
from earful.model.encoders import overview
from earful.rag.scan.examples.standing import find_stretch, narrow_clips
from tests.support.tone_recordings import ToneSteps, every, record

STEP = 8192
GUNSHOTS = [
    DEMO / f"sounds/gunshot/objects-weapons-blunderbuss-gunshoot{n}.flac" for n in range(1, 6)
]
Samples = NDArray[np.float32]


def padding(seconds: float, level: float, seed: int) -> Samples:
    noise = np.random.default_rng(seed).normal(0, level, round(seconds * RATE))
    return noise.astype(np.float32)


def shipped(path: Path) -> Samples:
    clip = load_audio(path, sample_rate=RATE)
    loud = np.flatnonzero(np.abs(clip.samples) > 0.1 * np.abs(clip.samples).max())
    own: Samples = clip.samples[loud[0] : loud[-1] + 1] / np.abs(clip.samples).max()
    return own


@pytest.mark.parametrize("level", [0.0, 0.003, 0.01])
@pytest.mark.parametrize("path", GUNSHOTS[:3], ids=lambda path: path.stem[-1])
def test_a_shipped_sound_is_found_in_its_padding(path: Path, level: float) -> None:
    sound = shipped(path)
    samples = padding(5.0, level, 1)
    first = round(2.3 * RATE)
    samples[first : first + sound.size] += 0.5 * sound
    found = find_stretch(overview(samples, RATE, STEP))
    assert found is not None
    start_s, end_s = (step * STEP / RATE for step in found)
    assert start_s == pytest.approx(2.3, abs=0.2)
    assert end_s == pytest.approx(2.3 + sound.size / RATE, abs=0.4)
    # What sounds from beginning to end stays as it is, and so does padding alone.
    assert find_stretch(overview(sound, RATE, STEP)) is None
    assert find_stretch(overview(padding(5.0, 0.01, 2), RATE, STEP)) is None


@given(
    n_steps=st.integers(8, 60),
    place=st.floats(0, 1),
    length=st.integers(1, 5),
    background=st.integers(0, 150),
)
def test_a_stretch_is_where_it_was_put(
    n_steps: int, place: float, length: int, background: int
) -> None:
    length = min(length, n_steps // 2)
    first = round(place * (n_steps - length))
    levels = np.full((n_steps, 48), background, np.uint8)
    assert find_stretch(levels) is None
    levels[first : first + length, 10:20] += 60
    assert find_stretch(levels) == (first, first + length)


def test_the_loudest_of_several_stretches_counts() -> None:
    levels = np.full((40, 48), 60, np.uint8)
    levels[3:6, 10:20] = 110
    levels[20:24, 10:20] = 140
    levels[26:27, 10:20] = 120  # two steps on belongs to it
    assert find_stretch(levels) == (20, 27)


def test_a_label_of_steady_sound_stays_as_it_is() -> None:
    padded = np.full((30, 48), 60, np.uint8)
    padded[10:14, 10:20] = 120
    steady = np.full((30, 48), 100, np.uint8)
    shapes = {"a": padded, "b": steady, "c": padded, "d": padded, "e": steady, "f": steady}

    def mark(name: str, label: str, polarity: str = "positive") -> Annotation:
        return Annotation(recording=name, start_s=0, end_s=6.0, label=label, polarity=polarity)  # type: ignore[arg-type]

    clips = {name: [mark(name, "dog" if name in "abc" else "rain")] for name in shapes}
    clips["a"].append(mark("a", "cat", "negative"))
    narrowed, notes = narrow_clips(clips, shapes.__getitem__, 0.2)
    assert set(narrowed) == {"a", "c"}
    dog, cat = narrowed["a"]
    assert (dog.start_s, dog.end_s, cat.start_s, cat.end_s) == (2.0, 2.8, 0, 6.0)
    (note,) = notes
    assert note.startswith("took 2.0 to 2.8 s of a, which stands out, and so of 1 other clip; ")
    shapes = {name: np.where(levels == 60, 0, levels) for name, levels in shapes.items()}
    assert (
        "2 clips are padded with digital silence"
        in narrow_clips(clips, shapes.__getitem__, 0.2)[1][1]
    )
    assert narrow_clips({}, shapes.__getitem__, 0.2) == ({}, [])


@pytest.mark.slow
def test_padded_clips_of_shipped_sounds_find_their_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EARFUL_DECODE", "here")
    sounds = [shipped(path) for path in GUNSHOTS]
    Path("clips/gunshot").mkdir(parents=True)
    for number, sound in enumerate(sounds[:4]):
        samples = padding(4.0, 0.01, number)
        first = round((1 + 0.4 * number) * RATE)
        samples[first : first + sound.size] += 0.3 * sound
        soundfile.write(f"clips/gunshot/{number}.wav", samples, RATE)
    night, starts = padding(60.0, 0.01, 99), [7.0, 21.0, 33.0, 50.0]
    for start_s, sound in zip(starts, [*sounds[2:], *sounds[:1]], strict=True):
        first = round(start_s * RATE)
        night[first : first + sound.size] += 0.25 * sound
    soundfile.write("night.wav", night, RATE)
    steps = load_step_embedder("earful-small")
    whole = ExampleSources(annotations=("clips",), whole_clips=True)
    options = earful.ScanOptions(vectors="vectors")
    assert not len(earful.scan("night.wav", examples=whole, embedder=steps, options=options))
    found = earful.scan("night.wav", examples="clips", embedder=steps, options=options)
    assert [event.start_s for event in found] == pytest.approx(starts, abs=0.4)
    assert found.notes[0].startswith("took 0.9 to ")


def test_a_label_that_was_not_found_says_how_near_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EARFUL_DECODE", "here")
    record(Path("a.wav"), 60, every(20, 2, "wren"))
    record(Path("clips/wren/1.wav"), 1, [(0, 1, "wren")])
    settings = earful.ScanSettings(threshold=90.0)
    found = earful.scan("a.wav", examples="clips", embedder=ToneSteps(), settings=settings)
    assert not len(found)
    assert "wren: the highest score was " in found.summaries[0].notes[-1]
    assert "and the threshold is 90; a lower --threshold" in found.summaries[0].notes[-1]
