"""The Ray session: connected for one build, or started on this machine and ended with it."""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import socket
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from earful.errors import EngineError, MissingExtraError
from earful.wording import quoted, shortened

_log = logging.getLogger(__name__)

_CONNECT_S: Final = 10.0
_STARTS: Final = 3
# Units and results are small. Ray's own default is a third of the memory.
_STORE_BYTES: Final = 256 << 20
_ENVIRONMENT: Final = {
    # Under `uv run` Ray would send the folder that the user is in, recordings and all, to the
    # cluster, and fail where pyproject.toml lies above it.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Nobody who builds an index asked for that.
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextmanager
def ray_session(address: str, *, runtime_env: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """Connect to Ray for a block, and leave it as it was found.

    Args:
        address: As ``RayEngine`` has it.
        runtime_env: As ``RayEngine`` has it.

    Yields:
        The module ``ray``.

    Raises:
        MissingExtraError: Ray is not installed.
        EngineError: There is no Ray at the address, or it cannot be started or used.
    """
    with _environment():
        ray = _import_ray()
        if ray.is_initialized():
            yield ray
            return
        handler = _terminate_handler()
        wanted = address or os.environ.get("RAY_ADDRESS", "") or "local"
        context = _connect(ray, wanted, dict(runtime_env or {}))
    says = _worker_messages(ray, False)
    try:
        yield ray
    finally:
        ray.shutdown()
        _worker_messages(ray, says)
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)
    if wanted == "local":
        # After an error it stays, for its logs.
        shutil.rmtree(context.address_info["session_dir"], ignore_errors=True)


def require_capacity(
    resources: Mapping[str, float],
    *,
    workers: int,
    cpus_per_worker: int,
    gpus_per_worker: float,
    autoscaling: bool,
) -> int:
    """Return how many workers to start.

    Args:
        resources: What the cluster has, as ``ray.cluster_resources`` gives it.
        workers: How many are wished; 0 for all that there is room for.
        cpus_per_worker: CPUs of each.
        gpus_per_worker: GPUs of each.
        autoscaling: Whether what is missing will come.

    Raises:
        EngineError: There is no room for them.

    >>> require_capacity({"CPU": 16.0, "GPU": 2.0}, workers=0, cpus_per_worker=4,
    ...                  gpus_per_worker=1.0, autoscaling=False)
    2
    """
    if autoscaling and workers:
        return workers
    n_cpus, n_gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    if gpus_per_worker and not n_gpus:
        raise EngineError(
            f"--gpus-per-worker {gpus_per_worker:g}: Ray knows of no GPU, expected "
            f"{(workers or 1) * gpus_per_worker:g}; leave it out to embed on CPUs, or start Ray "
            "where there is one (`ray status` lists what it has)"
        )
    room = math.floor(n_cpus / cpus_per_worker)
    if gpus_per_worker:
        room = min(room, math.floor(n_gpus / gpus_per_worker))
    if room < max(1, workers):
        has = f"{n_cpus:g} CPUs" + (f" and {n_gpus:g} GPUs" if gpus_per_worker else "")
        each = f"{cpus_per_worker} CPUs" + (
            f" and {gpus_per_worker:g} GPUs" if gpus_per_worker else ""
        )
        smaller = f"--workers {room}" if room else "a smaller --cpus-per-worker"
        raise EngineError(
            f"Ray has {has}, which is room for {room} workers of {each}, expected "
            f"{max(1, workers)}; use {smaller}, or --ray-autoscaling where the cluster grows"
        )
    return workers or room


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            "the ray engine needs Ray: pip install 'earful[ray]'; without it, a build in parts "
            "needs nothing but a scheduler: earful index build CORPUS -i PART --shard 1/8"
        ) from error
    return ray


def _connect(ray: Any, address: str, runtime_env: dict[str, Any]) -> Any:
    _require_answer(address)
    if address == "local":
        return _start(ray, runtime_env)
    try:
        return _init(ray, address=address, runtime_env=runtime_env or None)
    except Exception as error:  # Ray raises plain ones, too
        ray.shutdown()
        raise EngineError(
            f"--ray-address {address}: Ray cannot be used there ({_reason(error)}); expected a "
            f"cluster of Ray {ray.__version__}. `ray status --address {address}` says whether "
            "there is one, and without --ray-address one is started on this machine"
        ) from error


def _start(ray: Any, runtime_env: dict[str, Any]) -> Any:
    """Start a Ray on this machine, again where a busy machine is too slow for it.

    Ray gives its parts 15 and 30 s to start, and no option makes that more.
    """
    for n_more in reversed(range(_STARTS)):
        others = set(_children())
        try:
            return _init(
                ray,
                address="local",
                runtime_env=runtime_env or None,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
            )
        except Exception as error:  # Ray raises plain ones, too
            ray.shutdown()
            for process in set(_children()) - others:
                process.kill()  # Ray forgets what it has started when it has not come up
            if not n_more or "timed out" not in str(error):
                raise EngineError(
                    f"Ray cannot be started on this machine ({_reason(error)}); try again when it "
                    "is less busy, or build without --engine ray"
                ) from error
            _log.warning("Ray did not start in time, trying again", extra={"n_more": n_more})
    return None


def _init(ray: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        # Ray forks to start programs, which never come to use LanceDB.
        warnings.filterwarnings("ignore", "lancedb fork support", RuntimeWarning)
        return ray.init(log_to_driver=False, logging_level="ERROR", **options)


def _reason(error: Exception) -> str:
    return shortened(" ".join(str(error).split()))


def _children() -> Iterator[Any]:
    """Yield the processes that this one has started, and theirs."""
    import psutil  # comes with Ray

    yield from psutil.Process().children(recursive=True)


def _require_answer(address: str) -> None:
    """Refuse an address at which nobody listens: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in ("auto", "local"):
        return
    if not (host and port.isdigit()):
        raise EngineError(
            f"--ray-address {quoted(address)}: expected HOST:PORT, such as 10.0.0.5:6379, or auto"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EngineError(
            f"--ray-address {address}: nobody answers there ({reason}); expected the head of a Ray "
            "cluster. `ray start --head` prints its address"
        ) from error


@contextmanager
def _environment() -> Iterator[None]:
    """Tell Ray, and what it starts, how to behave; a user's own settings go before ours."""
    mine = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            os.environ.pop(name, None)


def _terminate_handler() -> Any:
    """Return what SIGTERM does now, where Ray is going to change it."""
    is_main = threading.current_thread() is threading.main_thread()
    return signal.getsignal(signal.SIGTERM) if is_main else None


def _worker_messages(ray: Any, are_shown: bool) -> bool:
    """Switch the messages off that Ray 2.60 prints on a lost worker, to the standard output.

    ``log_to_driver=False`` does not: they would stand in the midst of a command's JSON.

    Returns:
        What it was.
    """
    module = ray._private.worker
    before = bool(getattr(module, "_worker_logs_enabled", True))
    module._worker_logs_enabled = are_shown
    return before
