"""Files decoded ahead: the same clips and errors in the same order, never too many at once."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.errors import AudioError
from earful.model import ahead, decode_ahead
from earful.model.audio import Clip, load_isolated

RATE = 8000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Recordings, the third of which is none and the last of which is missing."""
    folder = tmp_path_factory.mktemp("ahead")
    drawn = np.random.default_rng(0)
    paths = [folder / f"{number}.wav" for number in range(7)]
    for number, path in enumerate(paths[:-1]):
        soundfile.write(path, 0.1 * drawn.standard_normal(RATE // (number + 1)), RATE)
    paths[2].write_bytes(b"no sound")
    return paths


def heard(path: Path, options: Mapping[str, object]) -> Clip | str:
    try:
        return load_isolated(path, **options)  # type: ignore[arg-type]
    except AudioError as error:
        return str(error)


@pytest.mark.parametrize("end_s", [None, 0.05])
def test_clips_and_errors_are_those_of_one_after_the_other(
    files: list[Path], end_s: float | None
) -> None:
    options = {"sample_rate": 4000, "start_s": 0.0, "end_s": end_s}
    found = 0
    for path, file in zip(files, decode_ahead(files, sample_rate=4000, end_s=end_s), strict=True):
        assert Path(file) == path
        expected = heard(path, options)
        if isinstance(expected, str):
            with pytest.raises(AudioError) as caught:
                file.load(**options)
            assert str(caught.value) == expected
            continue
        found += 1
        clip = file.load(**options)
        assert clip.content_sha256 == expected.content_sha256
        assert clip.samples.tobytes() == expected.samples.tobytes()
        assert clip.source == expected.source
    assert found == 5


def test_other_options_decode_the_file_again(files: list[Path]) -> None:
    (file,) = decode_ahead(files[:1], sample_rate=4000)
    assert file.load(sample_rate=RATE, start_s=0.0, end_s=None).samples.size == RATE


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Never opened. Of its own: a thread of an earlier test may still be about to load another.
    files = [tmp_path / f"{number}.wav" for number in range(7)]
    begun: list[str] = []

    def load(path: str, **_: object) -> Clip:
        if Path(path) in files:
            begun.append(path)
        return Clip(samples=np.zeros(1000, dtype=np.float32), sample_rate=RATE)

    monkeypatch.setattr(ahead, "load_isolated", load)
    monkeypatch.setattr(ahead, "_MOST_BYTES", 1)
    for n_heard, file in enumerate(decode_ahead(files * 3, sample_rate=RATE), start=1):
        file.load(sample_rate=RATE, start_s=0.0, end_s=None)
        assert len(begun) <= n_heard + ahead._MOST_DECODERS + 1
    assert len(begun) == 21


def test_nothing_is_begun_for_a_caller_who_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / f"{number}.wav" for number in range(7)]
    begun: list[str] = []

    def load(path: str, **_: object) -> Clip:
        if Path(path) in files:
            begun.append(path)
        raise AudioError(path)

    monkeypatch.setattr(ahead, "load_isolated", load)
    going = decode_ahead(files * 100, sample_rate=RATE)
    next(going)
    going.close()  # type: ignore[attr-defined]
    assert len(begun) <= ahead._MOST_DECODERS + 2
