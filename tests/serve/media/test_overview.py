"""Overviews: tiles that fit together, of what is kept and of short files."""

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.model.encoders import overview
from earful.serve.media import Media, MediaRangeError, Overview, compute_overview
from earful.serve.media.overview import NoOverviewError
from tests.serve.media.conftest import MakeSource, tone

RATE = 44_100


def levels(n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(40, 200, (n, 48), dtype=np.uint8)


def test_tiles_fit_together() -> None:
    whole = Overview.of(levels(1000), 0.2, 22_050)
    one = whole.tile(0, 1000)
    assert one.shape == (96, 1000)
    parts = [whole.tile(column, 300) for column in range(0, 1000, 300)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), one)
    assert parts[-1].shape == (96, 100)


def test_a_pooled_column_is_the_loudest_of_its_steps() -> None:
    whole = Overview.of(levels(1000), 0.2, 22_050)
    pooled = whole.tile(0, 4096, pool=7)
    assert pooled.shape[1] == whole.n_columns(7) == 143
    one = whole.tile(0, 1000)
    np.testing.assert_array_equal(pooled[:, 5], one[:, 35:42].max(axis=1))


def test_a_tone_is_bright_where_it_sounds(make_source: MakeSource) -> None:
    noise = np.random.default_rng(0).normal(0, 0.001, 20 * RATE)
    noise[10 * RATE : 11 * RATE] += tone(3000, 1, RATE)
    whole = compute_overview(make_source(noise, RATE))
    assert whole.step_s == pytest.approx(8192 / 44_100)
    shades = whole.tile(0, 4096)
    bright = np.flatnonzero(shades.max(axis=0) > 250) * whole.step_s
    assert bright.min() == pytest.approx(10, abs=0.2)
    assert bright.max() == pytest.approx(11, abs=0.2)


def test_what_a_scan_keeps_goes_before_the_file(make_source: MakeSource) -> None:
    source = make_source(tone(1000, 1, RATE), RATE)
    source.path.unlink()
    kept = Overview.of(levels(50), 0.5, 22_050)
    made = Media().overview(source, 10, 20, kept=lambda: kept).make()
    assert made.headers == {
        "X-Columns": "50",
        "X-Column": "10",
        "X-Step-S": "0.5",
        "X-Low-Hz": "20",
        "X-High-Hz": "22050",
    }


def test_an_overview_is_that_of_the_encoders(make_source: MakeSource) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 5 * RATE)
    source = make_source(samples, RATE)
    heard = (np.round(samples * 32767) / 32768).astype(np.float32)
    expected = overview(heard, RATE, 8192)
    found = compute_overview(source).levels
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_a_long_source_without_one_is_refused(make_source: MakeSource) -> None:
    source = make_source(tone(1000, 1, RATE), RATE, duration_s=3600.0)
    with pytest.raises(NoOverviewError, match="1 h 00 min") as caught:
        Media().overview(source).make()
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("column", "n", "pool", "field"),
    [
        (-1, 10, 1, "column"),
        (50, 10, 1, "column"),
        (0, 0, 1, "n"),
        (0, 4097, 1, "n"),
        (0, 1, 0, "pool"),
    ],
)
def test_a_tile_refuses(column: int, n: int, pool: int, field: str) -> None:
    with pytest.raises(MediaRangeError) as caught:
        Overview.of(levels(50), 0.5, 22_050).tile(column, n, pool)
    assert caught.value.field == field


def test_a_file_that_changes_has_another_overview(make_source: MakeSource) -> None:
    source, media = make_source(tone(1000, 1, RATE), RATE), Media()
    first = media.overview(source).make()
    make_source(np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    assert media.overview(source).make().body != first.body
