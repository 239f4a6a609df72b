"""Attempts: units that failed are tried again, then halved down to the row that is to blame.

A lost worker is mostly the machine's doing, an error mostly the row's, and neither can be told
from one attempt. So a unit has three. Then it is halved, and a half that fails is halved again,
until one row stands alone; that row has three attempts of its own, and is rejected with the reason.
So of 64 rows one that ends its worker costs eleven workers, and no other row.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Final

from earful.errors import EngineError
from earful.index.distributed.engines.engine import Engine, Failed, Worker, describe
from earful.index.distributed.units import Unit, UnitResult
from earful.wording import counted

_log = logging.getLogger(__name__)

_TRIES: Final = 3
# So many rows that each end their workers, and nothing else done meanwhile, are no chance.
_MOST_LOST: Final = 10


def run_units(
    engine: Engine,
    units: Iterable[Unit],
    make_worker: Callable[[], Worker],
    *,
    reject: Callable[[Unit, str], UnitResult],
) -> Generator[UnitResult]:
    """Run units in an engine's workers, and answer for every row of them.

    Args:
        engine: Where they run.
        units: Taken as workers are free for them.
        make_worker: Makes the worker in its own process; it can be pickled.
        reject: Makes the result of a unit of one row that cannot be done.

    Yields:
        Results in any order; all together they hold each row once.

    Raises:
        EngineError: No worker goes on working, whatever the rows are; the message names the unit.
    """
    attempts = _Attempts(units)
    # Closed here, and not when an error's traceback lets go of it: workers must end.
    with closing(engine.run(attempts.next_unit, make_worker)) as outcomes:
        for outcome in outcomes:
            if not isinstance(outcome, Failed):
                attempts.succeed(outcome.unit)
                yield outcome.result
            elif (reason := attempts.fail(outcome)) is not None:
                yield reject(outcome.unit, reason)


class _Attempts:
    """The units that wait for another attempt, and how often each has failed."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._fresh = iter(units)
        self._again: deque[Unit] = deque()
        self._n_failed: dict[str, int] = {}
        # A half has one attempt until it is a single row: that its unit failed thrice is known.
        self._halves: set[str] = set()
        self._n_lost_rows = self._n_broken = 0

    def next_unit(self) -> Unit | None:
        return self._again.popleft() if self._again else next(self._fresh, None)

    def succeed(self, unit: Unit) -> None:
        self._n_failed.pop(unit.name, None)
        self._halves.discard(unit.name)
        self._n_lost_rows = self._n_broken = 0

    def fail(self, failed: Failed) -> str | None:
        """Note a failure; return the reason where the unit is a row to be rejected."""
        unit = failed.unit
        n_failed = self._n_failed[unit.name] = self._n_failed.get(unit.name, 0) + 1
        _log.warning(
            "unit %s failed: %s", unit.name, failed.error, extra={"unit": unit.name, "n": n_failed}
        )
        self._require_sound(failed)
        is_row = len(unit.rows) == 1
        if n_failed < (1 if unit.name in self._halves and not is_row else _TRIES):
            self._again.append(unit)
            return None
        del self._n_failed[unit.name]
        self._halves.discard(unit.name)
        if not is_row:
            halves = unit.halves()
            self._halves.update(half.name for half in halves)
            # Behind those that wait, so that sound halves are done before others are halved on.
            self._again.extend(halves)
            return None
        if failed.was_lost:
            self._count_lost(failed)
            return f"its worker was lost {n_failed} times: {failed.error}"
        return f"it failed {n_failed} times: {failed.error}"

    def _require_sound(self, failed: Failed) -> None:
        self._n_broken = self._n_broken + 1 if failed.is_broken else 0
        if self._n_broken >= _TRIES:
            raise EngineError(
                f"{describe(failed.unit)}: the embedder fails at every sound: {failed.error}. "
                "What was committed is kept: mend the workers, and run the same command again"
            )

    def _count_lost(self, failed: Failed) -> None:
        self._n_lost_rows += 1
        if self._n_lost_rows >= _MOST_LOST:
            raise EngineError(
                f"{describe(failed.unit)}: {counted(self._n_lost_rows, 'row')} one after the other "
                f"each ended three workers, and no other was finished ({failed.error}); expected "
                "that to be rare. Give workers more memory (--cpus-per-worker leaves room for "
                "fewer), and run the same command again: what was committed is kept"
            )
