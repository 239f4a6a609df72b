"""Options of the engine of a build: this process, or workers of a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earful.commands.options import one_of, reject_unused

if TYPE_CHECKING:
    from earful.index.distributed import RayEngine

ENGINES: Final = ("local", "ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Where rows are decoded and embedded."""

    engine: Annotated[
        str,
        typer.Option(
            help="What embeds: local for this process, or ray for workers of a Ray cluster or of "
            "this machine."
        ),
    ] = "local"
    workers: Annotated[
        int, typer.Option(min=0, help="Workers of --engine ray; 0: all that there is room for.")
    ] = 0
    cpus_per_worker: Annotated[
        int, typer.Option(min=1, help="CPUs of each worker of --engine ray.")
    ] = 1
    gpus_per_worker: Annotated[
        float,
        typer.Option(min=0.0, help="GPUs of each worker of --engine ray; 0.5: two share one."),
    ] = 0.0
    ray_address: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="Ray cluster, or auto for the one that this machine belongs to; default: that in "
            "RAY_ADDRESS, else one is started here.",
        ),
    ] = ""
    ray_autoscaling: Annotated[
        bool,
        typer.Option(
            "--ray-autoscaling", help="The cluster grows when --workers are more than it has."
        ),
    ] = False

    def open(self, *, device: str) -> RayEngine | None:
        """Return the engine, or ``None`` for this process.

        Args:
            device: As ``--device`` says.

        Raises:
            typer.BadParameter: An option is of no use, or has no possible value.
        """
        one_of(ENGINES, self.engine, "--engine")
        if self.engine == "local":
            given = {
                "--workers": bool(self.workers),
                "--cpus-per-worker": self.cpus_per_worker != 1,
                "--gpus-per-worker": bool(self.gpus_per_worker),
                "--ray-address": bool(self.ray_address),
                "--ray-autoscaling": self.ray_autoscaling,
            }
            reject_unused(given, "is for --engine ray")
            return None
        reject_unused(
            {"--device": device != "auto"},
            "is for --engine local; workers have a GPU by --gpus-per-worker, and else none",
        )
        if self.ray_autoscaling and not self.workers:
            raise typer.BadParameter(
                "say how many, as a cluster that grows has no number of its own",
                param_hint="--workers",
            )
        from earful.index.distributed import RayEngine

        try:
            return RayEngine(
                workers=self.workers,
                address=self.ray_address,
                cpus_per_worker=self.cpus_per_worker,
                gpus_per_worker=self.gpus_per_worker,
                autoscaling=self.ray_autoscaling,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--gpus-per-worker") from error
