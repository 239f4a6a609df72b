"""Spectrograms: a tone in its row, the same levels as SciPy's, numbers outside their ranges."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.serve.media import (
    Media,
    MediaRangeError,
    Spectrogram,
    SpectrogramView,
    compute_spectrogram,
)
from earful.serve.media.spectrogram import fitting_n_fft
from tests.serve.media.conftest import MakeSource, tone
from tests.support.pictures import read_grey

RATE = 8000


def reader(samples: NDArray[np.floating]) -> Callable[[int, int], NDArray[np.float32]]:
    """Give samples by number, zeros where there are none."""

    def read(first: int, stop: int) -> NDArray[np.float32]:
        found = np.zeros(stop - first, np.float32)
        begun, over = max(first, 0), min(stop, len(samples))
        if begun < over:
            found[begun - first : over - first] = samples[begun:over]
        return found

    return read


def test_a_tone_of_1_khz_is_bright_in_its_row_and_nowhere_else() -> None:
    view = SpectrogramView(width=40, height=40, n_fft=1024)  # rows of 100 Hz
    found = compute_spectrogram(reader(tone(1050, 2, RATE)), RATE, 0, 2 * RATE, view)
    rows = found.shades[::-1]  # the lowest first
    assert rows.shape == (40, 40)
    assert (rows[10, 2:-2] >= 250).all()  # 1,000 to 1,100 Hz
    elsewhere = np.delete(rows[:, 2:-2], [9, 10, 11], axis=0)
    assert (elsewhere == 0).all()
    # A sine of amplitude 0.5 is 6 dB below full scale.
    assert found.db_high == pytest.approx(-6.0, abs=1.5)
    assert (found.low_hz, found.high_hz) == (0.0, 4000.0)


def test_a_click_is_bright_in_its_column_and_nowhere_else() -> None:
    samples = np.zeros(4 * RATE)
    samples[round(2.05 * RATE)] = 0.9
    # Columns of a tenth of a second, each of several frames: the click is in column 20.
    view = SpectrogramView(width=40, height=64, n_fft=256)
    found = compute_spectrogram(reader(samples), RATE, 0, 4 * RATE, view)
    assert (found.shades[:, 20] > 200).all()
    assert (np.delete(found.shades, [20], axis=1) == 0).all()


def test_noise_alone_is_dark() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE)
    found = compute_spectrogram(reader(noise), RATE, 0, 4 * RATE, SpectrogramView())
    assert np.median(found.shades) < 40


def test_silence_is_black() -> None:
    found = compute_spectrogram(reader(np.zeros(RATE)), RATE, 0, RATE, SpectrogramView())
    assert not found.shades.any()


def test_levels_are_those_of_scipy() -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 3 * RATE).astype(np.float32)
    samples += tone(2500, 3, RATE, 0.2).astype(np.float32)
    n_fft, width = 512, 50
    # 128 rows of a quarter of the bins: row i shows the loudest of bins 2 i and 2 i + 1.
    view = SpectrogramView(width=width, height=128, n_fft=n_fft)
    start, hop = 1000, 400  # wider than half a window: two frames a column
    found = compute_spectrogram(reader(samples), RATE, start, start + width * hop, view)
    _, _, powers = scipy.signal.spectrogram(
        samples[start + 100 - n_fft // 2 :],
        window="hann",
        nperseg=n_fft,
        noverlap=n_fft - 200,
        detrend=False,
        scaling="spectrum",
        mode="magnitude",
    )
    db = 20 * np.log10(2 * powers[:, : 2 * width])  # both halves of a sine's spectrum
    db = db.reshape(len(db), width, 2).max(axis=2)
    rows = np.stack([db[2 * row : 2 * row + 2].max(axis=0) for row in range(127)])
    ours = found.shades[::-1][:127] * (found.db_high - found.db_low) / 255 + found.db_low
    expected = rows.clip(found.db_low, found.db_high)
    np.testing.assert_allclose(ours, expected, atol=0.2)


@given(
    data=st.data(),
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    n_fft=st.sampled_from([None, 256, 4096]),
)
@settings(max_examples=40, deadline=None)
def test_a_view_cut_in_two_shows_the_same_columns(
    data: st.DataObject, width: int, height: int, n_fft: int | None
) -> None:
    samples = np.random.default_rng(2).normal(0, 0.1, RATE)
    column = data.draw(st.floats(1, RATE / width))
    low = data.draw(st.floats(0, 3000))
    view = SpectrogramView(width=width, height=height, low_hz=low, n_fft=n_fft)
    whole = compute_spectrogram(reader(samples), RATE, 0, width * column, view)
    cut = data.draw(st.integers(0, width - 1))
    rest = SpectrogramView(width=width - cut, height=height, low_hz=low, n_fft=n_fft or whole.n_fft)
    part = compute_spectrogram(reader(samples), RATE, cut * column, width * column, rest)

    def levels(found: Spectrogram) -> NDArray[np.float64]:
        return found.shades / 255 * (found.db_high - found.db_low) + found.db_low

    low_db, high_db = max(whole.db_low, part.db_low), min(whole.db_high, part.db_high)
    ours, theirs = levels(whole)[:, cut:], levels(part)
    close = np.abs(ours.clip(low_db, high_db) - theirs.clip(low_db, high_db)) < 1.0
    # A frame may begin a sample later: the place of its column is a rounded number.
    assert close.mean() > 0.98
    assert ours.shape == theirs.shape


def test_a_long_view_is_computed_in_pieces(make_source: MakeSource) -> None:
    seconds = 400
    samples = np.zeros(seconds * RATE)
    samples[300 * RATE : 301 * RATE] = tone(1000, 1, RATE)
    source = make_source(samples, RATE)
    made = Media().spectrogram(source, 0, None, SpectrogramView(width=400, height=32)).make()
    shades = read_grey(made.body)
    assert shades.shape == (32, 400)
    # Half a second of window reaches into the columns beside it.
    assert set(np.flatnonzero(shades.max(axis=0))) <= {299, 300, 301}
    assert shades[:, 300].max() > 250


def test_a_stretch_of_a_flac_looks_like_that_of_its_wav(make_source: MakeSource) -> None:
    samples = np.random.default_rng(3).normal(0, 0.1, 20 * RATE)
    pictures = [
        Media()
        .spectrogram(make_source(samples, RATE, ending=ending), 12.3, 14.3, SpectrogramView())
        .make()
        .body
        for ending in (".wav", ".flac")
    ]
    assert pictures[0] == pictures[1]


def test_a_source_within_a_file_begins_where_it_does(make_source: MakeSource) -> None:
    samples = np.concatenate([np.zeros(2 * RATE), tone(1000, 1, RATE), np.zeros(RATE)])
    whole = make_source(samples, RATE)
    part = make_source(samples, RATE, start_s=2.0, duration_s=1.0)
    view = SpectrogramView(width=100, height=32)
    ours, theirs = (
        Media().spectrogram(source, start_s, start_s + 0.5, view).make().body
        for source, start_s in ((part, 0.2), (whole, 2.2))
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"width": 0}, "width"),
        ({"width": 4097}, "width"),
        ({"height": 513}, "height"),
        ({"n_fft": 1000}, "n_fft"),
        ({"low_hz": -1.0}, "fmin"),
        ({"low_hz": float("nan")}, "fmin"),
        ({"low_hz": 500.0, "high_hz": 500.0}, "fmax"),
    ],
)
def test_a_view_refuses(changed: dict[str, float], field: str) -> None:
    with pytest.raises(MediaRangeError) as caught:
        SpectrogramView(**changed)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.status == 422


def test_frequencies_above_half_the_rate_are_cut_or_refused(make_source: MakeSource) -> None:
    source = make_source(tone(1000, 1, RATE), RATE)
    made = Media().spectrogram(source, 0, 1, SpectrogramView(high_hz=20_000)).make()
    assert made.headers["X-High-Hz"] == "4000"
    with pytest.raises(MediaRangeError, match="4000 Hz"):
        Media().spectrogram(source, 0, 1, SpectrogramView(low_hz=4000))


def test_windows_fit_columns() -> None:
    assert [fitting_n_fft(column, 8000) for column in (1, 100, 1e9)] == [256, 512, 4096]


def test_a_changed_file_has_another_tag(make_source: MakeSource, tmp_path: Path) -> None:
    media = Media()
    source = make_source(tone(1000, 1, RATE), RATE)
    order = media.spectrogram(source, 0, 1, SpectrogramView())
    again = media.spectrogram(source, 0, None, SpectrogramView())
    assert again.etag == order.etag
    assert again.make() is order.make()
    make_source(tone(2000, 1.5, RATE), RATE)
    assert media.spectrogram(source, 0, 1, SpectrogramView()).etag != order.etag
