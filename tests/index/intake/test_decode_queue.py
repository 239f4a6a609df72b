import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.index.corpus import CorpusRow, open_corpus
from earful.index.intake.decode_queue import Decoded, Inspected, Rejected, RowDecoder, in_order
from earful.model.audio import AudioLimits, file_sha256

RATE = 8000


def row_decoder(source: Path) -> tuple[RowDecoder, list[CorpusRow]]:
    corpus = open_corpus(source)
    return RowDecoder(corpus, {}, sample_rate=RATE, limits=AudioLimits()), list(corpus)


def write_segments(folder: Path, *, n: int) -> Path:
    """Write one long file and a table that cuts it into seconds."""
    levels = np.repeat(np.arange(1, n + 1) / (n + 1), 2 * RATE).astype(np.float32)
    soundfile.write(folder / "long.wav", levels, 2 * RATE, subtype="FLOAT")
    lines = [f"long.wav,{number},{number + 1}" for number in range(n)]
    (folder / "t.csv").write_text("audio,start_s,end_s\n" + "\n".join(lines))
    return folder / "t.csv"


def test_a_segment_is_decoded_at_the_embedders_rate(tmp_path: Path) -> None:
    work, rows = row_decoder(write_segments(tmp_path, n=3))
    inspected = work.inspect((1, rows[1]))
    assert isinstance(inspected, Inspected)
    # One second at the file's 16 kHz and at 8 kHz beside it, four bytes a sample.
    assert inspected.decoded_bytes == 4 * (2 * RATE + RATE)
    assert inspected.audio_key == (file_sha256(tmp_path / "long.wav"), 1.0, 2.0)
    decoded = work.decode(inspected)
    assert isinstance(decoded, Decoded)
    assert (decoded.clip.sample_rate, decoded.clip.samples.size) == (RATE, RATE)
    assert float(np.median(decoded.clip.samples)) == pytest.approx(0.5, abs=1e-3)


def test_a_file_cut_into_many_rows_is_hashed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []

    def counted(path: Path, *, limits: AudioLimits) -> str:
        hashed.append(path)
        return file_sha256(path, limits=limits)

    monkeypatch.setattr("earful.index.intake.decode_queue.file_sha256", counted)
    work, rows = row_decoder(write_segments(tmp_path, n=40))
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(work.inspect, enumerate(rows)))
    assert all(isinstance(outcome, Inspected) for outcome in outcomes)
    assert hashed == [tmp_path / "long.wav"]


def test_a_segment_beyond_the_end_is_rejected_with_its_row(tmp_path: Path) -> None:
    table = write_segments(tmp_path, n=2)
    table.write_text("audio,start_s,end_s\nlong.wav,7,8\n")
    work, rows = row_decoder(table)
    inspected = work.inspect((0, rows[0]))
    assert isinstance(inspected, Inspected)
    outcome = work.decode(inspected)
    assert isinstance(outcome, Rejected)
    assert outcome.rejection.where == f"{table}:2"


@settings(deadline=None, max_examples=40)
@given(
    costs=st.lists(st.integers(0, 20), max_size=40),
    n_most=st.integers(1, 8),
    budget=st.integers(0, 30),
    n_threads=st.integers(1, 4),
)
def test_results_keep_their_order_and_what_is_ahead_keeps_its_bounds(
    costs: list[int], n_most: int, budget: int, n_threads: int
) -> None:
    lock = threading.Lock()
    ahead: dict[int, int] = {}
    peaks: list[tuple[int, int]] = []

    def work(item: tuple[int, int]) -> tuple[int, int]:
        with lock:
            ahead[item[0]] = item[1]
            peaks.append((len(ahead), sum(ahead.values())))
        return item

    items = list(enumerate(costs))
    taken = []
    with ThreadPoolExecutor(n_threads) as pool:
        for item in in_order(
            pool, work, items, n_most=n_most, cost=lambda item: item[1], budget=budget
        ):
            taken.append(item)
            # Held until here: the next result is asked for now.
            with lock:
                del ahead[item[0]]
    assert taken == items
    for n_ahead, cost in peaks:
        assert n_ahead <= n_most
        assert cost <= budget or n_ahead == 1


def test_items_are_taken_only_as_far_ahead_as_the_bound() -> None:
    pulled: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            pulled.append(number)
            yield number

    with ThreadPoolExecutor(1) as pool:
        results = in_order(pool, lambda item: item, items(), n_most=5)
        assert next(results) == 0
        assert len(pulled) <= 6
