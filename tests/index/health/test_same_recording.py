"""One recording in two forms, and recordings that only sound alike."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.index.health import Segment, compare_signals
from tests.support.one_recording import RATE, STATIONARY, other_forms, take

ONE_TAKE = {
    # One stroke of the same player, rendered twice; one splash within a longer one.
    ("cymbal/drum-cymbal-hard", "cymbal/drum-cymbal-soft"),
    ("cymbal/drum-splash-hard", "cymbal/drum-splash-soft"),
    ("explosion/fire-blast1", "explosion/fire-blast2"),
    ("explosion/fire-blast1", "explosion/fire-blast3"),
    ("explosion/fire-blast2", "explosion/fire-blast3"),
    ("kick-drum/drum-bass-hard", "kick-drum/drum-bass-soft"),
    ("tom/drum-tom-lo-hard", "tom/drum-tom-lo-soft"),
    ("water/liquids-splash3", "water/liquids-swim1"),
}
DEMO = Path(__file__).resolve().parents[3] / "notebooks/demo/sounds"


def written(path: Path, samples: np.ndarray, rate: int = RATE) -> Segment:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return Segment(path=path)


def all_pairs(n: int) -> np.ndarray:
    return np.array(list(itertools.combinations(range(n), 2)), dtype=np.intp)


@pytest.mark.parametrize("make", STATIONARY, ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    "seconds", [0.1, *(pytest.param(more, marks=pytest.mark.slow) for more in (0.5, 1.0, 6.0))]
)
def test_takes_of_a_stationary_noise_are_not_one_recording(
    make: object, seconds: float, tmp_path: Path
) -> None:
    takes = [
        written(tmp_path / f"{seed}.wav", take(make, seed, seconds))  # type: ignore[arg-type]
        for seed in range(20)
    ]
    compared = compare_signals(takes, all_pairs(len(takes)))
    assert not compared.same.any()
    assert compared.unheard == {}


@pytest.mark.slow
@pytest.mark.parametrize("make", STATIONARY, ids=lambda make: make.__name__)
@pytest.mark.parametrize("seconds", [1.0, 6.0])
def test_every_form_of_a_stationary_noise_is_known_among_other_takes(
    make: object, seconds: float, tmp_path: Path
) -> None:
    takes = [take(make, seed, seconds) for seed in range(17)]  # type: ignore[arg-type]
    segments = [written(tmp_path / f"{n}.wav", samples) for n, samples in enumerate(takes)]
    forms = list(other_forms(takes[3], RATE))
    for n, (_, samples, rate) in enumerate(forms):
        segments.append(written(tmp_path / f"form {n}.wav", samples, rate))
    pairs = np.array([(n, 17 + form) for form in range(len(forms)) for n in range(17)])
    compared = compare_signals(segments, pairs)
    found = {(int(a), forms[b - 17][0]) for a, b in pairs[compared.same]}
    assert found == {(3, name) for name, _, _ in forms}


@pytest.mark.slow
def test_the_demo_s_recordings_are_known_in_other_forms(tmp_path: Path) -> None:
    """Of short sounds, drums and held notes among them, 97 in 100 forms are known."""
    paths = sorted(DEMO.glob("*/*.flac"))[::6]
    segments: list[Segment] = []
    pairs: list[tuple[int, int]] = []
    names: list[str] = []
    for path in paths:
        samples, rate = soundfile.read(path, always_2d=True)
        segments.append(Segment(path=path))
        original = len(segments) - 1
        for name, form, form_rate in other_forms(samples.mean(axis=1), rate):
            segments.append(written(tmp_path / f"{len(segments)}.wav", form, form_rate))
            pairs.append((original, len(segments) - 1))
            names.append(f"{path.name}: {name}")
    compared = compare_signals(segments, np.array(pairs))
    missed = [name for name, same in zip(names, compared.same, strict=True) if not same]
    assert len(names) > 500
    assert len(missed) <= 0.03 * len(names), missed


@pytest.mark.slow
def test_what_the_demo_has_twice_is_found_and_nothing_else() -> None:
    """Of 35,245 pairs the eight that share a take, and no other."""
    paths = sorted(DEMO.glob("*/*.flac"))
    segments = [Segment(path=path) for path in paths]
    pairs = all_pairs(len(paths))
    compared = compare_signals(segments, pairs)
    names = [path.relative_to(DEMO).as_posix().removesuffix(".flac") for path in paths]
    found = {(names[a], names[b]) for a, b in pairs[compared.same]}
    assert found == ONE_TAKE


def test_what_cannot_be_compared_is_named(tmp_path: Path) -> None:
    sound = take(STATIONARY[0], 0, 1.0)
    segments = [
        written(tmp_path / "sound.wav", sound),
        written(tmp_path / "silent.wav", 0.0 * sound),
        written(tmp_path / "short.wav", sound[:1200]),
        Segment(path=tmp_path / "gone.wav"),
        written(tmp_path / "unasked.wav", sound),
    ]
    compared = compare_signals(segments, np.array([(0, 1), (0, 2), (0, 3)]))
    assert not compared.same.any()
    assert set(compared.unheard) == {1, 2, 3}
    for n, keyword in ((1, "silent"), (2, "too short"), (3, "gone.wav")):
        assert keyword in compared.unheard[n]
    nothing = compare_signals(segments, np.zeros((0, 2), dtype=np.intp))
    assert nothing.same.shape == (0,)


def test_stretches_of_one_file_are_compared_and_not_the_file(tmp_path: Path) -> None:
    first, second = take(STATIONARY[0], 0, 1.5), take(STATIONARY[0], 1, 1.5)
    path = written(tmp_path / "all.wav", np.concatenate([first, second, first])).path
    thirds = [Segment(path=path, start_s=1.5 * n, end_s=1.5 * (n + 1)) for n in range(3)]
    compared = compare_signals(thirds, all_pairs(3))
    assert compared.same.tolist() == [False, True, False]
