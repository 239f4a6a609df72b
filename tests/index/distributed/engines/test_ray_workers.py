"""What the Ray engine's driver does with lost and broken workers, by a stub of Ray."""

from collections import Counter
from collections.abc import Callable

import pytest

from earful.errors import EngineError, IndexMismatchError, MissingExtraError
from earful.index.distributed import Done, Failed, Unit, UnitResult, Worker, run_units
from earful.index.distributed.engines.ray_workers import RayWorkers
from tests.support.engines import EngineHere, ToldWorker, answered, rejected, units_of
from tests.support.ray_stub import (
    ActorDiedError,
    Death,
    OutOfMemoryError,
    RayTaskError,
    StubRay,
)


class Told(ToldWorker):
    def __init__(self, *, fault: str = "", work: Callable[[Unit], None] = lambda unit: None):
        super().__init__({})
        self._fault = fault
        self._work = work

    def work(self, unit: Unit) -> UnitResult:
        self._work(unit)
        return answered(unit)

    def fault(self) -> str:
        return self._fault


def run(
    ray: StubRay,
    make_worker: Callable[[], Worker],
    *,
    n_units: int = 6,
    n_workers: int = 2,
    start_s: float = 60.0,
    unit_s: float = 60.0,
) -> list[Done | Failed]:
    units = units_of(n_units, n_each=1)
    workers = RayWorkers(
        ray, make_worker, n_workers=n_workers, resources={}, start_s=start_s, unit_s=unit_s
    )
    try:
        return list(workers.outcomes(next(units), lambda: next(units, None)))
    finally:
        workers.end()
        assert not ray.n_alive


def numbers(outcomes: list[Done | Failed]) -> list[int]:
    return [outcome.unit.rows[0].number for outcome in outcomes]


def test_each_unit_has_one_outcome_and_ray_tries_nothing_itself() -> None:
    ray = StubRay()
    outcomes = run(ray, Told)
    assert sorted(numbers(outcomes)) == list(range(6))
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert (ray.options["max_restarts"], ray.options["max_task_retries"]) == (0, 0)


def test_only_the_unit_that_a_lost_worker_was_doing_fails() -> None:
    def work(unit: Unit) -> None:
        if unit.rows[0].number == 2:
            raise Death(ActorDiedError("its process ended"))

    ray = StubRay()
    outcomes = run(ray, lambda: Told(work=work), n_workers=1)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert [(one.unit.rows[0].number, one.was_lost) for one in failed] == [(2, True)]
    # What waited behind it is done by the next worker.
    assert sorted(numbers(outcomes)) == list(range(6))
    assert len(ray.actors) == 2


def test_a_unit_that_ended_the_only_worker_is_tried_by_the_next() -> None:
    lost: list[int] = []

    def work(unit: Unit) -> None:
        if len(lost) < 2 and unit.rows[0].number == 5:
            lost.append(5)
            raise Death(ActorDiedError("its process ended"))

    class Stubbed(EngineHere):
        def run(self, next_unit, make_worker):  # type: ignore[no-untyped-def]
            first = next_unit()
            workers = RayWorkers(
                StubRay(), make_worker, n_workers=1, resources={}, start_s=60, unit_s=60
            )
            yield from workers.outcomes(first, next_unit)

    units = units_of(6, n_each=1)
    done = run_units(Stubbed(), units, lambda: Told(work=work), reject=rejected)
    assert sorted(number for result in done for number in result.numbers) == list(range(6))
    assert len(lost) == 2


def test_a_worker_that_ran_out_of_memory_says_so() -> None:
    def work(unit: Unit) -> None:
        raise Death(OutOfMemoryError("node"))

    (failed, *_) = run(StubRay(), lambda: Told(work=work), n_units=1)
    assert isinstance(failed, Failed)
    assert failed.error == "its machine ran out of memory"


def test_a_worker_that_raises_lives_on() -> None:
    def work(unit: Unit) -> None:
        raise ValueError(f"row {unit.rows[0].number}\nand more")

    ray = StubRay()
    outcomes = run(ray, lambda: Told(work=work), n_workers=2)
    assert len(ray.actors) == 2
    assert {outcome.error for outcome in outcomes if isinstance(outcome, Failed)} == {
        f"ValueError: row {number} and more" for number in range(6)
    }


def test_a_worker_that_breaks_is_replaced() -> None:
    made: list[Told] = []

    def make() -> Told:
        def work(unit: Unit) -> None:
            if worker is made[0] and unit.rows[0].number >= 2:
                worker._fault = "no memory on the GPU"
                raise RuntimeError("no memory")

        worker = Told(work=work)
        made.append(worker)
        return worker

    outcomes = run(StubRay(), make, n_workers=1)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert [one.is_broken for one in failed] == [True]
    assert Counter(numbers(outcomes)) == dict.fromkeys(range(6), 1)
    assert len(made) == 2


def test_workers_that_cannot_embed_a_test_sound_stop_the_run() -> None:
    ray = StubRay()
    with pytest.raises(EngineError, match=r"workers cannot start.*no memory"):
        run(ray, lambda: Told(fault="no memory"))
    assert len(ray.actors) <= 4


def test_workers_that_end_while_they_start_stop_the_run() -> None:
    def make() -> Told:
        raise Death(ActorDiedError("killed"))

    with pytest.raises(EngineError, match="its process ended"):
        run(StubRay(), make)


@pytest.mark.parametrize("kind", [IndexMismatchError, MissingExtraError])
def test_what_a_worker_refuses_is_refused_at_once(kind: type[Exception]) -> None:
    def make() -> Told:
        raise kind("worker on a: expected other weights")

    ray = StubRay()
    with pytest.raises(kind, match="other weights"):
        run(ray, make, n_workers=1)
    assert len(ray.actors) == 1


def test_a_worker_without_earful_is_explained() -> None:
    def make() -> Told:
        raise Death(RayTaskError("Traceback\nModuleNotFoundError: No module named 'earful'"))

    with pytest.raises(EngineError, match=r"No module named 'earful'.*runtime_env"):
        run(StubRay(), make)


def test_a_unit_that_takes_too_long_loses_its_worker() -> None:
    # The first answer is that of the start; then one unit never ends.
    ray = StubRay(hangs=lambda place: place == 1)
    outcomes = run(ray, Told, n_units=2, n_workers=1, unit_s=1e-9)
    assert [type(outcome) for outcome in outcomes] == [Failed, Done]
    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].was_lost
    assert "took more than" in outcomes[0].error


def test_a_cluster_without_room_is_not_waited_for_for_ever() -> None:
    with pytest.raises(EngineError, match=r"no worker has started.*1 CPUs"):
        run(StubRay(hangs=lambda place: True), Told, start_s=1e-9)
