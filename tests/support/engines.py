"""Engines without other processes, and workers that fail as they are told to."""

import random
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, cast

from earful.index.corpus import CorpusRow, Exemplar, Rejection
from earful.index.distributed import Done, Failed, Unit, UnitResult, UnitRow, Worker
from earful.index.intake import Rejected
from earful.model import Embedder, Fingerprint


class LostError(Exception):
    """Raised by a worker of ``EngineHere`` to be lost."""


class BrokenError(Exception):
    """Raised by a worker of ``EngineHere`` that is broken from now on."""


class EngineHere:
    """An engine whose workers are objects of this process; it ends units in any order."""

    cpus_per_worker = 1

    def __init__(self, *, load: Callable[[], Embedder] | None = None, n: int = 3, seed: int = 0):
        self.load = load
        self.n = n
        self.n_workers = self.n_runs = self.n_open = 0
        self._random = random.Random(seed)

    def loader(self, fingerprint: Fingerprint) -> Callable[[], Embedder]:
        assert self.load is not None
        return self.load

    def unit_rows(self, n_rows: int) -> int:
        return 5

    def run(
        self, next_unit: Callable[[], Unit | None], make_worker: Callable[[], Worker]
    ) -> Generator[Done | Failed]:
        self.n_open += 1
        flying: list[Unit] = []
        worker = self._make(make_worker)
        try:
            while True:
                while len(flying) < self.n and (unit := next_unit()) is not None:
                    flying.append(unit)
                if not flying:
                    return
                unit = flying.pop(self._random.randrange(len(flying)))
                self.n_runs += 1
                try:
                    yield Done(unit=unit, result=worker.work(unit))
                except LostError as error:
                    worker = self._make(make_worker)
                    yield Failed(unit=unit, error=str(error), was_lost=True)
                except Exception as error:
                    broken = isinstance(error, BrokenError) or bool(worker.fault())
                    yield Failed(unit=unit, error=str(error), is_broken=broken)
        finally:
            self.n_open -= 1

    def _make(self, make_worker: Callable[[], Worker]) -> Worker:
        self.n_workers += 1
        return make_worker()


class ToldWorker:
    """A worker that answers with the numbers of its rows, or fails.

    Args:
        bad: Rows that fail, and how.
        flaky: How often each unit fails before it is done, by its name.
    """

    def __init__(
        self, bad: Mapping[int, type[Exception]], flaky: dict[str, int] | None = None
    ) -> None:
        self.bad = bad
        self.flaky = {} if flaky is None else flaky

    def work(self, unit: Unit) -> UnitResult:
        for row in unit.rows:
            if failure := self.bad.get(row.number):
                raise failure(f"row {row.number}")
        if self.flaky.get(unit.name, 0) > 0:
            self.flaky[unit.name] -= 1
            raise LostError("by chance")
        return answered(unit)

    def fault(self) -> str:
        return ""


def units_of(n_rows: int, *, n_each: int) -> Iterator[Unit]:
    """Yield units of rows 0, 1, …."""
    rows = [
        UnitRow(
            number=number,
            row=CorpusRow(
                exemplar=Exemplar(id=str(number), audio=PurePosixPath(f"{number}.wav")),
                where=f"table.csv:{number + 2}",
            ),
        )
        for number in range(n_rows)
    ]
    return (Unit.of(rows[start : start + n_each]) for start in range(0, n_rows, n_each))


def answered(unit: Unit) -> UnitResult:
    """Return a result that accepts every row."""
    numbers = tuple(row.number for row in unit.rows)
    return UnitResult(unit=unit.name, batch=cast(Any, None), numbers=numbers)


def rejected(unit: Unit, error: str) -> UnitResult:
    """Return a result that rejects every row."""
    rows = tuple(
        Rejected(
            number=row.number,
            id=row.row.exemplar.id,
            rejection=Rejection(audio="", where=row.row.where, error=error),
        )
        for row in unit.rows
    )
    return UnitResult(unit=unit.name, batch=cast(Any, None), numbers=(), rejected=rows)
