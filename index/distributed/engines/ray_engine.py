"""The Ray engine: workers are actors of a Ray cluster, or of a Ray of this machine's own.

Ray's own remedies are off (an actor that ends stays ended, and its tasks with it): it cannot know
which unit was to blame, so each loss is reported and what follows is decided in ``attempts.py``.
Units and results travel through Ray's object store, so workers need not see the index folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from earful.index.distributed.engines.engine import Done, Failed, Worker
from earful.index.distributed.engines.ray_session import ray_session, require_capacity
from earful.index.distributed.engines.ray_workers import RayWorkers
from earful.index.distributed.engines.worker import EmbedderByName
from earful.index.distributed.units import Unit
from earful.model.runtime import n_cores
from earful.values import short_repr

if TYPE_CHECKING:
    from earful.model import Embedder, Fingerprint

_FEWEST_UNIT_ROWS: Final = 4
# Units a worker should get, so that all end at about the same time.
_UNITS_PER_WORKER: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RayEngine:
    """Ray engine: how many workers, what each has, and where the cluster is.

    >>> RayEngine(workers=8, gpus_per_worker=1)
    RayEngine(workers=8, gpus_per_worker=1)

    Attributes:
        workers: How many; 0 for as many as the cluster has room for when the build begins.
        address: ``""`` for the Ray that this process is connected to or that ``RAY_ADDRESS`` names,
            else for one of this machine's own, which ends with the build; ``"auto"`` for the
            cluster that this machine belongs to; or ``"HOST:PORT"``.
        cpus_per_worker: CPUs of each: its embedder's threads, and so many threads that decode.
        gpus_per_worker: GPUs of each; 0.5 lets two workers share one.
        autoscaling: Whether the cluster grows when more is asked for than it has: then what
            is asked for need not be there at the beginning. Needs ``workers``.
        start_s: Most seconds until the first worker has begun.
        unit_s: Most seconds that a worker may take for a unit; then it is ended and another one
            tries.
        max_unit_rows: Most rows of a unit.
        load: Loads the embedder in a worker, and can be pickled; ``None`` to load it by the name in
            the fingerprint.
        runtime_env: What Ray should prepare for the workers, as ``ray.init`` takes it, such as
            ``{"pip": ["earful[ray]"]}``; empty where earful is installed there.
    """

    workers: int = 0
    address: str = ""
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0
    autoscaling: bool = False
    start_s: float = 600.0
    unit_s: float = 3600.0
    max_unit_rows: int = 64
    load: Callable[[], Embedder] | None = None
    runtime_env: Mapping[str, Any] = field(default_factory=dict, hash=False)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name, least in (("workers", 0), ("cpus_per_worker", 1), ("max_unit_rows", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: expected {least} or more")
        for name in ("start_s", "unit_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected more than 0")
        gpus = self.gpus_per_worker
        if not (math.isfinite(gpus) and gpus >= 0 and (gpus < 1 or gpus == int(gpus))):
            raise ValueError(
                f"gpus_per_worker={gpus}: expected 0, a part of one such as 0.5, or a whole number"
            )
        if self.autoscaling and not self.workers:
            raise ValueError(
                "workers=0: expected how many, as a cluster that grows has no number of its own"
            )

    def loader(self, fingerprint: Fingerprint) -> Callable[[], Embedder]:
        """Return what loads the embedder in a worker: on its GPU, where it has one.

        Args:
            fingerprint: Of the embedder that the build was begun with.
        """
        device = "cuda" if self.gpus_per_worker else "cpu"
        return self.load or EmbedderByName.of(fingerprint, device=device)

    def unit_rows(self, n_rows: int) -> int:
        """Return how many rows a unit should have: fewer where every worker is to get some.

        >>> RayEngine(workers=8).unit_rows(1_000_000), RayEngine(workers=8).unit_rows(320)
        (64, 10)
        """
        n_workers = self.workers or n_cores()
        fair = n_rows // (_UNITS_PER_WORKER * n_workers)
        return min(self.max_unit_rows, max(_FEWEST_UNIT_ROWS, fair))

    def run(
        self, next_unit: Callable[[], Unit | None], make_worker: Callable[[], Worker]
    ) -> Generator[Done | Failed]:
        """Run units in actors until there are no more, in any order.

        Args:
            next_unit: As for ``Engine.run``.
            make_worker: As there.

        Yields:
            One outcome for each unit that was given out.

        Raises:
            EngineError: Ray cannot be reached, has too few CPUs or GPUs, no worker can be started,
                or none goes on working.
            MissingExtraError: Ray is not installed.
        """
        first = next_unit()
        if first is None:  # nobody needs to wait for Ray
            return
        with ray_session(self.address, runtime_env=self.runtime_env) as ray:
            n_workers = require_capacity(
                ray.cluster_resources(),
                workers=self.workers,
                cpus_per_worker=self.cpus_per_worker,
                gpus_per_worker=self.gpus_per_worker,
                autoscaling=self.autoscaling,
            )
            workers = RayWorkers(
                ray,
                make_worker,
                n_workers=n_workers,
                resources={"num_cpus": self.cpus_per_worker, "num_gpus": self.gpus_per_worker},
                start_s=self.start_s,
                unit_s=self.unit_s,
            )
            try:
                yield from workers.outcomes(first, next_unit)
            finally:
                workers.end()
