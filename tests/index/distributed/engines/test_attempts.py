import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import EngineError
from earful.index.distributed import run_units
from tests.support.engines import (
    BrokenError,
    EngineHere,
    LostError,
    ToldWorker,
    rejected,
    units_of,
)

Bad = dict[int, type[Exception]]


def outcome(
    engine: EngineHere, worker: ToldWorker, *, n_rows: int, n_each: int
) -> tuple[list[int], dict[int, str]]:
    """Return the rows that were done, and the reasons of the others."""
    done: list[int] = []
    reasons: dict[int, str] = {}
    units = units_of(n_rows, n_each=n_each)
    for result in run_units(engine, units, lambda: worker, reject=rejected):
        done += result.numbers
        for item in result.rejected:
            assert item.number not in reasons
            reasons[item.number] = item.rejection.error
    return sorted(done), reasons


def test_one_row_that_ends_its_worker_costs_eleven_workers_and_itself() -> None:
    engine = EngineHere(n=1)
    done, reasons = outcome(engine, ToldWorker({20: LostError}), n_rows=64, n_each=64)
    assert done == [number for number in range(64) if number != 20]
    assert reasons == {20: "its worker was lost 3 times: row 20"}
    # Three of the unit, one each of 32, 16, 8, 4 and 2 rows, three of the row; one at first.
    assert engine.n_workers == 1 + 11


def test_a_unit_that_fails_by_chance_is_done_whole() -> None:
    engine = EngineHere(n=1)
    flaky = {unit.name: 2 for unit in units_of(10, n_each=5)}
    done, reasons = outcome(engine, ToldWorker({}, flaky), n_rows=10, n_each=5)
    assert (done, reasons, engine.n_runs) == (list(range(10)), {}, 6)


@given(
    bad=st.dictionaries(st.integers(0, 59), st.sampled_from([ValueError, LostError]), max_size=7),
    flaky=st.integers(0, 2),
    n_each=st.integers(1, 30),
    n_flying=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_every_row_is_answered_once_and_only_bad_ones_are_rejected(
    bad: Bad, flaky: int, n_each: int, n_flying: int, seed: int
) -> None:
    engine = EngineHere(n=n_flying, seed=seed)
    names = {unit.name: flaky for unit in units_of(60, n_each=n_each)}
    done, reasons = outcome(engine, ToldWorker(bad, names), n_rows=60, n_each=n_each)
    assert done == [number for number in range(60) if number not in bad]
    assert reasons.keys() == bad.keys()
    for number, reason in reasons.items():
        assert ("lost" in reason) == (bad[number] is LostError)
        assert f"row {number}" in reason
    assert engine.n_open == 0


def test_an_embedder_that_fails_at_every_sound_stops_the_run_by_the_units_name() -> None:
    engine = EngineHere(n=1)
    worker = ToldWorker(dict.fromkeys(range(100), BrokenError))
    with pytest.raises(EngineError, match=r"table.csv:2 to table.csv:11 \(10 rows\).*row 0"):
        outcome(engine, worker, n_rows=100, n_each=10)
    assert (engine.n_runs, engine.n_open) == (3, 0)


def test_rows_that_all_end_their_workers_stop_the_run() -> None:
    worker = ToldWorker(dict.fromkeys(range(5, 100), LostError))
    with pytest.raises(EngineError, match="10 rows one after the other") as caught:
        outcome(EngineHere(n=1), worker, n_rows=100, n_each=5)
    assert re.search("--cpus-per-worker", str(caught.value))


def test_rows_that_all_raise_are_each_rejected() -> None:
    """Where the embedder embeds a sound of its own, the rows are to blame, however many."""
    worker = ToldWorker(dict.fromkeys(range(40), ValueError))
    done, reasons = outcome(EngineHere(), worker, n_rows=40, n_each=8)
    assert (done, len(reasons)) == ([], 40)


def test_workers_end_when_nobody_wants_more() -> None:
    engine = EngineHere()
    results = run_units(engine, units_of(40, n_each=4), lambda: ToldWorker({}), reject=rejected)
    next(results)
    assert engine.n_open == 1
    results.close()
    assert engine.n_open == 0
