"""The engine: what takes units to workers in other processes, and brings outcomes back."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from earful.index.distributed.units import Unit, UnitResult
from earful.wording import counted

if TYPE_CHECKING:
    from earful.model import Embedder, Fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A unit that a worker has finished.

    Attributes:
        unit: The unit.
        result: What became of its rows.
    """

    unit: Unit
    result: UnitResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A unit that a worker has not finished.

    Attributes:
        unit: The unit.
        error: What went wrong, in one line.
        was_lost: Whether the worker's process ended or had to be ended; false where it raised.
        is_broken: Whether the worker failed at a sound of its own afterwards, so that the rows
            need not be to blame.
    """

    unit: Unit
    error: str
    was_lost: bool = False
    is_broken: bool = False


class Worker(Protocol):
    """What lives in a worker's process and does one unit after the other."""

    def work(self, unit: Unit) -> UnitResult:
        """Do a unit; whatever it raises fails the unit."""

    def fault(self) -> str:
        """Return why no unit at all can be done here, or ``""``."""


class Engine(Protocol):
    """Runs units in workers; it counts no tries and decides nothing about a unit that failed."""

    @property
    def cpus_per_worker(self) -> int:
        """CPUs of a worker."""

    def loader(self, fingerprint: Fingerprint) -> Callable[[], Embedder]:
        """Return what loads the embedder in a worker's process; it can be pickled.

        Args:
            fingerprint: Of the embedder that the build was begun with.
        """

    def unit_rows(self, n_rows: int) -> int:
        """Return how many rows a unit should have.

        Args:
            n_rows: Rows of the corpus.
        """

    def run(
        self, next_unit: Callable[[], Unit | None], make_worker: Callable[[], Worker]
    ) -> Generator[Done | Failed]:
        """Run units until there are no more, in any order.

        Args:
            next_unit: Gives the next unit; ``None`` when there is none at present. After an outcome
                there may be one again, as its unit may have to be tried once more.
            make_worker: Makes the worker, in its own process; it can be pickled. An
                ``EarfulError`` that it raises ends the run, as it would elsewhere.

        Yields:
            One outcome for each unit that was given out.

        Raises:
            EngineError: No worker can be started, or none goes on working.
        """


def describe(unit: Unit) -> str:
    """Return where the rows of a unit come from, for a message."""
    first, last = unit.rows[0].row.where, unit.rows[-1].row.where
    return first if len(unit.rows) == 1 else f"{first} to {last} ({counted(len(unit.rows), 'row')})"
